"""The times of polls: pure functions of what is known and of the present."""

import math
from collections.abc import Iterable
from typing import Final

from bridge.clock import DAY, HOUR, MINUTE
from bridge.listrak import times
from bridge.state.records import Kind, ListState, Message
from bridge.transport.priority import Priority

SWEEP_INTERVAL: Final = DAY
"""Seconds between two sweeps of all contacts: only they show changed profile values."""

FULL_DISCOVERY_EVERY: Final = 10
"""Discoveries, one a poll interval, of which one lists everything: split tests, conversations and
transactional messages as well as broadcasts."""

BACKFILL_INTERVAL: Final = HOUR
"""Seconds between two checks for a backfill; one that is requested begins at once."""

LONGEST_ATTRIBUTION_WAIT: Final = 1 * HOUR
"""Seconds that an unsubscribe waits at most until it is known which message it came through; longer
than planner.scan_types.UNSUBSCRIBE_WAIT, after which the scan that shows it is made."""

LIST_DOUBT_INTERVAL: Final = 1.0
"""Seconds after which a list that an answer misses is asked for again, before that is believed."""

LIST_CHECK_INTERVAL: Final = 10 * MINUTE
"""Seconds between two checks of whether the account still has the configured lists."""

LIST_RETRY_INTERVAL: Final = 1 * MINUTE
"""Seconds until a list that could not be read for now is asked for again."""

STATUS_RETRY_INTERVAL: Final = 1 * MINUTE
"""Seconds until a taken status port is tried again."""

REQUEST_INTERVAL: Final = 5.0
"""Seconds between two checks for requests from outside."""

ERASE_INTERVAL: Final = 1.0
"""Seconds between two checks for addresses to be erased."""

CONTACT_OVERLAP: Final = 2 * HOUR
"""Seconds by which a query for recent contacts reaches back further than needed: clocks differ, and
an hour of naive times repeats every autumn."""

GONE_AFTER: Final = DAY
"""Seconds for which Listrak has to say that it doesn't have a message that is over, until it is
given up: one answer may be a server's mistake."""

POSTPONED_INTERVALS: Final = 15
"""Poll intervals until what Listrak refused, or doesn't have, is requested again."""

MOST_INTERVALS_SET_ASIDE: Final = 30
"""Poll intervals at most between two tries of what is set aside."""

LONGEST_NAME_WAIT: Final = 1 * HOUR
"""Seconds that the events of a message wait at most for names that can't be read: its campaign's,
and what only the message itself tells."""

AGE_INTERVALS: Final = (
    (DAY, 1, 5, 30),
    (3 * DAY, 3, 20, 70),
    (7 * DAY, 4, 60, 70),
    (math.inf, 10, 60, 200),
)
"""Rows of a limit of age in seconds, the poll intervals between two polls of a younger message, the
most of them where it is quiet, and the number of polls of a quiet one in a time as long as that
since its last change."""

KIND_FACTORS: Final[dict[Kind, tuple[int, int]]] = {
    "broadcast": (1, 1),
    "conversation": (4, 1),
    "transactional": (5, 5),
}
"""Factors of these intervals, and of the most of them: there are many conversation messages, each
with few emails at a time, and of transactional messages each poll reads rows, as they have no
Summary."""

FRESH_INTERVALS: Final = 1
RECENT_INTERVALS: Final = 5
"""Poll intervals between two polls of what counts as fresh, and as recent, at most."""

DETAILS_INTERVAL: Final = DAY
"""Seconds after which a message that is polled is asked for by itself again: only that tells its
Google Analytics campaign."""

COUNTER_DELAY_INTERVALS: Final = 5
"""Poll intervals after which a counter counts as up to date: it may lag behind."""


def sent_at(message: Message) -> float:
    """Time at which a message was sent, else discovered, in seconds since 1970."""
    return times.seconds(message.sent_at) if message.sent_at else message.discovered_at


def age(message: Message, now: float) -> float:
    """Seconds since a message was sent; of one that goes on sending, since anything changed."""
    if message.kind == "broadcast":
        return max(0.0, now - sent_at(message))
    return max(0.0, now - (message.changed_at or message.discovered_at))


def poll_delay(message: Message, now: float, poll_interval: float) -> float:
    """Seconds until a message is polled again: what is fresh every interval, older ones less.

    Where nothing has changed for long, little is missed by polling a little later.
    """
    _, most, polls = _intervals_of(message, now)
    usual = poll_interval * usual_intervals(message, now)
    quiet = now - (message.changed_at or min(message.discovered_at, sent_at(message)))
    return max(usual, min(quiet / polls, poll_interval * most * KIND_FACTORS[message.kind][1]))


def usual_intervals(message: Message, now: float) -> int:
    """Poll intervals between two polls of a message to which things happen."""
    return _intervals_of(message, now)[0] * KIND_FACTORS[message.kind][0]


def _intervals_of(message: Message, now: float) -> list[int]:
    """The columns of AGE_INTERVALS for a message."""
    seconds = age(message, now)
    return next(columns for limit, *columns in AGE_INTERVALS if seconds < limit)


def priority(message: Message, now: float) -> Priority:
    """The priority of calls for a message: by how often it is polled."""
    intervals = usual_intervals(message, now)
    if intervals <= FRESH_INTERVALS:
        return Priority.FRESH
    return Priority.RECENT if intervals <= RECENT_INTERVALS else Priority.OLD


def is_over(message: Message, track: float, now: float) -> bool:
    """Tells whether a message is over: `track` seconds after it was sent.

    Messages of the other kinds go on sending; of them, old sends are forgotten instead. A draft
    that nobody sent yet may still be sent.
    """
    if not message.sent_at and message.properties is None:
        return False
    return message.kind == "broadcast" and now >= sent_at(message) + track


def attributable_until(last_polls: Iterable[float], poll_interval: float, now: float) -> float:
    """Time up to which noted unsubscribes are sent, in by the clock for what waits.

    1. Every message of the list, and their discovery, was polled since, and no counter lags any
       more: all that could attribute them to a message is known.
    2. LONGEST_ATTRIBUTION_WAIT has passed.

    last_polls: start of the last poll of each, 0 for none.
    """
    polled = min(last_polls) - COUNTER_DELAY_INTERVALS * poll_interval  # 1
    return max(polled, now - LONGEST_ATTRIBUTION_WAIT)  # 2


def is_sweep_due(state: ListState, now: float) -> bool:
    """Tells whether all contacts of a list are to be read, not only the recent ones."""
    return state.swept_at is None or now - state.swept_at >= SWEEP_INTERVAL


def set_aside_delay(failures: int, poll_interval: float) -> float:
    """Seconds until a part that is set aside is tried again, after so many failures in a row."""
    intervals = 2.0 ** min(failures - 1, 30)
    return min(intervals, MOST_INTERVALS_SET_ASIDE) * poll_interval
