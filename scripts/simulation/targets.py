"""What finding changes may cost and how soon it has to be done, held against the results."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.tables import Target, table
from rich.table import Table

from simulation.population import DAY, HOUR, MINUTE
from simulation.report import Scale
from simulation.strategies import Result

POLL = MINUTE
BEGUN = 10
"""Days after which the state file is held against what it tracks."""

FULL = 31
"""Days after which as much is forgotten as comes."""


class Judged(NamedTuple):
    """A figure beside its target."""

    strategy: str
    what: str
    figure: float
    target: Target
    form: str = ".2f"

    @property
    def met(self) -> bool:
        """Whether it is as it should be."""
        return self.target.met(self.figure)


def judged(likely: Result, worst: list[Result], week: Result, scale: Scale) -> Iterator[Judged]:
    """All targets: where filters work, and where they don't; `week`: a week re-read hourly."""
    for result in (likely, *worst):
        yield Judged(result.name, "events missed", result.missed, _most(0), ".0f")
        yield Judged(result.name, "calls a second", scale.calls_a_second(result), _most(5))
    per_event = scale.rows_per_event(likely)
    yield Judged(likely.name, "rows read per new event", per_event, _most(2))
    for kind in ("opened", "clicked", "bounced"):
        for age, least, most, bound in (("day", 0.0, DAY, 2 * POLL), ("week", DAY, 7 * DAY, HOUR)):
            if late := likely.freshness.of(kind, least, most):
                what = f"seconds until seen, p95: {kind} within a {age}"
                yield Judged(likely.name, what, late[1], _most(bound), ".0f")
    for kind in ("ordered", "complained"):
        yield from _hours(likely, kind, 6)
    for size, events in likely.state[BEGUN - 1 :: BEGUN]:
        yield Judged(likely.name, "state file, bytes an event", size / events, _most(12))
    if len(likely.state) > FULL:
        grown = max(size for size, _ in likely.state[FULL:]) / likely.state[FULL - 1][0]
        yield Judged(likely.name, "state file, of its size after a month", grown, _most(1.1))
    for result in worst:
        yield from _hours(result, "ordered", 24)
        fewer = scale.rows(week) / scale.rows(result)
        yield Judged(result.name, f"times fewer rows than {week.name}", fewer, Target(5), ".1f")


def targets(figures: list[Judged]) -> Table:
    """The targets, and whether they were met."""
    made = table("Targets", "strategy", "what", "figure")
    for one in figures:
        made.add_row(one.strategy, one.what, one.target.judge(one.figure, one.form))
    return made


def _hours(result: Result, kind: str, most: float) -> Iterator[Judged]:
    if late := result.freshness.of(kind, 0.0, 1e12):
        what = f"hours until seen, p95: {kind}"
        yield Judged(result.name, what, late[1] / HOUR, _most(most), ".1f")


def _most(value: float) -> Target:
    return Target(value, most=True)
