"""The shape of the code: short signatures, short files, and who knows nothing of whom."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_imports import MODULES, imported

from bridge import errors
from bridge.output.redaction import SECRETS

MOST_LINES = 350
MOST_FUNCTION_LINES = 49
MOST_PARAMETERS = 5
MOST_CONSTRUCTOR_PARAMETERS = 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[tuple[Function, bool]]:
    """Each function of a module, and whether it is a method."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    methods = {
        id(function)
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for function in owner.body
    }
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node, id(node) in methods


def parameters(function: Function, *, is_method: bool) -> int:
    """How many parameters a caller has to think of."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (is_method and names[:1] in (["self"], ["cls"]))


@pytest.mark.parametrize("module", MODULES)
def test_short_signatures_and_files(module: str) -> None:
    """Who needs more has not found yet what belongs together."""
    path = MODULES[module]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    for function, is_method in functions(path):
        number = parameters(function, is_method=is_method)
        constructs = is_method and function.name == "__init__"
        most = MOST_CONSTRUCTOR_PARAMETERS if constructs else MOST_PARAMETERS
        assert number <= most, f"{function.name} has {number} parameters"
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MOST_FUNCTION_LINES, f"{function.name} has {lines} lines"


def reached_from(module: str) -> set[str]:
    """All modules that a module imports, and those that they import."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        for other in imported(waiting.pop()):
            if other in MODULES and other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached


def test_the_sender_knows_only_events() -> None:
    """What is sent, and by whom it was read, are two things: no page, poll, mapping or state."""
    reached = reached_from("bridge.flow.sending.sender")
    known = {name for name in reached if name.startswith(("bridge.flow.", "bridge.state"))}
    assert known == {
        "bridge.flow.delivery",
        "bridge.flow.sending.batch",
        "bridge.flow.sending.unacked",
        "bridge.flow.sending.waits",
    }


def test_decisions_do_no_io() -> None:
    """The planner and the mapping wait for nothing: they are functions of what they are given."""
    for module, path in MODULES.items():
        if module.startswith(("bridge.flow.planner", "bridge.flow.mapping")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
            assert "bridge.flow.ledger" not in set(imported(module))


@pytest.mark.parametrize("module", ["bridge.flow.ordered_acks", "bridge.flow.in_flight"])
def test_acknowledgement_in_order_stands_alone(module: str) -> None:
    """The order of acknowledgement depends on nothing else here, and can be read at once."""
    assert not {name for name in imported(module) if name in MODULES}
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) < 100


# The words of others

PRINTERS = {
    "bridge.commands.terminal": "tables and JSON",
    "bridge.commands.preview": "events, as they would be sent",
    "bridge.commands.sandbox": "the emulators' own",
    "bridge.ending.exits": "the last line",
    "bridge.output.logs": "log lines",
    "bridge.output.standard_error": "all of standard error",
    "bridge.__main__": "opens what is closed",
}
"""Who writes to a terminal by itself, and what; all others print by these."""


def calls_of(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """All calls in a module, by the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            yield getattr(called, "attr", getattr(called, "id", "")), node


def writes_by_itself(tree: ast.AST) -> bool:
    """Whether a module makes a console, or writes to a stream without one."""
    names = {"sys.stdout", "sys.stderr", "click.echo", "click.secho"}
    whole = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    functions = {name for name, call in calls_of(tree) if isinstance(call.func, ast.Name)}
    return bool(names & whole or {"print", "Console"} & functions)


@pytest.mark.parametrize("module", MODULES)
def test_who_prints(module: str) -> None:
    """Whatever is printed goes where control characters and secrets are taken out of it."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    if not module.startswith("bridge.sandbox."):
        assert writes_by_itself(tree) is (module in PRINTERS)


@pytest.mark.parametrize("module", MODULES)
def test_who_makes_text_of_what_may_be_anything(module: str) -> None:
    """Bytes of others become text in one place, which makes them harmless."""
    # The last one only looks for an address.
    ours = ("bridge.output.texts", "bridge.output.standard_error", "bridge.state.erasures")
    if module in ours or module.startswith("bridge.sandbox."):
        return
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for name, call in calls_of(tree):
        if name == "decode":
            assert "errors" not in {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("kind", [each for each in vars(errors).values() if isinstance(each, type)])
def test_every_error_is_harmless(kind: type[errors.BridgeError]) -> None:
    """Whatever it quotes: it goes to logs, to terminals and into the state file."""
    SECRETS.add("the-write-key")
    said = "no jane@example.com \x1b[31m, Basic dGhlLXdyaXRlLWtleTo=, the-write-key"
    more = {"setting": ("SETTING", said), "status": (said, 404), "exit_code": (said, 75)}
    names = list(inspect.signature(kind).parameters)
    error = kind(*next((more[name] for name in names if name in more), (said,)))
    assert str(error).removeprefix("SETTING: ") == "no [email] \\x1b[31m, Basic [secret], [secret]"
