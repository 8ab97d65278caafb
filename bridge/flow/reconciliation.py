"""Likely reasons why Listrak's numbers of a message differ from what was seen, for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from bridge.event_types import CONVERTED
from bridge.flow.figures import REVENUE, TOLERANCE, Figures, figures_of
from bridge.listrak import times, wire
from bridge.state.records import EventCount, Message

NOT_READ = "not read to its end yet"
READING = "being read now"
REQUESTED = "a full poll was requested, and is due"
LESS = "more was seen than Listrak counts: its counter lags behind, or counts otherwise"
ORDERS = "several orders of a contact between two polls are one event: compare the revenue"
NEVER_SHOWN = (
    "Listrak counts it, and several full polls found no more of it among the sends that are tracked"
)
UNTRACKED = "perhaps of sends that are not tracked: too old, or from before BRIDGE_SINCE"
UNEXPLAINED = "unexplained: --repair has the message read again"


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one event.

    reason: the likely one of a difference, "" for none.
    """

    event: str
    figures: Figures
    reason: str

    @property
    def difference(self) -> float:
        """The number counted and not seen; below 0 if more was seen."""
        return round(self.figures.listrak - self.figures.seen, 2)

    @property
    def repairable(self) -> bool:
        """Tells whether reading the message again may help."""
        return self.reason in (UNEXPLAINED, UNTRACKED)


@dataclass(frozen=True)
class OwnNumbers:
    """The bridge's own numbers of a message.

    counts: numbers by event.
    reading: a full poll of it is open.
    never_shown: by event, what Listrak counts and full polls didn't find.
    """

    counts: Mapping[str, EventCount]
    reading: bool
    never_shown: Mapping[str, float] = field(default_factory=dict)


def compare(message: Message, summary: wire.Summary, own: OwnNumbers) -> list[Line]:
    """A line for each counter of a message, and one for the revenue."""
    changed = msgspec.json.encode(summary).decode() != message.summary
    return [
        Line(event, figures, _reason(message, event, figures, own, changed=changed))
        for event, figures in figures_of(summary, own.counts).items()
    ]


def _reason(
    message: Message, event: str, figures: Figures, own: OwnNumbers, *, changed: bool
) -> str:
    """The likeliest reason of a difference."""
    difference = figures.listrak - figures.seen
    if abs(difference) < TOLERANCE:
        return ""
    if message.polled_at is None:
        return NOT_READ
    if own.reading:
        return READING
    if message.rescan_requested:
        return REQUESTED
    if difference < 0:
        return LESS
    if changed:
        at = times.from_seconds(message.polled_at)[:16]
        return f"counted since it was read last ({at}Z); the next poll finds it"
    if event == CONVERTED:
        return ORDERS
    never_shown = own.never_shown.get(CONVERTED if event == REVENUE else event, 0.0)
    if never_shown and abs(difference - never_shown) < TOLERANCE:
        return NEVER_SHOWN
    return UNEXPLAINED if message.kind == "broadcast" else UNTRACKED
