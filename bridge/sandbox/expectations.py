"""The judge's knowledge of a bridge: its settings, and the precision to expect of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """The events that a bridge was to send: of which lists, and since when.

    lists: the configured ones, each with the profile field of the userId, or None.
    since: the start horizon.
    track_days: days after a send during which its message is read.
    first_poll: when the account was first read completely, if known: what happened later on rows
        that were active before `since` is then required too.
    strict_cause: an Unsubscribed must name the message that caused it.
    extra_fields: value of the emulator's switch.
    slack: how far a timestamp that is only "best known" may lie past the true instant, in the
        world's time.
    timezone: zone of the API's naive times.
    """

    lists: Mapping[int, int | None]
    since: datetime
    track_days: int = 30
    first_poll: datetime | None = None
    strict_cause: bool = True
    extra_fields: bool = False
    slack: timedelta = timedelta(seconds=60)
    timezone: str = "America/New_York"
