"""The forecast: lives of synthetic messages by the planner's own rules, and the sums of them."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.clock import DAY, HOUR
from bridge.event_types import (
    BOUNCED,
    CLICKED,
    CONVERTED,
    IDENTIFY,
    OPENED,
    SENT,
    SPAM,
    TRACKS,
    UNSUBSCRIBED,
)
from bridge.flow.forecast.figures import (
    AccountFigures,
    Behaviour,
    ContactFigures,
    Cost,
    ListFigures,
    MessageFigures,
    Terms,
)
from bridge.flow.forecast.first_sync import first_sync
from bridge.flow.forecast.forecast import forecast
from bridge.flow.forecast.life import Course, Life, LifeReader
from bridge.flow.forecast.spread import OPENING, Spread, measured
from bridge.flow.forecast.synthetic import SyntheticMessage
from bridge.flow.forecast.usual import classes_of
from bridge.flow.scheduling import schedule

FILTERS = frozenset(["open", "bounce", "unsubscribe", "conversion", "abuse", "click"])
TOTALS = {
    SENT: 1000.0,
    OPENED: 300.0,
    CLICKED: 60.0,
    BOUNCED: 10.0,
    CONVERTED: 5.0,
    UNSUBSCRIBED: 3.0,
    SPAM: 2.0,
}
TERMS = Terms(600.0, 30 * DAY, 5.0, frozenset(TRACKS), 1000.0, 0.0, 5000)
COURSE = Course(TERMS, FILTERS, is_proven=True)
BEHAVIOUR = Behaviour(dated={OPENED: 0.99, BOUNCED: 1.0}, links=(3, 1), filters=FILTERS)


def life_of(totals: dict[str, float], course: Course = COURSE) -> Life:
    """The whole life of a broadcast."""
    rng = np.random.default_rng(1)
    return LifeReader(SyntheticMessage("broadcast", totals, BEHAVIOUR, rng), course).live(90 * DAY)


def account_of(*messages: MessageFigures, contacts: float = 12_000) -> AccountFigures:
    """An account with a list."""
    discovery, recent = Cost(), Cost()
    discovery.note("messages", 2, 20)
    recent.note("messages", 1, 2)
    figures = ContactFigures(contacts, new=4, left=2)
    lookup = Cost()
    lookup.note("lists", 1)
    return AccountFigures(
        lists=[ListFigures(1, figures, discovery, recent, messages)],
        window=30 * DAY,
        people=(contacts, contacts),
        lookup=lookup,
        page_seconds=0.5,
        behaviour=BEHAVIOUR,
    )


def test_a_spread_is_what_was_measured() -> None:
    """Shares grow from 0 to 1, what is drawn follows them; few delays are not enough."""
    delays = np.arange(1.0, 101.0)
    spread = measured(delays, OPENING)
    assert spread.is_measured
    assert [spread.share(at) for at in (0, 50, 101)] == [0.0, pytest.approx(0.495), 1.0]
    drawn = spread.draw(np.random.default_rng(1), 10_000)
    assert float(np.median(drawn)) == pytest.approx(50, rel=0.05)
    assert measured(delays[:5], OPENING) is OPENING
    later = Spread([10.0], is_measured=True).after(spread, np.random.default_rng(1))
    assert later.share(10.0) == 0.0


@pytest.mark.parametrize("filters", [FILTERS, frozenset[str]()])
def test_a_life_finds_all_that_happens(filters: frozenset[str]) -> None:
    """Each event is read once, whatever the account filters by, and the last poll ends it."""
    life = life_of(TOTALS, replace(COURSE, filters=filters))
    found = {name: sum(map(len, one.waited)) for name, one in life.delays.items()}
    rng = np.random.default_rng(1)
    events = SyntheticMessage("broadcast", TOTALS, BEHAVIOUR, rng).events
    first = sum(one.until(0.0) for one in events.values())
    due = {name: one.until(30 * DAY) for name, one in events.items()}
    assert sum(found.values()) == sum(due.values()) - first
    assert life.cost.calls["summary"] == life.polls
    assert life.cost.rows["activity"] >= due[SENT] - first
    assert life.cost.rows["clickers"] >= due[CLICKED]


def test_no_scan_finds_what_did_not_happen_yet() -> None:
    """Nothing is read before it happened; by the first day's polls soon after."""
    waited = np.concatenate(life_of(TOTALS).delays[OPENED].waited)
    assert waited.min() >= 0
    assert float(np.median(waited)) < 600


def test_more_rows_are_read_where_nothing_filters() -> None:
    """Orders cost whole polls there."""
    few, many = (life_of(TOTALS, replace(COURSE, filters=one)) for one in (FILTERS, frozenset()))
    assert many.cost.rows["activity"] > 2 * few.cost.rows["activity"]


@pytest.mark.parametrize("intervals", [1, 6])
def test_the_schedule_is_the_service_s_own(monkeypatch: pytest.MonkeyPatch, intervals: int) -> None:
    """With another schedule there, there are as many polls as that says."""
    monkeypatch.setattr(schedule, "poll_delay", lambda *given: given[-1] * intervals)
    assert life_of(TOTALS).polls == pytest.approx(30 * DAY / 600 / intervals, rel=0.01)


def test_a_message_of_which_nothing_happens_costs_little() -> None:
    """It is polled, and hardly anything is read."""
    life = life_of({SENT: 1.0})
    assert life.cost.calls["summary"] < 30 * DAY / 600 / 8
    assert life.cost.all_rows < 10


def test_a_message_that_goes_on_sending() -> None:
    """It has no end; what it costs a day depends on what is sent a day."""
    costs = []
    for number in (1.0, 1000.0):
        rng = np.random.default_rng(1)
        synthetic = SyntheticMessage("conversation", {SENT: number}, BEHAVIOUR, rng, (32.0, 9.0))
        reader = LifeReader(synthetic, COURSE)
        reader.live(2 * DAY)
        costs.append(reader.live(9 * DAY).cost)
    assert costs[0].rows["activity"] >= 5
    assert costs[1].rows["activity"] >= 6000
    assert costs[0].calls["summary"] < costs[1].calls["summary"] <= 7 * DAY / 600


def test_young_messages_are_taken_to_their_end() -> None:
    """Of one that was sent just now more will come: as of those that are older."""
    young = MessageFigures("broadcast", 3 * HOUR, {SENT: 1000, OPENED: 150})
    (one,) = classes_of(account_of(young))
    assert one.number == pytest.approx(1 / 30)
    assert one.totals[OPENED] == pytest.approx(300, rel=0.05)


def test_messages_of_like_size_are_one_class() -> None:
    """A sample stands for all; what isn't usual any more, or another kind, doesn't count there."""
    usual = MessageFigures("broadcast", 20 * DAY, {SENT: 1000, OPENED: 200}, stands_for=3)
    large = MessageFigures("broadcast", 20 * DAY, {SENT: 100_000, OPENED: 9000})
    old = replace(usual, is_recent=False)
    talk = MessageFigures("conversation", 0.0, {SENT: 1000}, daily={SENT: 1000.0})
    classes = classes_of(account_of(usual, usual, large, old, talk))
    assert sorted((one.kind, round(one.number * 30)) for one in classes) == [
        ("broadcast", 1),
        ("broadcast", 6),
        ("conversation", 30),
    ]


def test_the_first_synchronisation() -> None:
    """All contacts and all rows of what is tracked, page by page; events since the horizon."""
    message = MessageFigures("broadcast", 20 * DAY, {SENT: 12_000, OPENED: 300, CLICKED: 80})
    gone = replace(message, is_taken_up=False)
    account = account_of(message, gone)
    sync = first_sync(account, TERMS)
    assert sync.cost.calls == {
        "lists": 1,
        "token": 1,
        "messages": 2,
        "contacts": 3 + 1,
        "activity": 3,
        "summary": 1,
        "message": 1,
        "links": 1,
        "clickers": 2,
    }
    assert (sync.identifies, sync.tracks) == (12_000, 0)
    assert sync.seconds == pytest.approx(12.0)
    assert sync.waits_for == "Segment"
    since = first_sync(account, replace(TERMS, horizon=21 * DAY, rate=1.0, events_per_second=0))
    assert since.tracks == pytest.approx(12_380 + 2 * 21)
    assert (since.seconds, since.waits_for) == (since.cost.all_calls, "Listrak")


def test_the_sums() -> None:
    """Events a day are those of all messages and contacts; the bill is what they come to."""
    message = MessageFigures("broadcast", 25 * DAY, {SENT: 3000, OPENED: 600}, stands_for=30)
    expected = forecast(account_of(message), TERMS)
    assert expected.broadcasts == pytest.approx(1.0)
    assert expected.events[SENT] == pytest.approx(3000)
    assert expected.events[OPENED] == pytest.approx(600, rel=0.02)
    assert (expected.events[UNSUBSCRIBED], expected.events[IDENTIFY]) == (2, 6)
    month = 30 * sum(expected.events.values())
    assert expected.later_month.calls == pytest.approx(month)
    assert expected.first_month.calls == pytest.approx(month + 12_000)
    assert expected.first_month.users == (12_000, 12_180)
    assert [round(users) for users in expected.later_month.users] == [3000, 12_180]
    assert expected.cost.calls["messages"] == pytest.approx(144 * (0.9 + 0.1 * 2))
    assert expected.cost.calls["lists"] == pytest.approx(DAY / schedule.LIST_CHECK_INTERVAL)
    assert expected.cost.calls["contacts"] == pytest.approx(2 * 144 + 3 + 1 - 2)


def test_events_that_are_not_wanted_are_not_told() -> None:
    """They are read all the same."""
    message = MessageFigures("broadcast", 25 * DAY, {SENT: 3000, OPENED: 600})
    account = account_of(message)
    few = forecast(account, replace(TERMS, events=frozenset([OPENED])))
    assert set(few.events) == {OPENED, IDENTIFY}
    assert {one.event for one in few.freshness} == {OPENED}
    assert few.cost == forecast(account, TERMS).cost
