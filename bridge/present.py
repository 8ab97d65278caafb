"""The present configuration, made of the settings and of what Listrak has of the lists."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from bridge.clock import DAY
from bridge.environment.settings import Settings
from bridge.flow.configuration import Configuration
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.times import Instant

_DIGEST_BYTES: Final = 8
"""Bytes of what is kept of a secret: enough to tell two apart, nothing to find one by."""


def namespace_of(settings: Settings) -> str:
    """The namespace of a new state file: one for each Segment source, the same at each time."""
    return _one_way(settings.segment_write_key, b"namespace") + "\x1f"


def horizon_from(settings: Settings, at: float) -> Instant:
    """The start horizon of a list that is read for the first time at a time (since 1970)."""
    return times.instant(settings.since.at(datetime.fromtimestamp(at, UTC)))


def configuration_of(settings: Settings, sources: Sequence[SourceList]) -> Configuration:
    """The present configuration."""
    there = {source.list_id for source in sources}
    return Configuration(
        lists={source.list_id: source.field_id for source in sources},
        events=tuple(sorted(settings.events)),
        track=settings.track_days * DAY,
        zone=settings.listrak_timezone.key,
        write_key=_one_way(settings.segment_write_key, b"write key"),
        since=settings.since.text,
        extra_properties=tuple(sorted(settings.extra_properties)),
        ignored_user_ids=_one_way("\n".join(sorted(settings.ignored_user_ids)), b"user ids"),
        fields={
            one.list_id: one.profile_field
            for one in settings.lists
            if one.list_id in there and one.profile_field is not None
        },
    )


def _one_way(text: str, purpose: bytes) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES, person=purpose).hexdigest()
