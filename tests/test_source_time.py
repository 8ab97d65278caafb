"""Listrak's time by evidence: any clocks, any wrong dates."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.source_time import (
    DIFFERENCE,
    DOUBTED_AT_LEAST,
    DOUBTED_FOR,
    LONGEST_GAP,
    STEADY_FOR,
    Anchor,
    Moment,
    SourceTime,
)

DAY = 86_400.0
TRUE = 1_780_000_000.0
"""Listrak's time when the machine was started."""


def at(boot: float, wall_ahead: float = 0.0) -> Moment:
    """A moment so many seconds after the machine's start."""
    return Moment(boot, TRUE + boot + wall_ahead)


def close(time: float) -> Any:
    """That time, but for a second or two."""
    return pytest.approx(time, rel=0, abs=2)


def settled(wall_ahead: float = 0.0, boot: float = 100.0) -> SourceTime:
    """One that has heard a few answers."""
    time = SourceTime()
    for _ in range(DOUBTED_AT_LEAST):
        time.testify(TRUE + boot, at(boot, wall_ahead))
    return time


@pytest.mark.parametrize("ahead", [40 * DAY, -40 * DAY, 3600.0, 56 * 365 * DAY])
def test_a_few_wrong_dates_move_nothing(ahead: float) -> None:
    """Six within two seconds, as of one bad server or an old answer of a proxy."""
    time = settled()
    for number in range(6):
        now = at(101 + number / 3)
        time.testify(TRUE + now.boot + ahead, now)
        assert abs(time.now(now) - TRUE - now.boot) < DIFFERENCE
    assert time.doubted == 6
    time.testify(TRUE + 104, at(104))
    assert not time.doubted
    assert time.certain(at(104)) == time.now(at(104)) == close(TRUE + 104)


def test_wrong_for_ever_is_believed_and_forgets_nothing() -> None:
    """Whoever stays by it is followed, but what is forgotten goes by what both clocks bear out."""
    time = settled()
    for number in range(100):
        time.testify(TRUE + 101 + number + 40 * DAY, at(101.0 + number))
    assert time.now(at(201)) == close(TRUE + 201 + 40 * DAY)
    assert time.certain(at(201)) == close(TRUE + 201)
    time.testify(TRUE + 202, at(202))
    assert time.now(at(202)) == time.certain(at(202)) == close(TRUE + 202)
    assert time.steps_back == 1


@pytest.mark.parametrize("wall_ahead", [2 * DAY, 400 * DAY])
def test_only_the_account_goes_through_time(wall_ahead: float) -> None:
    """An emulated one, beside a clock that told a later day from the first: it is gone by."""
    time, ahead = settled(wall_ahead), 0.0
    for number in range(3):
        ahead += 45 * DAY
        for _ in range(DOUBTED_AT_LEAST):
            time.testify(TRUE + 101 + number + ahead, at(101.0 + number, wall_ahead))
        time.give_in(at(101.0 + number, wall_ahead))
        assert time.certain(at(101.0 + number, wall_ahead)) == close(TRUE + 101 + number + ahead)


def test_wrong_and_then_more_wrong() -> None:
    """What nothing bears out doesn't make this machine's clock a wrong one."""
    time = settled()
    for ahead in (40 * DAY, 80 * DAY, 120 * DAY):
        for number in range(20):
            now = at(101 + ahead / DAY + number)
            time.testify(TRUE + now.boot + ahead, now)
        assert time.now(now) == close(TRUE + now.boot + ahead)
        assert time.certain(now) == close(TRUE + now.boot)


def test_both_clocks_moved_alike() -> None:
    """A machine that was frozen, without its own clock's counting it."""
    for wall_ahead in (0.0, 2 * DAY):
        time = settled(wall_ahead)
        time.testify(TRUE + 101 + 3 * DAY, at(101, wall_ahead + 3 * DAY))
        assert time.certain(at(101)) == close(TRUE + 101 + 3 * DAY)


@pytest.mark.parametrize("ahead", [3600.0, 40 * DAY])
def test_the_first_answers_of_all_are_wrong(ahead: float) -> None:
    """Ahead of a clock that was set they are believed, and nothing is forgotten by them, until they
    were right for hours; of one that was never set nothing is known."""
    time = SourceTime()
    for number in range(DOUBTED_AT_LEAST):
        time.testify(TRUE + 100 + number + ahead, at(100.0 + number))
    assert time.now(at(108)) == close(TRUE + 108 + ahead)
    assert time.certain(at(108)) == close(TRUE + 108)
    time.testify(TRUE + 109, at(109))
    assert time.certain(at(109)) == time.now(at(109)) == close(TRUE + 109)
    steady, boot = SourceTime(), 100.0
    while boot < 100 + STEADY_FOR + 2 * LONGEST_GAP:
        steady.testify(TRUE + boot + ahead, at(boot))
        boot += LONGEST_GAP
    assert steady.certain(at(boot)) == close(TRUE + boot + ahead)
    unset = SourceTime()
    unset.testify(TRUE, Moment(30.0, 30.0))
    assert unset.certain(Moment(31.0, 31.0)) == TRUE + 1


@pytest.mark.parametrize("jump", [DAY, -DAY, -3600.0, -56 * 365 * DAY])
def test_this_machines_clock_is_set(jump: float) -> None:
    """Whatever it is set to in the middle of a run, Listrak's time goes on."""
    time = settled()
    for number in range(20):
        now = at(101.0 + number, jump)
        assert time.now(now) == close(TRUE + now.boot)
        time.testify(TRUE + now.boot, now)
        assert time.certain(now) == close(TRUE + now.boot)


@pytest.mark.parametrize("pace", [60, 7200])
def test_an_emulated_clock_runs_fast(pace: int) -> None:
    """It is doubted for some seconds, then followed at once; nothing is forgotten by it."""
    time = settled()
    for number in range(1, 100):
        boot = 100.0 + 20 * number
        time.testify(TRUE + 100 + 20 * number * pace, at(boot))
        is_followed = time.now(at(boot)) == close(TRUE + 100 + 20 * number * pace)
        assert is_followed == (number >= DOUBTED_AT_LEAST)
    assert time.certain(at(boot)) <= TRUE + boot + DIFFERENCE


def test_without_an_answer() -> None:
    """This machine's clock is all there is."""
    assert SourceTime().now(at(7, 5)) == TRUE + 12


@pytest.mark.parametrize("wall_ahead", [0.0, 5 * DAY, -5 * DAY])
@pytest.mark.parametrize("boot_id", ["same", "other"])
def test_a_restart(wall_ahead: float, boot_id: str) -> None:
    """It goes on after ten days, be the machine's clock as it was, or set right, or set wrong."""
    anchor = settled().anchor(at(100), "same")
    away, boot = 10 * DAY, 60.0 if boot_id == "other" else 100 + 10 * DAY
    later = Moment(boot, TRUE + 100 + away + wall_ahead)
    time = SourceTime()
    time.recall(anchor, later, boot_id)
    for _ in range(DOUBTED_AT_LEAST):
        time.testify(TRUE + 100 + away, later)
    time.give_in(later)
    assert time.now(later) == close(TRUE + 100 + away)
    # Where neither bears out how long it was away, only so much is certain.
    assert time.certain(later) <= TRUE + 100 + away
    if boot_id == "same" or wall_ahead >= 0:
        assert time.certain(later) == close(TRUE + 100 + away)
    later = Moment(boot + 1, TRUE + 101 + away)
    time.testify(TRUE + 101 + away, later)
    assert time.certain(later) == close(TRUE + 101 + away), "set right, all is certain"


def test_wrong_dates_at_a_restart() -> None:
    """Those of a burst may be believed; forgotten is nothing by them, and they are found out."""
    anchor = settled().anchor(at(100), "same")
    for wrong in (40 * DAY, -40 * DAY):
        time = SourceTime()
        time.recall(anchor, at(200), "same")
        for _ in range(2 * DOUBTED_AT_LEAST):
            time.testify(TRUE + 200 + wrong, at(200))
        assert time.now(at(200)) == close(TRUE + 200)
        time.give_in(at(200))
        assert time.now(at(200)) == close(TRUE + 200 + wrong)
        assert time.certain(at(200)) <= TRUE + 201
        time.testify(TRUE + 201, at(201))
        assert time.certain(at(201)) == close(TRUE + 201)


def test_a_clock_that_is_never_set() -> None:
    """1970 at each start of the machine: it denies nothing, so Listrak's time counts."""
    anchor = Anchor(TRUE, 500.0, 500.0, "one")
    time = SourceTime()
    time.recall(anchor, Moment(30.0, 30.0), "two")
    for number in range(DOUBTED_AT_LEAST):
        now = Moment(31.0 + number, 31.0 + number)
        time.testify(TRUE + 9000 + number, now)
    assert time.now(now) == close(TRUE + 9000 + number)
    assert time.certain(now) == time.now(now)


gaps = st.lists(
    st.tuples(
        st.floats(1, 3 * DAY),  # until the next answer
        st.floats(-30, 0),  # that it is late
        st.sampled_from(["", "process", "machine"]),  # what is started anew before
    ),
    min_size=10,
    max_size=60,
)


def jumped(ahead: float) -> SourceTime:
    """One that believes a jump of 30 days that this machine's clock doesn't bear out.

    ahead: seconds by which that one is ahead of it then.
    """
    wall_ahead = 30 * DAY + ahead
    time = settled(wall_ahead)
    for number in range(DOUBTED_AT_LEAST):
        boot = 101.0 + number
        time.testify(TRUE + 30 * DAY + boot, at(boot, wall_ahead))
    # And what the first answers were ahead of this machine's clock.
    assert time.unconfirmed == close(30 * DAY + max(0.0, -wall_ahead))
    return time


@given(gaps, st.sampled_from([-30.5 * DAY, -30 * DAY, -29.5 * DAY]))
def test_steady_answers_confirm_it(drawn: list[tuple[float, float, str]], ahead: float) -> None:
    """This machine's clock was right, and is wrong from then on: what agreed for hours counts,
    whoever restarts."""
    time, boot, machine, true, counted = jumped(ahead), 108.0, 0, TRUE + 30 * DAY + 108, 0.0
    for seconds, late, restarts in drawn:
        if restarts == "machine":
            anchor = time.anchor(Moment(boot, true + ahead), str(machine))
            machine, boot, true, time = machine + 1, 20.0, true + 60, SourceTime()
            time.recall(anchor, Moment(boot, true + ahead), str(machine))
        boot, true = boot + seconds, true + seconds
        now = Moment(boot, true + ahead)
        if restarts == "process":
            anchor = time.anchor(Moment(boot - seconds, true - seconds + ahead), str(machine))
            time = SourceTime()
            time.recall(anchor, now, str(machine))
        time.testify(true + late, now)
        counted += min(seconds, LONGEST_GAP)
        # But for the minute that each start of the machine may take.
        assert time.steady == pytest.approx(counted, rel=1e-6, abs=1)
        is_certain = time.certain(now) == time.now(now)
        if abs(counted - STEADY_FOR) > 1:
            assert is_certain == (counted > STEADY_FOR)
        assert time.now(now) == pytest.approx(true, rel=0, abs=61)


def test_a_contradiction_begins_it_anew() -> None:
    """One answer that says something else is enough."""
    time, boot = jumped(-29.5 * DAY), 108.0
    for number in range(20):
        boot += 1800
        now = at(boot, DAY / 2)
        time.testify(TRUE + 30 * DAY + boot, now)
        if number % 5 == 4:
            time.testify(TRUE + boot, now)
        assert time.unconfirmed == close(30 * DAY)
    for _ in range(13):
        boot += 1800
        time.testify(TRUE + 30 * DAY + boot, at(boot, DAY / 2))
    assert time.unconfirmed == 0


@given(
    st.floats(1.05, 5000),
    st.lists(st.tuples(st.floats(0.1, 7200), st.booleans()), min_size=20, max_size=200),
)
def test_a_fast_clock_is_never_steady(pace: float, drawn: list[tuple[float, bool]]) -> None:
    """However often it is asked, and begun anew: nothing is forgotten by what it runs ahead."""
    time, boot = settled(), 100.0
    for seconds, restarts in drawn:
        if restarts:
            anchor, time = time.anchor(at(boot), "same"), SourceTime()
            time.recall(anchor, at(boot), "same")
        boot += seconds
        now = at(boot)
        time.testify(TRUE + 100 + (boot - 100) * pace, now)
        assert time.certain(now) <= TRUE + boot + 2 * DIFFERENCE


# What both are wrong by never is the same: two clocks that lie alike would bear each other out.
moves = st.lists(
    st.tuples(
        st.floats(0, 3 * DAY),  # until the next answer
        st.one_of(st.just(0.0), st.integers(-90, 90).map(lambda days: (days + 0.2) * DAY)),
        st.one_of(st.none(), st.integers(-90, 90).map(lambda days: (days + 0.5) * DAY)),
        st.booleans(),  # the machine is started anew
    ),
    max_size=40,
)


@given(moves)
def test_any_clocks(drawn: list[tuple[float, float, float | None, bool]]) -> None:
    """What is certain never is later than it is, unless both clocks lie alike; the end is right."""
    time, boot, true, wall, starts = settled(), 100.0, TRUE + 100, TRUE + 100, 0
    lie_before = lasted = 0.0
    for seconds, wrong_by, wall_set, restarts in drawn:
        boot, true, wall = boot + seconds, true + seconds, wall + seconds
        if restarts:
            anchor = time.anchor(Moment(boot, wall), str(starts))
            starts += 1
            boot, time = 10.0, SourceTime()
            time.recall(anchor, Moment(boot, wall), str(starts))
        if wall_set is not None:
            wall = true + wall_set
        # One of the two is right at a time.
        lie = 0.0 if abs(wall - true) > 1 else wrong_by
        lasted = lasted + min(seconds, LONGEST_GAP) if lie == lie_before else 0.0
        if lasted >= STEADY_FOR:
            lie = lasted = 0.0
        lie_before = lie
        time.testify(true + lie, Moment(boot, wall))
        assert time.certain(Moment(boot, wall)) <= true + 4 * DIFFERENCE + 10 * starts
    for _ in range(DOUBTED_AT_LEAST + 1):
        boot, true = boot + DOUBTED_FOR, true + DOUBTED_FOR
        now = Moment(boot, true)
        time.testify(true, now)
    assert time.now(now) == time.certain(now) == pytest.approx(true, rel=0, abs=DIFFERENCE)
