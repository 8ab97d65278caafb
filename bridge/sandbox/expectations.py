"""What a judge is told of the bridge: how it was set up, and how exact it can have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What the bridge was to send, of which lists, from when on.

    lists: the configured ones, each with the profile field of the userId, or None.
    since: the start horizon.
    track_days: days after a send during which its message is read.
    first_look: when the account was first read completely, if known: what happened later on rows
        that were active before `since` is then required too.
    strict_cause: an Unsubscribed must name the message that caused it.
    extra_fields: as the emulator's switch.
    slack: how far a timestamp that is only "best known" may lie past the true instant, in the
        world's time.
    timezone: the one that the API writes its naive times in.
    """

    lists: Mapping[int, int | None]
    since: datetime
    track_days: int = 30
    first_look: datetime | None = None
    strict_cause: bool = True
    extra_fields: bool = False
    slack: timedelta = timedelta(seconds=60)
    timezone: str = "America/New_York"
