"""What finding changes may cost and how soon it has to be done, held against the results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bench.tables import Target, table
from rich.table import Table

from bridge.clock import DAY, HOUR, MINUTE
from simulation.freshness import ALWAYS
from simulation.population import KINDS
from simulation.result import Result

POLL: Final = MINUTE

WITHIN: Final = (
    ("a day", 0.0, DAY, 2 * POLL, ("opened", "clicked", "bounced", "ordered")),
    ("a week", DAY, 7 * DAY, 5 * MINUTE, ("opened", "clicked", "ordered")),
    ("a month", 7 * DAY, ALWAYS, 12 * MINUTE, ("opened", "clicked", "ordered")),
    ("a month", 0.0, ALWAYS, 6 * MINUTE, ("complained",)),
)
"""Ages of an email: their name, from when to when; seconds that p95 may be late; of which kinds."""

SLOWEST: Final = 2 * HOUR
SLOWEST_HIDDEN: Final = 13 * HOUR
"""Seconds that any event may be late, but for sends; and those that only scans show which read all
like them again: opens after a bounce, and opens of conversations, whose rows can't be asked for by
their activity's date. To ask more often for these few would take more rows than all else."""

POORER: Final = 10
"""Times as late as with the full budget that anything may be with a tenth of it."""

ORDERS_UNFILTERED: Final = {"small": HOUR, "large": 12 * HOUR}
"""Seconds that p95 of orders may be late where activityType doesn't filter."""

QUIET_CALLS: Final = {1: 9983, 3: 8333, 8: 7675, 11: 7348}
"""By day: calls of an account where nothing happens, as they were when orders waited for three
hours; a hundredth more is the same, as a poll may fall into another minute."""

BEGUN: Final = 10
"""Days after which the state file is held against what it tracks."""

FULL: Final = 31
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


def judged(results: Mapping[str, Result], weeks: Mapping[str, Result]) -> Iterator[Judged]:
    """All targets of the lives that there are.

    results: by the name of the life.
    weeks: a week re-read hourly, by the name of the life.
    """
    for result in results.values():
        yield Judged(result.name, "missed", result.missed, _most(0), ".0f")
    if main := results.get("filters"):
        yield Judged(main.name, "calls a second", main.calls_a_second, _most(1))
        yield Judged(main.name, "rows read per new event", main.rows_per_event, _most(2))
        yield from _fresh(main, 1)
        yield from _slowest(main, 1)
        yield from _state(main)
    if poor := results.get("0.5 calls/s"):
        # Tokens come on top of what is limited.
        yield Judged(poor.name, "calls a second", poor.calls_a_second, _most(0.505))
        yield from _fresh(poor, POORER)
        yield from _slowest(poor, POORER)
    for name in ("ignored", "refused", "small, ignored", "small, refused"):
        if name in results:
            yield from _unfiltered(results[name], weeks[name])
    if quiet := results.get("quiet"):
        for day, most in QUIET_CALLS.items():
            if day <= quiet.days:
                figure = quiet.calls_by_day[day - 1]
                target = _most(round(most * 1.01))
                yield Judged(quiet.name, f"calls on day {day}", figure, target, ".0f")


def _fresh(result: Result, times: int) -> Iterator[Judged]:
    for age, least, most, seconds, kinds in WITHIN:
        for kind in kinds:
            if late := result.freshness.of(kind, least, most):
                what = f"seconds until delivered, p95: {kind} within {age}"
                yield Judged(result.name, what, late[1], _most(seconds * times), ".0f")


def _slowest(result: Result, times: int) -> Iterator[Judged]:
    found = result.freshness
    for which, slowest, most in (
        ("all that a date leads to", found.open, SLOWEST),
        ("what is hidden", found.hidden, SLOWEST_HIDDEN),
    ):
        late = {kind: seconds for kind, seconds in slowest.items() if kind in KINDS[1:]}
        if late:
            kind = max(late, key=lambda kind: late[kind])
            what = f"hours until delivered, the slowest of {which} ({kind})"
            yield Judged(result.name, what, late[kind] / HOUR, _most(most * times / HOUR), ".1f")


def _state(result: Result) -> Iterator[Judged]:
    for size, events in result.state[BEGUN - 1 :: BEGUN]:
        what = "state file, bytes an event of those tracked"
        yield Judged(result.name, what, size / max(1, events), _most(12), ".1f")
    if len(result.state) > FULL:
        grown = max(size for size, _ in result.state[FULL:]) / result.state[FULL - 1][0]
        yield Judged(result.name, "state file, of its size after a month", grown, _most(1.1))


def _unfiltered(result: Result, week: Result) -> Iterator[Judged]:
    if late := result.freshness.of("ordered", 0.0, ALWAYS):
        most = ORDERS_UNFILTERED[result.retailer.name] / HOUR
        what = "hours until delivered, p95: ordered"
        yield Judged(result.name, what, late[1] / HOUR, _most(most), ".1f")
    fewer = week.rows_a_day / result.rows_a_day
    yield Judged(result.name, f"times fewer rows than {week.name}", fewer, Target(5), ".1f")


def targets(figures: Sequence[Judged]) -> Table:
    """The targets, and whether they were met."""
    made = table("Targets", "strategy", "what", "figure")
    for one in figures:
        made.add_row(one.strategy, one.what, one.target.judge(one.figure, one.form))
    return made


def _most(value: float) -> Target:
    return Target(value, most=True)
