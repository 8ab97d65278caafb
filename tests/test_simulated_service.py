"""The simulated service: nothing is missed, and a seed tells all of a history."""

import pytest
from simulation.lives import BEGIN
from simulation.people import People, people
from simulation.population import Shares
from simulation.prediction import predicted
from simulation.report import calls, contacts, costs, digests, freshness, picture_of, state
from simulation.result import Result, Retailer
from simulation.service import Course, EndedError, lived
from simulation.strategies import WEEK, reread
from simulation.targets import judged, targets

from bridge.clock import DAY, MINUTE
from bridge.service import Service

PAGE = 20
SOME = Retailer("small", 60, 1)
COURSE = Course(1, page=PAGE, rate=2, reading="filters", interval=30 * MINUTE)
BUSY = Shares(unsubscribed=0.2, complained=0.05, returned=1.0, joined=0.1)


def day_of(many: People) -> Result:
    """A day of a few people."""
    return lived("filters", SOME, many, COURSE)


def few() -> People:
    """People of whom many come and go."""
    return people(seed=3, begin=BEGIN, days=1, audience=60, talks=1, shares=BUSY)


def test_a_seed_tells_all_of_a_day() -> None:
    """Each event is told once, and each state of each contact.

    Again, all calls and events are the same at the same times, and the tables can be made of it.
    """
    many = few()
    first, again = (day_of(many) for _ in range(2))
    assert not first.missing
    assert not first.warnings
    assert first.freshness.seen > 50
    assert first.freshness.of("opened", 0, DAY) is not None
    assert first.identifies == 60 + len([one for one in many.changes if one.at < BEGIN + DAY])
    assert first.calls == sum(first.calls_of.values()) == sum(first.calls_by_day)
    assert (first.digest, first.events_digest) == (again.digest, again.events_digest)
    assert first.freshness == again.freshness
    week = reread("week", SOME, many, days=1, window=WEEK, page=PAGE)
    results = [first, week]
    made = (costs(results), calls(results), freshness(results), contacts(results), state(results))
    assert [table.row_count > 0 for table in (*made, digests(results))] == [True] * 6
    assert picture_of(results)["filters"]["rows"] > 1
    figures = list(judged({"filters": first}, {"filters": week}))
    assert targets(figures).row_count == len(figures)
    met = {one.what: one.met for one in figures}
    assert met["missed"]
    assert met["calls a second"]


@pytest.mark.parametrize("is_predicted", [False, True])
def test_a_service_that_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, *, is_predicted: bool
) -> None:
    """Nothing is told of the days that it did not live."""

    async def ends(_service: Service) -> None:
        pass

    monkeypatch.setattr(Service, "run", ends)
    with pytest.raises(ExceptionGroup) as raised:
        predicted(few(), COURSE, 1.0) if is_predicted else day_of(few())
    assert raised.group_contains(EndedError)
