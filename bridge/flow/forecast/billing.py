"""The bill of a month: what Segment counts, as far as known (bridge/segment/FACTS.md: Billing)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bridge.event_types import BOUNCED, IDENTIFY, OPENED, SENT
from bridge.flow.forecast.figures import AccountFigures
from bridge.flow.forecast.first_sync import FirstSync
from bridge.flow.forecast.usual import MessageClass

MONTH: Final = 30
"""Days of a month."""


_ONCE: Final = frozenset([SENT, OPENED, BOUNCED])
"""Events that an email has once at most: so many are so many people."""


class Billing(NamedTuple):
    """The bill of a month.

    users: MTUs, at least and at most: different people of whom there is any event.
    calls: API calls: events.
    """

    users: tuple[float, float]
    calls: float


def first_month(account: AccountFigures, events: dict[str, float], first: FirstSync) -> Billing:
    """The month that begins with the first synchronisation, which tells of all who subscribe."""
    least, most = account.people
    changed = MONTH * events.get(IDENTIFY, 0.0)
    calls = first.identifies + first.tracks + MONTH * sum(events.values())
    return Billing((least, most + changed), calls)


def later_month(
    account: AccountFigures, classes: Sequence[MessageClass], events: dict[str, float]
) -> Billing:
    """A month after that: people of whom nothing happens don't count.

    At least those of the largest number of one kind of event of one message; at most everybody, or
    as many as there are events.
    """
    wanted = _ONCE & events.keys()
    least = max((one.totals.get(name, 0.0) for one in classes for name in wanted), default=0.0)
    changed = MONTH * events.get(IDENTIFY, 0.0)
    everybody = account.people[1] + changed
    calls = MONTH * sum(events.values())
    most = min(everybody, calls)
    return Billing((min(least, most), most), calls)
