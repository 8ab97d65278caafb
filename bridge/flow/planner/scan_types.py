"""The scans there are, and for each kind of event the order in which wider ones are tried.

Filters are hardly documented (bridge/listrak/FACTS.md: Filters). So no scan is relied on: the
counters tell whether it sufficed, and if it didn't, the next wider one is tried, the full message
last.
"""

from typing import Final, Literal, NamedTuple

from bridge.clock import DAY, HOUR, MINUTE
from bridge.event_types import (
    BOUNCED,
    CLICKED,
    CONVERTED,
    OPENED,
    SENT,
    SPAM,
    UNSUBSCRIBED,
    event_type,
)
from bridge.state.records import Kind

# How long scans wait, in seconds: at least, where one request is enough, and at most.

RECENT_WAIT: Final = 5 * MINUTE
"""Seconds for a scan from the watermark, which reads little more than what moved the counter."""

LATELY_WAIT: Final = 15 * MINUTE
LONGEST_LATELY_WAIT: Final = 1 * HOUR
LATELY_LOOKBACK: Final = 1 * DAY

UNSUBSCRIBE_WAIT: Final = 5 * MINUTE
LONGEST_UNSUBSCRIBE_WAIT: Final = 30 * MINUTE
"""Seconds; less than schedule.LONGEST_ATTRIBUTION_WAIT, so that it is known in time."""

LONGEST_ORDER_WAIT: Final = 3 * HOUR

COMPLAINT_WAIT: Final = 5 * MINUTE
RARE_COMPLAINT_WAIT: Final = 15 * MINUTE
"""Seconds between two where emails go out one by one."""
LONGEST_COMPLAINT_WAIT: Final = 4 * HOUR
"""Seconds between two scans where nothing points to a complaint: one that left no other trace."""

HIDDEN_WAIT: Final = 100 * MINUTE
"""Seconds, two hours with the poll before it, for what a date of first activity hides: few opens,
in a scan of all bounces."""

DAILY: Final = 20 * HOUR
"""Seconds, less than a day, so that what these scans find is never more than a day late."""

# Names of scans are keys in the state file: they don't change.
FULL: Final = "whole"
ACTIVE: Final = "active"
TRACKED: Final = "tracked"
ALL_CLICKS: Final = "all clicks"

DateType = Literal["Send", "Activity"]


class ScanType(NamedTuple):
    """A kind of scan. It begins with the first row of all unless a field says otherwise."""

    name: str
    """Unique for a kind of message; a key in the state file."""
    max_wait: float
    """Seconds until it is done at any cost; for an event without a counter, seconds between two."""
    wait: float = 0.0
    """Seconds that it waits at least, if less: what it reads again is worth no more often."""
    activity_type: str | None = None
    """activityType to filter by."""
    date_type: DateType | None = None
    """The date of a row that the scan's beginning is compared with."""
    from_watermark: bool = False
    """Tells whether it begins at the event's `complete_until`."""
    lookback: float | None = None
    """Seconds before now at which it begins."""
    tracked_only: bool = False
    """Tells whether it begins with the oldest send still tracked, of messages that go on
    sending."""
    reads_clicks: bool = False
    """Tells whether it reads the clickers of links, not activity rows."""

    @property
    def is_full(self) -> bool:
        """Tells whether it is the full message."""
        return self.name == FULL

    @property
    def reads_all_tracked(self) -> bool:
        """Tells whether it reads every row that is still tracked."""
        return self.name in (FULL, TRACKED)


class Scan(NamedTuple):
    """A scan that is to be done now."""

    scan_type: ScanType
    """The kind of scan."""
    since: float | None = None
    """The scan's beginning, in seconds since 1970; None for the first row of all."""
    activity_type: str | None = None
    """activityType to filter by, None where the account doesn't support it."""
    until: float | None = None
    """The scan's end, where it is to be short; None for all rows there are by now."""


def _recent(date_type: DateType) -> ScanType:
    name = f"recent {date_type}"
    return ScanType(name, RECENT_WAIT, date_type=date_type, from_watermark=True)


def _activity_type_of(event: str) -> str:
    activity_type = event_type(event).activity_type
    # It becomes part of a scan's name, which is stored.
    assert activity_type is not None, f"no activityType asks for {event}"
    return activity_type


def _only(event: str, max_wait: float, *, wait: float = 0.0) -> ScanType:
    activity_type = _activity_type_of(event)
    return ScanType(f"only {activity_type}", max_wait, wait, activity_type, tracked_only=True)


def _only_lately(event: str) -> ScanType:
    activity_type = _activity_type_of(event)
    return ScanType(
        f"only {activity_type} lately",
        LONGEST_LATELY_WAIT,
        LATELY_WAIT,
        activity_type,
        "Send",
        lookback=LATELY_LOOKBACK,
    )


def _active(max_wait: float, *, wait: float = 0.0) -> ScanType:
    """The scan of all rows that show an activity: who orders has opened, or clicked, before."""
    return ScanType(ACTIVE, max_wait, wait, date_type="Activity")


def _tracked(max_wait: float, *, wait: float = 0.0) -> ScanType:
    return ScanType(TRACKED, max_wait, wait, date_type="Send", tracked_only=True)


def _full(max_wait: float, *, wait: float = 0.0) -> ScanType:
    return ScanType(FULL, max_wait, wait)


_UNSUBSCRIBE_SCAN = _only(UNSUBSCRIBED, LONGEST_UNSUBSCRIBE_WAIT, wait=UNSUBSCRIBE_WAIT)
_ORDER_SCAN = _only(CONVERTED, LONGEST_ORDER_WAIT)
_COMPLAINT_SCAN = _only(SPAM, LONGEST_COMPLAINT_WAIT, wait=COMPLAINT_WAIT)
_RARE_COMPLAINT_SCAN = _only(SPAM, LONGEST_COMPLAINT_WAIT, wait=RARE_COMPLAINT_WAIT)
_CLICK_SCANS = (
    ScanType("recent clicks", RECENT_WAIT, from_watermark=True, reads_clicks=True),
    ScanType(ALL_CLICKS, 12 * HOUR, HIDDEN_WAIT, reads_clicks=True),
)

# fmt: off
ESCALATION: Final[dict[Kind, dict[str, tuple[ScanType, ...]]]] = {
    "broadcast": {
        SENT: (_recent("Send"), _full(DAILY)),
        # A bounce sets the activity date before an open does: a date filter can miss that open.
        OPENED: (
            _recent("Activity"), _only(BOUNCED, 12 * HOUR, wait=HIDDEN_WAIT),
            _active(DAY, wait=HIDDEN_WAIT), _only(OPENED, 10 * DAY, wait=10 * DAY),
            _full(20 * DAY, wait=20 * DAY),
        ),
        BOUNCED: (
            _recent("Activity"), _only(BOUNCED, 3 * HOUR, wait=HIDDEN_WAIT),
            _active(DAY, wait=HIDDEN_WAIT), _full(5 * DAY, wait=5 * DAY),
        ),
        CLICKED: _CLICK_SCANS,
        UNSUBSCRIBED: (_UNSUBSCRIBE_SCAN, _active(DAILY, wait=UNSUBSCRIBE_WAIT), _full(DAILY)),
        CONVERTED: (_ORDER_SCAN, _active(DAILY), _full(DAILY)),
        SPAM: (_COMPLAINT_SCAN, _full(DAILY, wait=DAILY)),
    },
    # There is no dateType here: dates are those of the send.
    "conversation": {
        SENT: (_recent("Send"), _tracked(DAILY), _full(7 * DAY, wait=7 * DAY)),
        OPENED: (
            _only_lately(OPENED), _only(OPENED, 12 * HOUR, wait=12 * HOUR),
            _tracked(5 * DAY, wait=5 * DAY), _full(10 * DAY, wait=10 * DAY),
        ),
        BOUNCED: (
            _only_lately(BOUNCED), _only(BOUNCED, DAY, wait=12 * HOUR),
            _tracked(5 * DAY, wait=5 * DAY), _full(10 * DAY, wait=10 * DAY),
        ),
        CLICKED: _CLICK_SCANS,
        UNSUBSCRIBED: (_UNSUBSCRIBE_SCAN, _tracked(DAILY), _full(7 * DAY, wait=7 * DAY)),
        CONVERTED: (_ORDER_SCAN, _tracked(DAILY), _full(7 * DAY, wait=7 * DAY)),
        SPAM: (_RARE_COMPLAINT_SCAN, _tracked(DAILY, wait=DAILY)),
    },
    # Nothing counts these, so that all is done by the clock.
    "transactional": {
        SENT: (_recent("Send"), _tracked(DAILY), _full(7 * DAY)),
        OPENED: (_recent("Activity"), _only(OPENED, DAY)),
        BOUNCED: (_recent("Activity"), _only(BOUNCED, DAY)),
        CLICKED: (_only(CLICKED, HOUR),),
        UNSUBSCRIBED: (_UNSUBSCRIBE_SCAN,),
        CONVERTED: (_ORDER_SCAN,),
        SPAM: (_RARE_COMPLAINT_SCAN,),
    },
}
# fmt: on
"""Kind of message -> event -> the scans that may find it, narrow ones first."""
