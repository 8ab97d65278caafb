"""Listrak's counters of a message beside what was seen of it, in the same terms."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.event_types import CONVERTED, EVENT_TYPES, UNSUBSCRIBED
from bridge.listrak import wire
from bridge.state.records import EventCount

REVENUE: Final = "revenue"
"""The name of a figure that is an amount."""

Counts = Mapping[str, float]
"""Numbers by event; of orders it is the revenue, which can be compared to the cent."""

TOLERANCE: Final = 0.005
"""Difference below which numbers (amounts among them) count as equal."""

# By event name, the Summary's field.
_COUNTERS: Final = {event.name: event.counter for event in EVENT_TYPES if event.counter}


class Figures(NamedTuple):
    """One counter of a message beside what was seen of it.

    listrak: what Listrak counts.
    seen: what was seen.
    sent: what became events for Segment; None where another resource decides that.
    dead: what became dead letters.
    """

    listrak: float
    seen: float
    sent: float | None
    dead: int


def counters(summary: wire.Summary) -> dict[str, int]:
    """Listrak's counters by the event that moves each; those it leaves out are left out."""
    numbers = {name: getattr(summary, field) for name, field in _COUNTERS.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def counted_of(summary: wire.Summary) -> Counts:
    """Numbers to be seen, by event; of orders the revenue, as several of a contact are one event.

    A number that Listrak leaves out is left out, but for the revenue of no orders at all.
    """
    counted: dict[str, float] = {**counters(summary)}
    orders = counted.pop(CONVERTED, None)
    if summary.revenue is not None or orders == 0:
        counted[CONVERTED] = summary.revenue or 0.0
    return counted


def seen_of(counts: Mapping[str, EventCount]) -> Counts:
    """Numbers seen, by event; of orders the revenue."""
    return {
        event: count.amount if event == CONVERTED else count.seen for event, count in counts.items()
    }


def figures_of(summary: wire.Summary, counts: Mapping[str, EventCount]) -> dict[str, Figures]:
    """The figures of each counter that Listrak has of a message, and of the revenue."""
    figures: dict[str, Figures] = {}
    for event, number in counters(summary).items():
        count = counts.get(event) or EventCount()
        # Unsubscribes are sent from the contacts, not from the message.
        sent = None if event == UNSUBSCRIBED else count.seen - count.unsent - count.dead
        figures[event] = Figures(number, count.seen, sent, count.dead)
    if summary.revenue is not None:
        orders = counts.get(CONVERTED) or EventCount()
        amount = round(orders.amount, 2)
        revenue = round(orders.amount - orders.unsent_amount, 2)
        figures[REVENUE] = Figures(summary.revenue, amount, revenue, 0)
    return figures
