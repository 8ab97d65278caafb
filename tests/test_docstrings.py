"""Docstrings: whatever is public has one, and all of them open in the same way."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

QUESTIONS = {"How", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
LINKS = {"As", "For", "If", "In", "Likewise", "Of", "Once", "So", "Until"}
POINTERS = {"Such", "These", "This", "Those"}
IMPERATIVES = {
    "Add", "Ask", "Call", "Check", "Close", "Compare", "Count", "Create", "Get", "Give", "Keep",
    "Let", "Look", "Make", "Parse", "Put", "Read", "Remove", "Return", "Run", "Save", "Say", "Send",
    "Serve", "Set", "Show", "Stop", "Store", "Take", "Tell", "Turn", "Wait", "Write", "Yield",
}  # fmt: skip
PHRASES = ("All that ", "The same ", "The same, ")


class Docstring(NamedTuple):
    """A docstring, or the string that documents the assignment before it.

    owner: dotted name in its module, "" for the module.
    is_help: it is the help text of a command.
    """

    owner: str
    text: str
    is_help: bool = False


def parsed(module: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(module.read_text(encoding="utf-8"))


def is_text(statement: ast.stmt) -> bool:
    """Tells whether a statement is nothing but a string."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def is_stub(function: Function) -> bool:
    """Tells whether a function is a Protocol's, with `...` for a body."""
    return [ast.unparse(statement) for statement in function.body] == ["..."]


def is_command(node: ast.AST) -> bool:
    """Tells whether a function is a command of click, whose docstring is its help text."""
    decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
    return any(re.search(r"\.(command|group)\(", one) for one in decorators)


def docstrings(node: ast.Module | Definition, owner: str = "") -> Iterator[Docstring]:
    """Every docstring of a module: also of what is private, and of constants and fields."""
    if text := ast.get_docstring(node):
        yield Docstring(owner, text, is_command(node))
    for before, statement in zip([None, *node.body], node.body, strict=False):
        if isinstance(before, ast.Assign | ast.AnnAssign) and is_text(statement):
            target = before.target if isinstance(before, ast.AnnAssign) else before.targets[0]
            name = f"{owner}.{ast.unparse(target)}".lstrip(".")
            yield Docstring(name, ast.literal_eval(ast.unparse(statement)))
        if isinstance(statement, Definition):
            yield from docstrings(statement, f"{owner}.{statement.name}".lstrip("."))


def public(node: ast.Module | ast.ClassDef, owner: str = "") -> Iterator[tuple[str, Definition]]:
    """Public classes, functions and methods by dotted name; what a function defines is private."""
    for statement in node.body:
        if isinstance(statement, Definition) and not statement.name.startswith("_"):
            name = f"{owner}.{statement.name}".lstrip(".")
            yield name, statement
            if isinstance(statement, ast.ClassDef):
                yield from public(statement, name)


def undocumented(tree: ast.Module) -> list[str]:
    """Names of what is public and has no docstring, neither its own nor that of a base class.

    Base classes are those of the same module.
    """
    named = dict(public(tree))
    missing: list[str] = []
    for name, node in named.items():
        if ast.get_docstring(node) or (isinstance(node, Function) and is_stub(node)):
            continue
        owner, _, method = name.rpartition(".")
        bases = getattr(named.get(owner), "bases", [])
        if not any(f"{ast.unparse(base)}.{method}" in named for base in bases):
            missing.append(name)
    return missing if ast.get_docstring(tree) else ["", *missing]


def opens_badly(docstring: Docstring) -> bool:
    """Tells whether a docstring opens otherwise than with a noun or a verb in the third person."""
    first = re.match(r"[\w'-]+", docstring.text)
    words = QUESTIONS | LINKS | POINTERS | (set() if docstring.is_help else IMPERATIVES)
    return first is None or first[0] in words or docstring.text.startswith(PHRASES)


def is_boolean_property(node: Definition) -> bool:
    """Tells whether a definition is a property of type bool."""
    if not isinstance(node, Function) or node.returns is None:
        return False
    decorators = [ast.unparse(one) for one in node.decorator_list]
    return "property" in decorators and ast.unparse(node.returns) == "bool"


def name_of(module: Path) -> str:
    """The path of a module in the repository."""
    return str(module.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_whatever_is_public_has_a_docstring(module: Path) -> None:
    """Each module, class, function and method, but for dunder methods and stubs of Protocols."""
    assert undocumented(parsed(module)) == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_docstrings_open_with_a_noun_or_a_verb_in_the_third_person(module: Path) -> None:
    """No question, no link to something before it, no order; help texts of commands may order."""
    assert [each for each in docstrings(parsed(module)) if opens_badly(each)] == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_boolean_properties_say_what_they_tell(module: Path) -> None:
    """They open with "Tells whether", all in one way."""
    told = {
        name: ast.get_docstring(node) or ""
        for name, node in public(parsed(module))
        if is_boolean_property(node)
    }
    assert [name for name, text in told.items() if not text.startswith("Tells whether ")] == []


def test_what_lacks_a_docstring_is_found() -> None:
    """A module, a class, a method; but no override, no stub, and nothing private."""
    tree = ast.parse(
        "class A:\n"
        "    def done(self): ...\n"
        "    def open(self): 'Opens.'\n"
        "    def close(self): pass\n"
        "    def __len__(self): return 0\n"
        "class B(A):\n"
        "    'A kind of A.'\n"
        "    def open(self): pass\n"
        "def _inner(): pass\n"
    )
    assert undocumented(tree) == ["", "A", "A.close"]


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("Waits until all is done.", False),
        ("In-order acknowledgement.", False),
        ("Tells whether it is done.", False),
        ("Whether it is done.", True),
        ("All that is known.", True),
        ("All messages.", False),
        ("The same, once more.", True),
        ("Return the number.", True),
        ("`None` for none.", True),
    ],
)
def test_openings_are_told_apart(text: str, bad: bool) -> None:
    """By the first word, or the first two."""
    assert opens_badly(Docstring("", text)) == bad


def test_constants_and_fields_have_docstrings_too() -> None:
    """The string after an assignment documents it; that of a command is its help text."""
    tree = ast.parse(
        "'M.'\nX: int = 5\n'Seconds.'\n"
        "@cli.command()\ndef run():\n    'Run.'\n    self.a = 1\n    'A.'\n"
    )
    assert list(docstrings(tree)) == [
        Docstring("", "M."),
        Docstring("X", "Seconds."),
        Docstring("run", "Run.", is_help=True),
        Docstring("run.self.a", "A."),
    ]
