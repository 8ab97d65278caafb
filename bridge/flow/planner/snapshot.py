"""The planner's input: what is known of a message when a poll of it is planned."""

import math
from dataclasses import dataclass
from typing import Final

from bridge.event_types import BOUNCED, CONVERTED, OPENED, SENT, UNSUBSCRIBED, event_type_asked_by
from bridge.flow.figures import TOLERANCE, Counts
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.scan_types import ACTIVE, ESCALATION, TRACKED, ScanType
from bridge.flow.planner.watermarks import Watermark, Watermarks
from bridge.flow.scheduling import schedule
from bridge.listrak import wire
from bridge.state.records import Message

FREE_PAGE_SHARE: Final = 1 / 50
"""Fraction of a page below which rows are free, as fewer rows take a request all the same."""

STARTING_ACTIVITY: Final = (OPENED, BOUNCED, UNSUBSCRIBED)
"""Events that give a row its date of activity (bridge/listrak/FACTS.md: Activity)."""


@dataclass(frozen=True)
class MessageSnapshot:
    """A message with all that is known of it when a poll is planned."""

    message: Message
    """The message, as of its previous poll."""
    counted: Counts
    """Numbers that Listrak counts, by event; empty where it has no Summary."""
    seen: Counts
    """Numbers seen so far, by event."""
    watermarks: Watermarks
    """The message's watermarks. Planning works on a copy."""
    filters: FilterSupport
    """The scans and filters that the account supports; only read by the planner."""
    now: float
    """Seconds since 1970, as Listrak counts them."""
    track: float
    """Seconds that a send is tracked."""
    page_rows: int = wire.MOST_ROWS
    """Rows of a page."""
    seconds_per_call: float = 0.0
    """Seconds that a scan waits for each request that it takes beyond the first."""
    most_sends: float = math.inf
    """Rows of new sends that a poll reads at most: what else happens shall not wait for them."""
    unsubscribed_at: float = 0.0
    """Time at which contacts last showed a new unsubscribe of the list; 0 for never."""
    certain: float | None = None
    """A time that `now` is at least, where that is another: what is forgotten goes by it."""
    is_last: bool = False
    """Tells whether it is the last poll before the message is untracked."""

    clicks_left: bool = False
    """Tells whether clicks were set aside that may be read again by now."""

    @property
    def oldest_tracked(self) -> float:
        """The earliest send that is tracked, in seconds since 1970."""
        return self.now - self.track

    @property
    def oldest_kept(self) -> float:
        """The earliest send that is not forgotten yet, in seconds since 1970."""
        return (self.now if self.certain is None else self.certain) - self.track

    @property
    def age(self) -> float:
        """Seconds since it was sent or, if it goes on sending, since anything moved."""
        return schedule.age(self.message, self.now)

    @property
    def rows(self) -> float:
        """Rows of the full message."""
        return max(self.counted.get(SENT, 0), self.seen.get(SENT, 0))

    @property
    def free_rows(self) -> float:
        """Rows that cost nothing: below this size a scan is one request."""
        return self.page_rows * FREE_PAGE_SHARE

    def missing(self, event: str) -> float:
        """The number counted and not seen; below 0 where more was seen, 0 for no counter."""
        if event not in self.counted:
            return 0.0
        watermark = self.watermarks.by_event.get(event, Watermark())
        return watermark.missing(self.counted[event], self.seen.get(event, 0))

    def has_moved(self, event: str) -> bool:
        """Tells whether it is counted, and more often than at the latest scan for it.

        Where more was seen than is counted, what has moved it may be as much.
        """
        watermark = self.watermarks.by_event.get(event, Watermark())
        return self.counted.get(event, 0.0) - max(watermark.last_counted, 0.0) >= TOLERANCE

    def usable_scans(self, event: str) -> list[tuple[int, ScanType]]:
        """The scans for an event that aren't in cooldown, narrow ones first, with their numbers.

        While the scan of all tracked rows is in cooldown, the full message waits no longer than
        that.
        """
        kind = self.message.kind
        usable: list[tuple[int, ScanType]] = []
        longest = math.inf
        for number, scan_type in enumerate(ESCALATION[kind][event]):
            if self.filters.is_usable(kind, scan_type, self.now):
                max_wait = min(scan_type.max_wait, longest)
                usable.append((number, scan_type._replace(max_wait=max_wait)))
            elif scan_type.name == TRACKED:
                longest = scan_type.max_wait
        return usable

    def expected_rows(self, event: str, number: int, scan_type: ScanType) -> float:
        """Rows that a scan will read, as far as one can tell.

        1. From the watermark: what moved and little more, so none; without one, all.
        2. Of everything, or of all tracked rows: all.
        3. Of all that show an activity: as many as are counted to have begun one.
        4. Others: as many as at the last attempt.
        5. Never tried yet: as many as there are events of the kind that it filters for; of orders,
           whose revenue doesn't tell their number, none.
        """
        watermark = self.watermarks.of(event)
        if scan_type.from_watermark:  # 1
            return 0 if watermark.complete_until else self.rows
        if scan_type.reads_all_tracked:  # 2
            return self.rows
        if scan_type.name == ACTIVE:  # 3
            return sum(map(self._known_of, STARTING_ACTIVITY))
        if rows := watermark.attempt(number).rows:  # 4
            return rows
        asked = scan_type.activity_type
        shown = event_type_asked_by(asked).name if asked else event
        return 0.0 if shown == CONVERTED else self._known_of(shown)  # 5

    def expected_calls(self, event: str, number: int, scan_type: ScanType) -> float:
        """Requests that a scan will take, as far as one can tell: pages, and one for each link."""
        pages = wire.pages_of(self.expected_rows(event, number, scan_type), self.page_rows)
        reads_links = scan_type.is_full or scan_type.reads_clicks
        links = 1 + len(self.watermarks.link_clicks) if reads_links else 0
        return pages + links

    def _known_of(self, event: str) -> float:
        """The number of an event that is counted, or seen, whichever is more."""
        return max(self.counted.get(event, 0), self.seen.get(event, 0))
