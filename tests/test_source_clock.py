"""What time it is at Listrak."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SourceClock
from bridge.source_time import CLOSE_ENOUGH


def test_before_any_answer() -> None:
    """As long as no answer told, this machine's clock is taken, and it shows that none did."""
    clock = SourceClock()
    assert clock.offset is None
    assert clock.now() == pytest.approx(time.time(), abs=1)


@pytest.mark.parametrize("ahead", [-86400.0, -61.0, 30.0, 7200.0, 40 * 365 * 86400.0])
def test_follows_the_answers(ahead: float) -> None:
    """Where the clocks differ, Listrak's counts."""
    clock = SourceClock()
    clock.observe(formatdate(time.time() + ahead, usegmt=True))
    assert clock.offset == pytest.approx(ahead, abs=1.5)
    assert clock.now() == pytest.approx(time.time() + ahead, abs=1.5)


@pytest.mark.parametrize("ahead", [0.0, 1.0])
def test_a_second_is_no_difference(ahead: float) -> None:
    """A Date header says no more than the second: a difference that small is none."""
    clock = SourceClock()
    clock.observe(formatdate(time.time() + ahead, usegmt=True))
    assert clock.offset == 0.0
    assert CLOSE_ENOUGH >= 2


def test_the_latest_answers_count() -> None:
    """Clocks are set right while the service runs."""
    clock = SourceClock()
    for ahead in [500] * 9 + [0] * 3:
        clock.observe(formatdate(time.time() + ahead, usegmt=True))
    assert clock.offset == 0.0


@pytest.mark.parametrize("wrong", [86400.0 * 365, -86400.0 * 365])
@pytest.mark.parametrize("ahead", [0.0, -3600.0])
def test_a_wrong_date_moves_nothing(wrong: float, ahead: float) -> None:
    """Of the latest five answers two may be as wrong as can be, once there are as many."""
    clock = SourceClock()
    for number in range(40):
        off = wrong if number >= 5 and number % 5 in (1, 2) else ahead
        clock.observe(formatdate(time.time() + off, usegmt=True))
        assert clock.offset == pytest.approx(ahead, abs=1.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Mon, 99 Foo 2026 10:00:00 GMT",
        "Mon, 32 Jan 2026 10:00:00 GMT",
        "Mon, 01 Jan 2026 99:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999",
    ],
)
def test_no_date(text: str) -> None:
    """A header that is no date says nothing, and is no error."""
    clock = SourceClock()
    clock.observe(formatdate(time.time() + 500, usegmt=True))
    before = clock.offset
    clock.observe(text)
    assert clock.offset == pytest.approx(before, abs=0.1)


@given(st.text(max_size=40))
def test_any_header(text: str) -> None:
    """Whatever a server sends as Date, it never raises."""
    SourceClock().observe(text)
