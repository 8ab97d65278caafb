"""The span of time that a scan asks for: a pure function of what is known and of the time."""

from typing import Final

from bridge.clock import DAY
from bridge.event_types import SENT
from bridge.flow.buckets import start_of
from bridge.flow.planner.scan_types import ACTIVE, Scan, ScanType
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.scheduling import schedule

WATERMARK_OVERLAP: Final = 15.0
"""Seconds by which a recent scan begins before the watermark: clocks differ."""

SHORTEST_PART: Final = 30.0
"""Seconds of sends that are read in one poll at least."""

TRACKED_OVERLAP: Final = 2 * DAY
"""Seconds by which a scan of all tracked sends begins before the oldest of them."""


def scan_of(snapshot: MessageSnapshot, event: str, scan_type: ScanType) -> Scan:
    """A scan of that type for an event, with its beginning."""
    since: float | None = None
    if scan_type.from_watermark:
        complete_until = snapshot.watermarks.of(event).complete_until
        since = complete_until - WATERMARK_OVERLAP if complete_until else None
    elif scan_type.lookback:
        since = snapshot.now - scan_type.lookback
    elif scan_type.name == ACTIVE:
        since = snapshot.oldest_tracked - TRACKED_OVERLAP
    elif scan_type.tracked_only and snapshot.message.kind != "broadcast":
        since = snapshot.oldest_tracked - TRACKED_OVERLAP
        if scan_type.reads_all_tracked and snapshot.message.floor is not None:
            # It is forgotten afterwards what lies below: after an absence that reaches further.
            since = min(since, start_of(snapshot.message.floor))
    asked = scan_type.activity_type
    # Sends of a short lookback are few enough to be read without their filter.
    is_accepted = asked is not None and snapshot.filters.accepts(asked, snapshot.now)
    until = _end_of_sends(snapshot, since) if event == SENT and scan_type.from_watermark else None
    return Scan(scan_type, since, asked if is_accepted else None, until)


def _end_of_sends(snapshot: MessageSnapshot, since: float | None) -> float | None:
    """The end of a scan of new sends that begins then, None for the present. Any of:

    1. They are few enough: none.
    2. It isn't known where they begin, or they have no date of their own: none.
    3. A part of them was asked for, and none came: none, as the end may be read another way.
    4. As much of the time since then as may bring so many; none if that is all.
    """
    missing = snapshot.missing(SENT)
    if missing <= snapshot.most_sends:  # 1
        return None
    if since is None or snapshot.message.kind != "broadcast":  # 2
        return None
    if snapshot.watermarks.of(SENT).attempt(0).misses:  # 3
        return None
    per_second = missing / (snapshot.now - since)
    if (begun := since - schedule.sent_at(snapshot.message)) > 0:
        # Most go out soon: they come as fast as those before.
        per_second = max(per_second, snapshot.seen.get(SENT, 0.0) / begun)
    until = since + WATERMARK_OVERLAP + max(snapshot.most_sends / per_second, SHORTEST_PART)  # 4
    return until if until < snapshot.now else None
