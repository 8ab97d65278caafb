"""What `estimate` expects of a retailer, beside what the service then does there.

The service lives through some days first, so that what it learns in them is known; then the account
is estimated, as before a first start, and the days that follow are measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import anyio
from bench.tables import Target, table
from rich.table import Table
from virtual.loop import VirtualLoop
from virtual.server import serve

from bridge.clock import DAY
from bridge.commands.estimate import ReadAccount, read_account
from bridge.commands.estimation.asking import Bounds
from bridge.environment import settings
from bridge.flow.forecast.forecast import Forecast, forecast
from simulation.listrak import Listrak, Reading
from simulation.lives import BEGIN, course_of, listed
from simulation.people import People
from simulation.population import USUAL, Shares
from simulation.result import Result, Retailer
from simulation.service import Course, environment, living
from simulation.targets import Judged

WARM: Final = 2.5
"""Days that are lived before the estimate: not a whole number, as contacts are swept once a day."""

DAYS: Final = 3
"""Days that are measured."""

HISTORY: Final = 31
"""Days that the retailer has sent before the service starts: what is tracked is all there."""

TOLERANCE: Final = 0.15
"""Fraction by which an estimate may differ from what is measured."""

RESOURCES: Final = ("activity", "clickers", "links", "contacts")
"""What rows are counted of; the others, of listings, are few."""


class Day(NamedTuple):
    """What a day costs and brings on average, or all days up to a moment.

    rows: of RESOURCES.
    events: identifies among them.
    """

    calls: float
    rows: float
    events: float


@dataclass(frozen=True)
class Prediction:
    """An estimate, and what the service did in the days that followed."""

    expected: Forecast
    measured: Day

    @property
    def estimated(self) -> Day:
        """What was estimated, in the same terms."""
        cost = self.expected.cost
        rows = sum(cost.rows[resource] for resource in RESOURCES)
        return Day(cost.all_calls, rows, sum(self.expected.events.values()))

    @property
    def errors(self) -> dict[str, float]:
        """By figure, the fraction by which it was estimated too high; below 0 too low."""
        pairs = zip(Day._fields, self.estimated, self.measured, strict=True)
        return {name: estimated / measured - 1 for name, estimated, measured in pairs}


def of_retailer(retailer: Retailer, *, seed: int, reading: Reading = "filters") -> Prediction:
    """The prediction of a retailer, as its simulated list has it."""
    many = with_history(retailer, WARM + DAYS, seed=seed)
    return predicted(many, course_of(retailer, DAYS, reading), WARM)


def judged(prediction: Prediction) -> Iterator[Judged]:
    """Each figure beside what it may be off by."""
    for name, error in prediction.errors.items():
        yield Judged("estimate", f"{name} a day, off by", abs(error), Target(TOLERANCE, most=True))


def predicted_beside_measured(prediction: Prediction) -> Table:
    """What was estimated beside what was measured, of the simulated list."""
    made = table("Estimate", "a day", "estimated", "measured", "off by")
    pairs = zip(Day._fields, prediction.estimated, prediction.measured, strict=True)
    for name, estimated, measured in pairs:
        error = prediction.errors[name]
        made.add_row(name, f"{estimated:,.0f}", f"{measured:,.0f}", f"{error:+.1%}")
    return made


def predicted(many: People, course: Course, warm: float) -> Prediction:
    """Lives through the days of a course after `warm` others: the same twice."""
    known, measured = anyio.run(
        _live, many, course, warm, backend_options={"loop_factory": VirtualLoop}
    )
    return Prediction(forecast(known.account, known.terms), measured)


def with_history(retailer: Retailer, days: float, *, seed: int, shares: Shares = USUAL) -> People:
    """The people of a retailer that has been sending for long when the service starts."""
    began = BEGIN - HISTORY * DAY
    return replace(listed(retailer, seed, began, HISTORY + int(days) + 1, shares), begin=BEGIN)


async def _live(many: People, course: Course, warm: float) -> tuple[ReadAccount, Day]:
    """Lives through the days, on a VirtualLoop."""
    result = Result("prediction", Retailer("predicted", 1, 1, 1), course.days)
    async with living(result, many, course) as running:
        # Asked by itself, so that what the service costs can be told.
        asked = Listrak(many, running.now, page=course.page, reading=course.reading)
        async with serve(asked.answer, running.now) as source:
            await anyio.sleep(warm * DAY)
            before = _so_far(running.listrak, result)
            environ = environment(source, running.sink, running.folder / "none.db", course)
            known = await read_account(settings.load(environ), None, _bounds(course.page))
            await anyio.sleep(course.days * DAY)
            after = _so_far(running.listrak, result)
    pairs = zip(before, after, strict=True)
    return known, Day(*((late - early) / course.days for early, late in pairs))


def _bounds(page: int) -> Bounds:
    """As many rows as an estimate asks for, in pages of this size."""
    usual = Bounds()
    return Bounds(
        usual.counters,
        usual.ongoing,
        usual.contact_pages * usual.page_rows // page,
        usual.sample_pages * usual.page_rows // page,
        page,
    )


def _so_far(listrak: Listrak, result: Result) -> Day:
    return Day(
        sum(listrak.calls.values()),
        sum(listrak.rows[resource] for resource in RESOURCES),
        result.freshness.seen + result.identifies,
    )
