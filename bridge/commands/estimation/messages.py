"""Reads the counters of messages, and what comes in a day of those that go on sending."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from bridge.clock import DAY
from bridge.commands.estimation.asking import Asking
from bridge.commands.progress import side_by_side
from bridge.errors import MissingError
from bridge.event_types import CONVERTED, EVENT_TYPES, SENT
from bridge.flow.figures import counters
from bridge.flow.forecast.figures import MessageFigures
from bridge.flow.planner.filter_check import GRACE
from bridge.listrak import wire
from bridge.listrak.client import RowFilter
from bridge.state.records import MessageRef

Item = TypeVar("Item")

SPANS: Final = (7.0, 1.0, 1 / 24)
"""Days of recent emails that are asked for: fewer where a page has no more."""


class Asked(NamedTuple):
    """A message that was asked for.

    ref: as it is listed.
    figures: what came of it.
    revenue: of all orders.
    orders: number of them.
    """

    ref: MessageRef
    figures: MessageFigures
    revenue: float = 0.0
    orders: float = 0.0


def sampled(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most so many items, evenly from all of them."""
    if len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]


@dataclass
class MessageReader:
    """Reads figures of messages.

    window: seconds of the past that messages count as usual.
    tracked: seconds of the past whose broadcasts a first start takes up.
    """

    asking: Asking
    window: float
    tracked: float

    async def broadcasts(self, listed: Sequence[tuple[MessageRef, float]]) -> list[Asked]:
        """The figures of broadcasts, or of a sample of them; each with its time since 1970."""
        asking = self.asking
        wanted = [one for one in listed if asking.now - one[1] <= max(self.window, self.tracked)]
        asked = sampled(wanted, asking.bounds.counters)
        if len(asked) < len(wanted):
            asking.notes.append(
                f"Of {len(wanted):,} broadcasts {len(asked):,} were asked for their counters"
            )
        found: list[Asked] = []

        async def read(one: tuple[MessageRef, float]) -> None:
            ref, sent = one
            summary = await self._summary(ref)
            if summary is not None:
                age = max(0.0, asking.now - sent)
                figures = MessageFigures(
                    kind=ref.kind,
                    age=age,
                    counts=dict(counters(summary)),
                    stands_for=len(wanted) / len(asked),
                    is_recent=age <= self.window,
                    is_taken_up=age <= self.tracked,
                )
                found.append(_with_orders(ref, figures, summary))

        await side_by_side("counters of broadcasts", asked, read, at_once=asking.at_once)
        return sorted(found, key=lambda one: one.ref)

    async def ongoing(self, listed: Sequence[MessageRef]) -> list[Asked]:
        """The figures of messages that go on sending, or of a sample of them."""
        asking = self.asking
        asked = sampled(listed, asking.bounds.ongoing)
        if len(asked) < len(listed):
            asking.notes.append(
                f"Of {len(listed):,} messages that go on sending {len(asked):,} were asked for"
            )
        found: list[Asked] = []

        async def read(ref: MessageRef) -> None:
            summary = wire.Summary()
            if ref.kind == "conversation":
                told = await self._summary(ref)
                if told is None:
                    return
                summary = told
            counts = counters(summary)
            daily = await self._daily(ref, counts)
            figures = MessageFigures(
                kind=ref.kind,
                counts=dict(counts) or {SENT: daily.get(SENT, 0.0) * self.tracked / DAY},
                daily=daily,
                stands_for=len(listed) / len(asked),
            )
            found.append(_with_orders(ref, figures, summary))

        await side_by_side("messages that go on", asked, read, at_once=asking.at_once)
        return sorted(found, key=lambda one: one.ref)

    async def _summary(self, ref: MessageRef) -> wire.Summary | None:
        listrak = self.asking.listrak

        async def read() -> wire.Summary:
            try:
                return await listrak.summary(ref.path)
            except MissingError:
                return wire.Summary()

        return await self.asking.attempt(f"counters of list {ref.list_id}", read)

    async def _daily(self, ref: MessageRef, counts: dict[str, int]) -> dict[str, float]:
        """The events of a message a day, by the emails that it sent lately.

        What comes of an email is taken from the counters, which know all of them; where there are
        none, from the rows.
        """
        recent = await self._recent(ref, counts.get(SENT, 0))
        sends = recent.get(SENT, 0.0)
        if not counts.get(SENT):
            return recent
        return {
            name: sends * number / counts[SENT]
            for name, number in ({**recent, **counts}).items()
            if name in counts
        } | {name: number for name, number in recent.items() if name not in counts}

    async def _recent(self, ref: MessageRef, ever: int) -> dict[str, float]:
        asking, path = self.asking, ref.path
        for days in SPANS:
            since = asking.since(days)
            page = await asking.attempt(
                f"emails of list {ref.list_id}",
                lambda since=since: asking.listrak.activity(  # type: ignore[misc]
                    path, wire.START, RowFilter(since=since)
                ),
            )
            if page is None:
                return {}
            dates = [asking.seconds(row.send_date) for row in page.rows]
            oldest = asking.now - days * DAY
            lately = [
                row
                for row, date in zip(page.rows, dates, strict=True)
                if date is None or date >= oldest
            ]
            is_ignored = any(date is not None and date < oldest - GRACE for date in dates)
            if page.next_cursor is None:
                return _numbers(lately, 1 / days)
            if is_ignored:
                # All emails came, whatever was asked for: the share of the recent ones counts.
                return _numbers(lately, max(1.0, ever / len(page.rows)) / days)
            if days == SPANS[-1]:
                asking.notes.append(
                    f"A message of list {ref.list_id} sends more than {len(lately):,} emails an "
                    "hour: what it costs is underestimated"
                )
                return _numbers(lately, 1 / days)
        raise AssertionError("unreachable: the last span returns")


def _numbers(rows: Sequence[wire.Activity], each: float) -> dict[str, float]:
    """Events that rows show, each counting so much."""
    numbers: Counter[str] = Counter()
    for row in rows:
        for one in EVENT_TYPES:
            if one.is_shown_by(row):
                clicks = row.click_count or 1
                numbers[one.name] += clicks if one.row_field == "click_count" else 1
    return {name: number * each for name, number in numbers.items()}


def _with_orders(ref: MessageRef, figures: MessageFigures, summary: wire.Summary) -> Asked:
    orders = counters(summary).get(CONVERTED, 0)
    return Asked(ref, figures, summary.revenue or 0.0, orders)
