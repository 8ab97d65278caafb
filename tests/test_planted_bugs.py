"""Planted bugs: each can be planted, and histories find them."""

from io import StringIO
from types import CodeType

import pytest
from click.testing import CliRunner
from histories.bugs import planted
from histories.edits import Edit, StaleError, code_of, edited, function_of
from histories.mutations import ALL, main, search, shown
from rich.console import Console
from rich.table import Table

from bridge.flow.ordered_acks import OrderedAcks

QUICK = ("horizon moved at a restart", "keys lost at merging")
"""Some that are found at once, whatever is drawn."""


def printed(table: Table) -> str:
    """A table as text."""
    text = StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


def _does(code: CodeType) -> tuple[object, ...]:
    """The instructions of a function and what they are about, without where they stand."""
    constants = tuple(one for one in code.co_consts if not isinstance(one, CodeType))
    return code.co_code, code.co_names, constants


@pytest.mark.parametrize("name", ALL)
def test_each_bug_changes_the_running_code(name: str) -> None:
    """It fits the code as it is, and is gone afterwards."""
    functions = [function_of(edit) for edit in ALL[name].edits]
    before = [function.__code__ for function in functions]
    with planted(ALL[name]):
        for function, code in zip(functions, before, strict=True):
            assert _does(function.__code__) != _does(code)
    assert [function.__code__ for function in functions] == before


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_found(name: str) -> None:
    """Within a few seeds, by a history that has no finding without it."""
    found = search(name, range(5))
    assert found.seed is not None
    assert found.finding


def test_what_is_not_found_is_told() -> None:
    """In the table, and by the exit code."""
    missed = search(QUICK[0], range(0))
    assert missed.seed is None
    assert "not found" in printed(shown([missed]))
    done = CliRunner().invoke(main, ["--seeds", "0", "--processes", "1", QUICK[0]])
    assert done.exit_code == 1, done.output


def test_an_unknown_bug_is_refused() -> None:
    """A name that is misspelt finds nothing, which must not pass for success."""
    done = CliRunner().invoke(main, ["no such"])
    assert done.exit_code == 2
    assert "no such bug: no such" in done.output


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nothing of the kind", "pass"),
        ("self._announce()", "self._announce()  # the same"),
        ("self._released += 1\nreturn due", "pass"),
        ("self._announce()", "nobody_knows(self)"),
    ],
    ids=["lines that are gone", "no change", "lines apart", "unknown names"],
)
def test_a_stale_edit_is_refused(before: str, after: str) -> None:
    """An edit that has lost its place doesn't pass for a bug that nobody finds."""
    edit = Edit(OrderedAcks.ack, before, after)
    with pytest.raises(StaleError):
        code_of(edit)
    with pytest.raises(StaleError), edited((edit,)):
        pass


def test_an_edit_acts_on_whoever_has_the_function_already() -> None:
    """And no longer than it is in force."""
    acks: OrderedAcks[str] = OrderedAcks()
    ack = acks.ack
    assert [acks.open(), acks.open()] == [0, 1]
    with planted(ALL["ack out of order"]):
        assert ack(1, "second") == ["second"]
    assert acks.open() == 2
    assert ack(2, "third") == []
