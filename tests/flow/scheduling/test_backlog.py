"""A backlog: until when all that was due is done."""

from bridge.flow.scheduling.backlog import Backlog


def test_what_is_due_stays_due_until_it_is_done() -> None:
    """However often it is tried; what isn't due yet is behind nothing."""
    backlog = Backlog[str]()
    assert backlog.complete_until(100) == 100
    backlog.add("a", 90)
    backlog.add("b", 95)
    assert backlog.complete_until(100) == 90
    # Found again.
    backlog.add("a", 100)
    backlog.read("b", 110)
    assert backlog.complete_until(105) == 90
    backlog.read("a", 120)
    assert backlog.complete_until(106) == 106
    assert backlog.complete_until(115) == 110
    backlog.drop("b")
    assert backlog.complete_until(115) == 115


def test_nobody_knows_since_when() -> None:
    """One task of which it isn't known leaves all unknown, until it is done or dropped."""
    backlog = Backlog[str]()
    backlog.add("a", None)
    backlog.add("b", None)
    backlog.read("a", 120)
    assert backlog.complete_until(100) is None
    backlog.drop("b")
    assert backlog.complete_until(100) == 100
