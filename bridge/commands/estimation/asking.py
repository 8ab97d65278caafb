"""The surroundings of who asks: counted calls, bounds, and notes of what could not be read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.clock import DAY
from bridge.commands.terminal import terminal
from bridge.errors import BridgeError, RefusedError, TemporaryError, is_isolated
from bridge.flow.forecast.figures import Cost
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.pages import PageOf
from bridge.listrak.paging import Trail
from bridge.listrak.times import Zone
from bridge.metrics import Metrics

Answer = TypeVar("Answer")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Bounds:
    """The most that is asked of an account: an estimate is to cost little.

    counters: messages whose Summary is read.
    ongoing: messages that go on sending of which recent emails are read.
    contact_pages: pages of contacts.
    sample_pages: pages of emails, and of clicks, that show how events spread over time.
    page_rows: rows of a full page.
    """

    counters: int = 200
    ongoing: int = 60
    contact_pages: int = 100
    sample_pages: int = 10
    page_rows: int = wire.MOST_ROWS


@dataclass
class Asking:
    """The surroundings of whoever asks.

    at_once: calls side by side.
    now: seconds since 1970, by Listrak's clock, once it is known.
    problems: what could not be read, with the reasons.
    notes: what was not asked for, in sentences.
    """

    listrak: Listrak
    metrics: Metrics
    zone: Zone
    at_once: int
    bounds: Bounds
    now: float = 0.0
    problems: dict[str, BridgeError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def cost(self) -> Cost:
        """The calls so far by resource, and the rows of those that are paged."""
        return self.cost_since(Cost())

    def cost_since(self, before: Cost) -> Cost:
        """The calls and rows that came since then."""
        cost = Cost()
        cost.calls.update(self.metrics.by_resource(self.metrics.listrak_calls))
        cost.rows.update(self.metrics.by_resource(self.metrics.listrak_rows))
        for now, then in ((cost.calls, before.calls), (cost.rows, before.rows)):
            for resource, number in then.items():
                now[resource] -= number
        return cost

    async def attempt(self, what: str, reading: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The answer of a reading; None where that fails by itself, which is noted as a problem.

        Raises what fails with all else.
        """
        try:
            return await reading()
        except (RefusedError, TemporaryError) as error:
            if not is_isolated(error):
                raise
            self.problems[what] = error
            return None

    def since(self, days: float) -> str:
        """The naive time so many days ago."""
        return self.zone.naive_from(times.from_seconds(self.now - days * DAY))

    def seconds(self, text: str | None) -> float | None:
        """A naive time as seconds since 1970, None for none."""
        found = self.zone.lenient(text)
        return times.seconds(found) if found else None

    def tell(self, text: str) -> None:
        """Tells a person what is done now."""
        terminal(stderr=True).print(text)

    def tell_days(self, done: int, of: int) -> None:
        """Tells a person how far the days to come are."""
        self.tell(f"The days to come: messages of kind {done + 1} of {of} ...")


async def first_pages(
    what: str,
    read: Callable[[str], Awaitable[PageOf[Row]]],
    most: int,
    take: Callable[[Sequence[Row]], None],
) -> bool:
    """Hands over the rows of the first pages of a collection; tells whether these are all.

    most: number of pages.
    """
    cursor, trail = wire.START, Trail(what, wire.START)
    for _ in range(most):
        page = await read(cursor)
        take(page.rows)
        following = trail.after(page)
        if following is None:
            return True
        cursor = following
    return False
