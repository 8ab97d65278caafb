"""The simulation: its people, what is judged of what was told of them, the alternatives' sums."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from simulation.census import Census
from simulation.lives import BEGIN, Life, lives, people_of
from simulation.people import Change, People, people
from simulation.population import LINKS, NEVER, Shares
from simulation.result import Result, Retailer
from simulation.strategies import WEEK, reread
from simulation.tally import Event, Tally
from simulation.targets import judged

from bridge.clock import DAY, HOUR
from bridge.listrak import times

PAGE = 20
SOME = Retailer("large", 150, 1)
BUSY = Shares(unsubscribed=0.05, complained=0.02, returned=1.0, joined=0.05)


def some(days: int = 3) -> People:
    """A few people, of whom many come and go."""
    return people(seed=3, begin=BEGIN, days=days, audience=150, talks=2, shares=BUSY)


def test_targets_can_be_missed() -> None:
    """Reading a week again each hour meets hardly one of them."""
    again = reread("again", SOME, some(), days=3, window=WEEK, page=PAGE)
    results = {name: replace(again, name=name) for name in ("filters", "ignored", "0.5 calls/s")}
    results["quiet"] = replace(again, name="quiet", calls_by_day=[10**6] * 3)
    missed = {
        (one.strategy, one.what) for one in judged(results, {"ignored": again}) if not one.met
    }
    assert ("filters", "rows read per new event") in missed
    assert ("filters", "seconds until delivered, p95: opened within a day") in missed
    assert ("ignored", "times fewer rows than again") in missed
    assert ("0.5 calls/s", "seconds until delivered, p95: opened within a day") in missed
    assert ("quiet", "calls on day 3") in missed
    again.freshness.add("clicked", BEGIN, BEGIN, BEGIN + 3 * HOUR)
    again.freshness.add("opened", BEGIN, BEGIN, BEGIN + 14 * HOUR, hidden=True)
    late = {one.what: one.met for one in judged({"filters": again}, {})}
    assert late["hours until delivered, the slowest of all that a date leads to (clicked)"] is False
    assert late["hours until delivered, the slowest of what is hidden (opened)"] is False


def test_each_life_is_judged() -> None:
    """By more than what it missed; each has a name of its own, and the longest comes first."""
    large, small = Retailer("large", 150, 1), Retailer("small", 150, 1)
    every = lives(large, small, days=60, others=20, seed=1)
    again = reread("again", SOME, some(), days=3, window=WEEK, page=PAGE)
    results = {
        life.name: replace(again, name=life.name, retailer=life.retailer, calls_by_day=[1] * 11)
        for life in every
    }
    assert len(results) == len(every) == 7
    assert every[0].days == max(life.days for life in every)
    figures = list(judged(results, results))
    assert {one.strategy for one in figures if one.what != "missed"} == set(results)


def test_the_alternatives_by_brute_force() -> None:
    """Row by row and hour by hour the same comes out."""
    days, window = 3, DAY
    many = some(days)
    result = reread("again", SOME, many, days=days, window=window, page=PAGE)
    rows = calls = seen_at_all = missed = 0
    for send in many.sends:
        seen: set[tuple[str, int]] = set()
        due: set[tuple[str, int]] = set()
        for hour in range(1, days * 24 + 1):
            now = BEGIN + hour * HOUR
            if send.conversation:
                shown = [at for at in send.sent if now - window < at <= now]
            else:
                shown = [at for at in send.sent if at <= now <= send.begins + window]
            clicks = sum(at <= now for at in send.clicked)
            read = bool(shown) or (send.conversation and any(at <= now for at in send.sent))
            rows += len(shown) + (clicks if read else 0)
            if shown:
                calls += math.ceil(len(shown) / PAGE) + 1 + LINKS
            for kind, (happened, sent) in send.sent_of.items():
                for place, (at, sent_at) in enumerate(zip(happened, sent, strict=True)):
                    if at >= BEGIN + days * DAY:
                        continue
                    due.add((kind, place))
                    begins = sent_at if send.conversation else send.begins
                    if at <= now <= begins + window:
                        seen.add((kind, place))
        seen_at_all += len(seen)
        missed += len(due - seen)
    assert (result.rows, result.freshness.seen, result.missed) == (rows, seen_at_all, missed)
    assert result.calls == calls


def test_people() -> None:
    """What follows from something comes after it, and all counters add up."""
    for send in some().sends:
        there = send.sent < NEVER
        assert ((send.opened >= send.sent) | (send.opened == NEVER)).all()
        assert (send.opened[~there] == NEVER).all()
        assert (send.clicked >= send.opened[send.clickers]).all()
        assert there[send.clickers].all()
        assert (send.ordered[send.ordered < NEVER] >= send.sent[send.ordered < NEVER]).all()
        assert send.revenue(BEGIN + 99 * DAY) == send.cents.sum()
        assert send.counted("sent", BEGIN + 99 * DAY) == there.sum()


def test_who_is_not_subscribed_gets_no_email() -> None:
    """Whoever left gets none until they are back; new ones get theirs; some of each come about."""
    many = some(days=9)
    states: dict[int, list[Change]] = {
        contact: [Change(0.0, contact, subscribed=True)] for contact in range(many.initial)
    }
    for change in many.changes:
        states.setdefault(change.contact, []).append(change)
    for send in many.sends:
        for contact in np.flatnonzero(send.sent < NEVER).tolist():
            # A mailing takes some minutes: who is on it was decided when it began.
            at = send.sent[contact] if send.conversation else BEGIN + send.number * DAY + 9 * HOUR
            before = [state for state in states[contact] if state.at <= at]
            assert before[-1].subscribed
    for of_contact in states.values():
        assert [one.subscribed for one in of_contact] == [True, False, True, False][
            : len(of_contact)
        ]
    assert max(map(len, states.values())) >= 3
    assert len(states) > many.initial
    assert any(change.complaint for change in many.changes)
    assert many.changes == some(days=9).changes


def test_what_the_census_finds() -> None:
    """What wasn't told, what never was, and what came twice."""
    changes = [Change(BEGIN + 10, 0, subscribed=False, sent=BEGIN), Change(BEGIN + 20, 2, True)]
    many, result = People(BEGIN, 2, 3, [], changes), Result("bridge", SOME, 3)
    census = Census(many, lambda: BEGIN + 15, result)
    for number in (0, 1):
        census.note_state(number, subscribed=True)
    census.note_departure(0, times.from_seconds(BEGIN + 10))
    census.note_state(0, subscribed=False)
    assert not result.missing
    assert result.freshness.of("left", 0, 1) == (5, 5, 5)
    census.note_state(0, subscribed=False)
    census.note_departure(0, times.from_seconds(BEGIN + 10))
    census.note_departure(1, times.from_seconds(BEGIN + 10))
    # It hasn't come yet.
    census.note_state(2, subscribed=True)
    assert result.missed == len(result.missing) == 4
    census.close(BEGIN + 3 * DAY)
    assert result.missing[4:] == ["contact 2: 0 states told, 1 were due"]
    untold = Result("bridge", SOME, 3)
    Census(many, lambda: BEGIN, untold).close(BEGIN + 3 * DAY)
    assert untold.missed == 4


def test_what_the_tally_finds() -> None:
    """An email of which nothing was told."""
    many, result = some(), Result("bridge", SOME, 3)
    tally = Tally(many.sends, lambda: BEGIN + DAY, result)
    tally.close(BEGIN + 3 * DAY)
    sent = int((many.sends[0].sent < NEVER).sum())
    assert f"sent of 0: 0, {sent} were due" in result.missing
    told = Event(event="Email Sent", anonymous_id="c0@x.example", properties={"email_id": "0"})
    tally.note(told)
    assert result.freshness.seen == 1


def test_a_quiet_account() -> None:
    """A hundred messages of all ages up to four weeks, of which nothing happens any more."""
    account = people_of(Life("quiet", SOME, 1, eventful=False))
    ages = sorted(BEGIN - send.begins for send in account.sends)
    assert len(ages) == 100
    assert ages[0] == 0
    assert 27 * DAY < ages[-1] < 28 * DAY
    assert not any(len(times) for send in account.sends for times in _after_the_send(send.events))


def _after_the_send(events: dict[str, NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [times for kind, times in events.items() if kind != "sent"]
