"""When what is polled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_parts import message_of

from bridge.clock import DAY
from bridge.flow.planner import scan_types
from bridge.flow.scheduling.schedule import (
    COUNTER_DELAY_INTERVALS,
    LONGEST_ATTRIBUTION_WAIT,
    SWEEP_INTERVAL,
    age,
    attributable_until,
    is_over,
    is_sweep_due,
    poll_delay,
    priority,
    sent_at,
)
from bridge.listrak import times
from bridge.state.records import Kind, ListState
from bridge.transport.priority import Priority

SENT = times.seconds("2026-05-10T12:00:00.000Z")
MINUTE, HOUR = 60.0, 3600.0


# How old a message is


def test_age_of_a_broadcast() -> None:
    """A broadcast message's age counts from its send, else from when it was found."""
    assert sent_at(message_of()) == SENT
    assert age(message_of(), SENT + 100) == 100
    assert age(message_of(), SENT - 100) == 0
    assert age(message_of(sent_at="", discovered_at=SENT - 50), SENT) == 50


def test_age_of_what_goes_on_sending() -> None:
    """The others' age counts from when anything moved last."""
    talk = message_of("conversation", discovered_at=SENT, changed_at=None)
    assert age(talk, SENT + 100) == 100
    assert (
        age(message_of("transactional", discovered_at=SENT, changed_at=SENT + 90), SENT + 100) == 10
    )


@pytest.mark.parametrize(
    ("old", "factor"),
    [
        (0, 1),
        (DAY - 1, 1),
        (DAY, 3),
        (3 * DAY - 1, 3),
        (3 * DAY, 4),
        (7 * DAY, 10),
        (300 * DAY, 10),
    ],
)
def test_delays(old: float, factor: float) -> None:
    """What is fresh is asked every poll interval, older messages less often.

    Transactional ones, which have no counters, less often still.
    """
    now = SENT + old
    assert poll_delay(message_of(changed_at=now), now, 60) == 60 * factor
    if old < DAY:
        assert poll_delay(message_of("transactional", changed_at=now), now, 60) == 60 * 5
        assert poll_delay(message_of("conversation", changed_at=now), now, 60) == 60 * 4


@pytest.mark.parametrize(
    ("old", "quiet", "minutes"),
    [
        (HOUR, 25 * MINUTE, 1),
        (3 * HOUR, HOUR, 2),
        (6 * HOUR, 4 * HOUR, 5),
        (2 * DAY, DAY, 20),
        (5 * DAY, 4 * HOUR, 4),
        (5 * DAY, 3 * DAY, 60),
        (20 * DAY, 14 * HOUR, 10),
        (20 * DAY, 2 * DAY, 14.4),
        (20 * DAY, 19 * DAY, 60),
    ],
)
def test_delays_while_nothing_happens(old: float, quiet: float, minutes: float) -> None:
    """Where nothing moves for long a message is asked less often, up to a bound by age."""
    now = SENT + old
    assert poll_delay(message_of(changed_at=now - quiet), now, 60) == 60 * minutes


def test_nothing_is_known_to_have_changed() -> None:
    """At a first start a message counts as quiet since it was sent, until something changes."""
    old = message_of(discovered_at=SENT + 20 * DAY, changed_at=None)
    assert poll_delay(old, SENT + 20 * DAY + MINUTE, 60) == 60 * MINUTE


@pytest.mark.parametrize(
    ("kind", "days", "expected"),
    [
        ("broadcast", 0, Priority.FRESH),
        ("broadcast", 0.99, Priority.FRESH),
        ("broadcast", 1, Priority.RECENT),
        ("broadcast", 6.99, Priority.RECENT),
        ("broadcast", 7, Priority.OLD),
        ("conversation", 0, Priority.RECENT),
        ("conversation", 2, Priority.OLD),
        ("transactional", 0, Priority.RECENT),
        ("transactional", 2, Priority.OLD),
    ],
)
def test_what_is_polled_more_often_goes_first(kind: Kind, days: float, expected: Priority) -> None:
    """Where calls are scarce, as intervals say; a message that goes on sending is as old as its
    last change."""
    changed = SENT if kind == "broadcast" else SENT + 100 * DAY
    now = changed + days * DAY
    assert priority(message_of(kind, changed_at=changed), now) is expected


@pytest.mark.parametrize(("days", "over"), [(0, False), (29.99, False), (30, True), (400, True)])
def test_is_over(days: float, over: bool) -> None:
    """A broadcast message is tracked for so long after its send; the others for as long as any."""
    track = 30 * DAY
    now = SENT + days * DAY
    assert is_over(message_of(), track, now) is over
    assert is_over(message_of(sent_at="", discovered_at=SENT), track, now) is over
    assert not is_over(message_of("conversation", discovered_at=SENT), track, now)
    assert not is_over(message_of("transactional", discovered_at=SENT), track, now)


def test_a_draft_is_never_over() -> None:
    """A message without a date and without a row, however old, may still be sent."""
    draft = message_of(sent_at="", discovered_at=SENT, properties=None)
    assert not is_over(draft, 30 * DAY, SENT + 400 * DAY)
    assert is_over(message_of(properties=None), 30 * DAY, SENT + 400 * DAY)


@pytest.mark.parametrize(
    ("swept", "due"),
    [(None, True), (0, False), (SWEEP_INTERVAL - 1, False), (SWEEP_INTERVAL, True)],
)
def test_sweeps(swept: float | None, due: bool) -> None:
    """All contacts are read at first and once a day: only that shows a changed profile value."""
    state = ListState(5, "News", "", None, SENT, None if swept is None else SENT - swept)
    assert is_sweep_due(state, SENT) is due


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=8),
    st.sampled_from((0.5, 60.0, 3600.0)),
    st.floats(1e6, 1.1e6),
)
def test_attribution(last_polls: list[float], interval: float, now: float) -> None:
    """Unsubscribes go out once all was polled since and no counter lags, an hour later at most."""
    until = attributable_until(last_polls, interval, now)
    assert until >= now - LONGEST_ATTRIBUTION_WAIT
    for polled in last_polls:
        in_time = until <= polled - COUNTER_DELAY_INTERVALS * interval
        assert in_time or until == now - LONGEST_ATTRIBUTION_WAIT
    assert attributable_until([*last_polls, 0.0], interval, now) == now - LONGEST_ATTRIBUTION_WAIT


def test_the_scan_for_unsubscribes_comes_in_time() -> None:
    """It is made while they still wait for the message that they came through."""
    assert scan_types.UNSUBSCRIBE_WAIT < LONGEST_ATTRIBUTION_WAIT
