"""What to look at next."""

import pytest
from flow_parts import message_of
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.scheduler import (
    DAY,
    SWEEP_EVERY,
    Agenda,
    age,
    check_delay,
    is_over,
    sent_at,
    sweep_due,
)
from bridge.listrak import times
from bridge.state.records import ListState

SENT = times.seconds("2026-05-10T12:00:00.000Z")
MINUTE, HOUR = 60.0, 3600.0


# The agenda


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40))
def test_agenda(puts: list[tuple[int, int]]) -> None:
    """Tasks are taken once each, when they are due, the one due for longest first."""
    agenda: Agenda[tuple[int, int]] = Agenda()
    tasks = {(number, due): due for number, (due, _) in enumerate(puts)}
    for task, due in tasks.items():
        agenda.put(task, due)
    taken: list[tuple[int, int]] = []
    for now in range(51):
        while (due_task := agenda.take(now)) is not None:
            assert tasks[due_task] <= now
            taken.append(due_task)
    assert taken == sorted(tasks, key=lambda task: (tasks[task], task[0]))
    assert agenda.take(1e9) is None


def test_agenda_knows_its_tasks() -> None:
    """A task that is being done is still known, until it is dropped."""
    agenda: Agenda[str] = Agenda()
    assert "a" not in agenda
    agenda.put("a", 5)
    assert agenda.take(4.9) is None
    assert agenda.take(5) == "a"
    assert "a" in agenda
    assert agenda.take(100) is None
    agenda.drop("a")
    assert "a" not in agenda
    agenda.put("a", 0)
    assert agenda.take(0) == "a"


def test_agenda_hastens_what_waits() -> None:
    """A task can be brought forward while it waits; it is still done only once."""
    agenda: Agenda[str] = Agenda()
    agenda.put("a", 500)
    agenda.put("b", 10)
    agenda.hasten("a", 5)
    agenda.hasten("b", 20)
    agenda.hasten("stranger", 0)
    assert "stranger" not in agenda
    assert agenda.wait(0) == 5
    assert agenda.take(5) == "a"
    agenda.hasten("a", 0)
    assert agenda.take(9) is None
    assert agenda.take(10) == "b"
    agenda.put("a", 600)
    assert agenda.take(599) is None
    assert agenda.take(600) == "a"
    assert agenda.take(1e9) is None


def test_agenda_in_a_hurry() -> None:
    """Of all that is due, that comes first which is late by the most of its slack."""
    agenda: Agenda[str] = Agenda()
    agenda.put("old", 0, slack=1800)
    agenda.put("fresh", 50, slack=60)
    agenda.put("new", 55)
    assert agenda.take(40) == "old"
    agenda.put("old", 30, slack=1800)
    assert agenda.take(60) == "new"
    assert agenda.take(60) == "fresh"
    assert agenda.take(60) == "old"


@given(
    st.lists(st.sampled_from((1, 5, 15, 30)), min_size=1, max_size=40),
    st.sampled_from((0.1, 0.5, 0.9, 1.5)),
)
def test_what_is_fresh_stays_so_and_nothing_starves(intervals: list[int], load: float) -> None:
    """With a budget too small for all, each is late by the same share of its own interval.

    `load`: what can be done, of what should be.
    """
    agenda: Agenda[tuple[int, int]] = Agenda()
    for task in enumerate(intervals):
        agenda.put(task, 0, slack=task[1])
    step = 1 / (load * sum(1 / interval for interval in intervals))
    now, done, worst = 0.0, [0.0] * len(intervals), [0.0] * len(intervals)
    # In the beginning all are due at once, and wait for each other.
    settled = 1000 / load
    while now < 2 * settled:
        if (taken := agenda.take(now)) is not None:
            number, interval = taken
            if now > settled:
                worst[number] = max(worst[number], now - done[number])
            done[number] = now
            agenda.put(taken, now + interval, slack=interval)
        now += step
    for number, interval in enumerate(intervals):
        assert worst[number] <= 1.2 * interval / min(load, 1) + 4 * step


@pytest.mark.parametrize(
    ("due", "now", "expected"), [(100, 90, 10), (100, 100, 0), (100, 150, 0), (1000, 0, 60)]
)
def test_agenda_waits(due: float, now: float, expected: float) -> None:
    """The wait is until the next task is due, at most a minute."""
    agenda: Agenda[str] = Agenda()
    assert agenda.wait(now) == 60
    agenda.put("later", 1e6)
    agenda.put("next", due)
    assert agenda.wait(now) == expected


# How old a message is


def test_age_of_a_broadcast() -> None:
    """A broadcast message's age counts from its send, else from when it was found."""
    assert sent_at(message_of()) == SENT
    assert age(message_of(), SENT + 100) == 100
    assert age(message_of(), SENT - 100) == 0
    assert age(message_of(sent_at="", found_at=SENT - 50), SENT) == 50


def test_age_of_what_goes_on_sending() -> None:
    """The others' age counts from when anything moved last."""
    talk = message_of("conversation", found_at=SENT, moved_at=None)
    assert age(talk, SENT + 100) == 100
    assert age(message_of("transactional", found_at=SENT, moved_at=SENT + 90), SENT + 100) == 10


@pytest.mark.parametrize(
    ("old", "factor"),
    [
        (0, 1),
        (DAY - 1, 1),
        (DAY, 5),
        (3 * DAY - 1, 5),
        (3 * DAY, 15),
        (7 * DAY, 30),
        (300 * DAY, 30),
    ],
)
def test_delays(old: float, factor: float) -> None:
    """What is fresh is asked every poll interval, older messages less often.

    Transactional ones, which have no counters, less often still.
    """
    now = SENT + old
    assert check_delay(message_of(moved_at=now), now, 60) == 60 * factor
    if old < DAY:
        assert check_delay(message_of("transactional", moved_at=now), now, 60) == 60 * 5


@pytest.mark.parametrize(
    ("old", "quiet", "minutes"),
    [
        (HOUR, 5 * MINUTE, 1),
        (HOUR, 12 * MINUTE, 2),
        (HOUR, HOUR, 5),
        (2 * DAY, DAY, 20),
        (5 * DAY, DAY, 60),
        (20 * DAY, 19 * DAY, 60),
    ],
)
def test_delays_while_nothing_happens(old: float, quiet: float, minutes: float) -> None:
    """Where nothing moves for long a message is asked less often, up to a bound by age."""
    now = SENT + old
    assert check_delay(message_of(moved_at=now - quiet), now, 60) == 60 * minutes


@pytest.mark.parametrize(("days", "over"), [(0, False), (29.99, False), (30, True), (400, True)])
def test_is_over(days: float, over: bool) -> None:
    """A broadcast message is tracked for so long after its send; the others for as long as any."""
    track = 30 * DAY
    now = SENT + days * DAY
    assert is_over(message_of(), track, now) is over
    assert is_over(message_of(sent_at="", found_at=SENT), track, now) is over
    assert not is_over(message_of("conversation", found_at=SENT), track, now)
    assert not is_over(message_of("transactional", found_at=SENT), track, now)


def test_a_draft_is_never_over() -> None:
    """A message without a date and without a row, however old, may still be sent."""
    draft = message_of(sent_at="", found_at=SENT, properties=None)
    assert not is_over(draft, 30 * DAY, SENT + 400 * DAY)
    assert is_over(message_of(properties=None), 30 * DAY, SENT + 400 * DAY)


@pytest.mark.parametrize(
    ("swept", "due"), [(None, True), (0, False), (SWEEP_EVERY - 1, False), (SWEEP_EVERY, True)]
)
def test_sweeps(swept: float | None, due: bool) -> None:
    """All contacts are read at first and once a day: only that shows a changed profile value."""
    state = ListState(5, "News", None, SENT, None if swept is None else SENT - swept)
    assert sweep_due(state, SENT) is due
