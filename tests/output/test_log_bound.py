"""The bound of the log: few lines a second, whatever happens, and nothing left out in silence."""

from collections import Counter

import pytest

from bridge.output.log_bound import AT_ONCE, AT_ONCE_OTHERWISE, TOLD_EVERY, LogBound


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_no_flood(level: str) -> None:
    """Of a thousand lines a second, for five minutes, about one a second is written."""
    bound, written, told = LogBound(), 0, 0
    for number in range(300_000):
        now = 50 + number / 1000
        written += bound.admits("a", level, now)
        told += sum(lines for _, lines in bound.sums(now))
    told += sum(lines for _, lines in bound.sums(1e9))
    assert written <= AT_ONCE.get(level, AT_ONCE_OTHERWISE) + 300
    assert written + told == 300_000
    assert bound.left_out == told


def test_what_is_rare_passes() -> None:
    """First lines, and those that come now and then, are all written, beside a flood of others."""
    bound = LogBound()
    for second in range(1000):
        for _ in range(50):
            bound.admits("flood", "info", second)
        assert bound.admits(f"first {second}", "info", second)
        assert bound.admits("rare", "info", second)
        assert bound.admits("flood", "error", second)


def test_when_sums_are_told() -> None:
    """Ten seconds after the first line that was left out; each is told once."""
    bound = LogBound()
    for _ in range(AT_ONCE_OTHERWISE + 7):
        bound.admits("a", "info", 100)
    assert list(bound.sums(100 + TOLD_EVERY - 0.1)) == []
    assert list(bound.sums(100 + TOLD_EVERY)) == [("a", 7)]
    assert list(bound.sums(1e9)) == []


def test_errors_have_more_room() -> None:
    """A hundred lists may fail at once, and each has its line."""
    bound = LogBound()
    written = Counter(
        level for level in ("info", "error") for _ in range(100) if bound.admits("a", level, 0)
    )
    assert written == {"info": AT_ONCE_OTHERWISE, "error": AT_ONCE["error"]}
