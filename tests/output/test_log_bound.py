"""The bound of the log: few lines a second, whatever happens, and nothing left out in silence."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.output.log_bound import (
    AT_ONCE,
    AT_ONCE_OF_ALL,
    AT_ONCE_OTHERWISE,
    KEPT,
    KEPT_OTHERWISE,
    LAST,
    OF_ALL_A_SECOND,
    TOLD_EVERY,
    LogBound,
)


class Line(NamedTuple):
    """A line that was to be written, and whether it was; or one that tells of others."""

    at: float
    event: str
    level: str
    written: bool


class Burst(NamedTuple):
    """Lines of the events 0, 1, 2 and so on, in turn, all at once."""

    after: float
    level: str
    lines: int
    kinds: int


def bursts(most_errors: int) -> st.SearchStrategy[list[Burst]]:
    """Some minutes of bursts; of errors at most that many in one, and three in all."""
    after = st.sampled_from([0.0, 0.01, 0.7, 3.0, 11.0, 60.0])
    one = st.builds(
        Burst, after, st.sampled_from(["info", "warning"]), st.integers(1, 300), st.integers(1, 90)
    )
    error = st.builds(Burst, after, st.just("error"), st.integers(1, most_errors), st.just(90))
    return st.tuples(st.lists(one, min_size=1, max_size=12), st.lists(error, max_size=3)).flatmap(
        lambda drawn: st.permutations([*drawn[0], *drawn[1]])
    )


def written(story: list[Burst], told: Counter[str]) -> Iterator[Line]:
    """What becomes of each line; told: how many of each event were told to be left out."""
    now = 50.0
    bound = LogBound(now)
    for burst in story:
        now += burst.after
        for number in range(burst.lines):
            event = f"event.{number % burst.kinds}"
            yield Line(now, event, burst.level, bound.admits(event, burst.level, now))
            if sums := bound.sums(now):
                told.update(sums)
                yield Line(now, "told", "", written=True)
    told.update(bound.sums(1e9))
    assert bound.left_out == told.total()


@given(bursts(most_errors=300))
def test_no_flood_of_all(story: list[Burst]) -> None:
    """Whatever comes, in no span are there more lines than a few hundred and ten for each second;
    and each line is written, or told to be left out, under its event."""
    told: Counter[str] = Counter()
    lines = list(written(story, told))
    filled, at = 0.0, 0.0
    for line in lines:
        if line.written:
            filled = max(0.0, filled - (line.at - at) * OF_ALL_A_SECOND) + 1
            at = line.at
            # The one that tells of others may be owed.
            assert filled <= AT_ONCE_OF_ALL + 1.001
    assert told == Counter(line.event for line in lines if not line.written)


def test_a_long_flood() -> None:
    """Of a hundred kinds of lines a second ten lines are written, what tells of others included."""
    story = [Burst(1.0, "warning", 100, 100) for _ in range(1000)]
    count = sum(line.written for line in written(story, Counter()))
    most = AT_ONCE_OF_ALL - KEPT["warning"] + OF_ALL_A_SECOND * 1000
    assert most - OF_ALL_A_SECOND <= count <= most


@given(bursts(most_errors=(KEPT_OTHERWISE - 50) // 3))
def test_no_flood_takes_the_place_of_an_error(story: list[Burst]) -> None:
    """An error that is written when it comes alone is written in any flood of what isn't one."""
    alone = [burst._replace(lines=0) if burst.level != "error" else burst for burst in story]
    expected = [line for line in written(alone, Counter()) if line.level == "error"]
    assert [line for line in written(story, Counter()) if line.level == "error"] == expected
    assert all(line.written for line in expected)


def test_last_words_are_always_written() -> None:
    """However much was written before them, of errors too."""
    bound = LogBound(0)
    for number in range(10 * AT_ONCE_OF_ALL):
        bound.admits(f"event.{number}", "error", 0)
    assert not bound.admits("event", "error", 0)
    assert all(bound.admits("event", LAST, 0) for _ in range(100))


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_no_flood(level: str) -> None:
    """Of a thousand lines a second, for five minutes, about one a second is written."""
    bound, count, told = LogBound(50), 0, 0
    for number in range(300_000):
        now = 50 + number / 1000
        count += bound.admits("a", level, now)
        told += sum(bound.sums(now).values())
    told += sum(bound.sums(1e9).values())
    assert count <= AT_ONCE.get(level, AT_ONCE_OTHERWISE) + 300
    assert count + told == 300_000
    assert bound.left_out == told


def test_what_is_rare_passes() -> None:
    """First lines, and those that come now and then, are all written, beside a flood of others."""
    bound = LogBound(0)
    for second in range(1000):
        for _ in range(50):
            bound.admits("flood", "info", second)
        assert bound.admits(f"first {second}", "info", second)
        assert bound.admits("rare", "info", second)
        assert bound.admits("flood", "error", second)


def test_when_sums_are_told() -> None:
    """Ten seconds after the first line that was left out; each is told once, most first."""
    bound = LogBound(100)
    for _ in range(AT_ONCE_OTHERWISE + 7):
        bound.admits("a", "info", 100)
    for _ in range(AT_ONCE_OTHERWISE + 8):
        bound.admits("b", "info", 100 + TOLD_EVERY - 0.2)
    assert bound.sums(100 + TOLD_EVERY - 0.1) == {}
    assert list(bound.sums(100 + TOLD_EVERY).items()) == [("b", 8), ("a", 7)]
    assert bound.sums(1e9) == {}


def test_errors_have_more_room() -> None:
    """A hundred lists may fail at once, and each has its line."""
    bound = LogBound(0)
    count = Counter(
        level for level in ("info", "error") for _ in range(100) if bound.admits("a", level, 0)
    )
    assert count == {"info": AT_ONCE_OTHERWISE, "error": AT_ONCE["error"]}
