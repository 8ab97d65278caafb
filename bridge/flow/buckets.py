"""Buckets: the weeks by which sends and clicks of a message that goes on sending are forgotten.

All that is known of a bucket is forgotten together, once it lies below the message's floor. The
floor only ever rises, and only when a complete poll began after the tracking of all that lies below
it had ended.
"""

from datetime import date
from typing import Final

from bridge.clock import DAY
from bridge.listrak import times
from bridge.state.records import Message

NO_BUCKET: Final = 2**31
"""A bucket above all others."""

NO_DATE: Final = 2**30
"""Bucket of rows without a send date: never forgotten while the message is tracked."""

_EPOCH: Final = date(1970, 1, 1).toordinal()


def bucket_of(day: str, remembered: dict[str, int]) -> int:
    """The week of a day as YYYY-MM-DD; NO_DATE for what isn't one."""
    try:
        return remembered[day]
    except KeyError:
        try:
            bucket = date.fromisoformat(day).toordinal() // 7
        except ValueError:
            bucket = NO_DATE
        remembered[day] = bucket
        return bucket


def floor_of(message: Message, oldest: float) -> int:
    """The lowest bucket still tracked, given the oldest send of interest (seconds since 1970)."""
    if message.kind == "broadcast":
        return 0
    # A day earlier: buckets are weeks of naive local dates.
    return bucket_of(times.from_seconds(oldest - DAY)[:10], {})


def start_of(bucket: int) -> float:
    """A time before which nothing of a bucket can lie, in seconds since 1970."""
    return (bucket * 7 - _EPOCH - 1) * DAY
