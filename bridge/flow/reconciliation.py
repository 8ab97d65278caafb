"""Listrak's own numbers beside what was seen of a message: pure comparisons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from bridge.listrak import times, wire
from bridge.state.records import EventCount, Message
from bridge.telemetry import Metrics
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, UNSUBSCRIBED

REVENUE: Final = "revenue"

NOT_READ = "not read to its end yet"
READING = "being read now"
ASKED = "a whole look was asked for, and is due"
LESS = "more was seen than Listrak counts: its counter lags behind, or counts otherwise"
ORDERS = "several orders of a contact between two looks are one event: compare the revenue"
UNREAD_CLICKS = "clicks are not in BRIDGE_EVENTS, so they are not read"
UNSHOWN = "Listrak counts it and never shows it: several whole looks found no more"
UNTRACKED = "perhaps of sends that are not tracked: too old, or from before BRIDGE_SINCE"
UNEXPLAINED = "unexplained: --repair has the message read again"

EXACT: Final = 0.005
"""Amounts that differ by less are the same."""


class Figures(NamedTuple):
    """One counter of a message, and what was seen of it.

    `sent` is what became events for Segment, None where another resource decides that.
    """

    listrak: float
    seen: float
    sent: float | None
    dead: int


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one event; `reason` is the likely one of a difference, "" for none."""

    event: str
    figures: Figures
    reason: str

    @property
    def difference(self) -> float:
        """What Listrak counts and nobody saw; below 0 if more was seen."""
        return round(self.figures.listrak - self.figures.seen, 2)

    @property
    def repairable(self) -> bool:
        """Whether reading the message again may help."""
        return self.reason in (UNEXPLAINED, UNTRACKED)


@dataclass(frozen=True)
class Evidence:
    """What is known of a message on this side.

    `reading`: a look at it has begun; `wanted`: names of the events to send; `unshown`: by event,
    what Listrak counts and whole looks didn't find.
    """

    counts: Mapping[str, EventCount]
    reading: bool
    wanted: frozenset[str]
    unshown: Mapping[str, float] = field(default_factory=dict)


def counters(summary: wire.Summary) -> dict[str, int]:
    """Listrak's counters by the event that moves each; those it leaves out are left out."""
    found = {
        SENT: summary.sent_count,
        OPENED: summary.open_count,
        CLICKED: summary.click_count,
        BOUNCED: summary.bounce_count,
        CONVERTED: summary.conversion_count,
        UNSUBSCRIBED: summary.unsubscribe_count,
    }
    return {event: number for event, number in found.items() if number is not None}


def counted_of(summary: wire.Summary) -> dict[str, float]:
    """What is to be seen, by event: of orders the revenue, as several of a contact are one event.

    What Listrak leaves out is left out, but for the revenue of no orders at all.
    """
    found: dict[str, float] = {**counters(summary)}
    orders = found.pop(CONVERTED, None)
    if summary.revenue is not None or orders == 0:
        found[CONVERTED] = summary.revenue or 0.0
    return found


def seen_of(counts: Mapping[str, EventCount]) -> dict[str, float]:
    """What was seen, in the same terms."""
    return {
        event: count.amount if event == CONVERTED else count.seen for event, count in counts.items()
    }


def figures_of(summary: wire.Summary, counts: Mapping[str, EventCount]) -> dict[str, Figures]:
    """The figures of each counter that Listrak has of a message, and of the revenue."""
    found: dict[str, Figures] = {}
    for event, number in counters(summary).items():
        count = counts.get(event) or EventCount()
        # Who unsubscribed is told by the contacts, not by the message.
        sent = None if event == UNSUBSCRIBED else count.seen - count.unsent - count.dead
        found[event] = Figures(number, count.seen, sent, count.dead)
    if summary.revenue is not None:
        amount = round(seen_of(counts).get(CONVERTED, 0.0), 2)
        found[REVENUE] = Figures(summary.revenue, amount, amount, 0)
    return found


def compare(message: Message, summary: wire.Summary, evidence: Evidence) -> list[Line]:
    """A line for each counter of a message, and one for the revenue."""
    moved = msgspec.json.encode(summary).decode() != message.summary
    return [
        Line(event, figures, _reason(message, event, figures, evidence, moved=moved))
        for event, figures in figures_of(summary, evidence.counts).items()
    ]


class Comparison:
    """Sums for the metrics, list by list: of every tracked message, as it was last asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauges = (metrics.counted, metrics.seen, metrics.sent)
        # A pipeline before this one may have noted the same messages.
        for gauge in self._gauges:
            gauge.clear()
        self._noted: dict[int, dict[str, tuple[float, ...]]] = {}

    def note(
        self, message: Message, summary: wire.Summary, counts: Mapping[str, EventCount]
    ) -> None:
        """What Listrak counts of a message now, what was seen of it, and what of that was sent."""
        now: dict[str, tuple[float, ...]] = {
            event: (figures.listrak, figures.seen, figures.sent or 0)
            for event, figures in figures_of(summary, counts).items()
        }
        self._replace(message, now)

    def forget(self, message: Message) -> None:
        """A message that is no longer tracked."""
        self._replace(message, {})

    def _replace(self, message: Message, now: dict[str, tuple[float, ...]]) -> None:
        before = self._noted.pop(message.id, {})
        if now:
            self._noted[message.id] = now
        nothing = (0.0,) * len(self._gauges)
        for event in before | now:
            changes = zip(
                self._gauges, now.get(event, nothing), before.get(event, nothing), strict=True
            )
            for gauge, new, old in changes:
                gauge.labels(str(message.list_id), event).inc(new - old)


def _reason(
    message: Message, event: str, figures: Figures, evidence: Evidence, *, moved: bool
) -> str:
    """The likeliest reason of a difference."""
    difference = figures.listrak - figures.seen
    if abs(difference) < EXACT:
        return ""
    if message.looked_at is None:
        return NOT_READ
    if evidence.reading:
        return READING
    if message.asked:
        return ASKED
    if difference < 0:
        return LESS
    if event == CLICKED and CLICKED not in evidence.wanted:
        return UNREAD_CLICKS
    if moved:
        at = times.from_seconds(message.looked_at)[:16]
        return f"counted since it was read last ({at}Z); the next look finds it"
    if event == CONVERTED:
        return ORDERS
    unshown = evidence.unshown.get(CONVERTED if event == REVENUE else event, 0.0)
    if unshown and abs(difference - unshown) < EXACT:
        return UNSHOWN
    return UNEXPLAINED if message.kind == "broadcast" else UNTRACKED
