"""Edits of the running code: a function does for a while what its source would say if it were so.

The service has no switch for that: what is lived is the code that runs, but for a few lines of it.
"""

import ast
import builtins
import dis
import inspect
import linecache
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any, NamedTuple


class Edit(NamedTuple):
    """A change of a function or method.

    where: the function, or a property.
    before: lines of it as they are, which stand there once, without what they are indented by.
    after: what stands there instead.
    """

    where: Callable[..., Any] | property
    before: str
    after: str


class StaleError(Exception):
    """An edit doesn't fit the code any more: what it is about has changed."""


@contextmanager
def edited(edits: tuple[Edit, ...]) -> Iterator[None]:
    """Has the functions do otherwise meanwhile, for all who have them already as well.

    Raises StaleError where an edit doesn't apply, or changes nothing.
    """
    with ExitStack() as stack:
        for edit in edits:
            function = function_of(edit)
            stack.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = code_of(edit)
        yield


def function_of(edit: Edit) -> FunctionType:
    """The function that an edit is about."""
    found = edit.where.fget if isinstance(edit.where, property) else edit.where
    if not isinstance(found, FunctionType):
        raise StaleError(f"{found!r} is no function")
    return found


def code_of(edit: Edit) -> CodeType:
    """The code of the function as it is edited. Raises StaleError as `edited` does."""
    function = function_of(edit)
    source = dedent(inspect.getsource(function))
    changed = _replaced(source, dedent(edit.before).strip("\n"), dedent(edit.after).strip("\n"))
    if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source)):
        raise StaleError(f"the edit of {function.__qualname__} changes nothing")
    file = f"<edited {function.__module__}.{function.__qualname__}>"
    linecache.cache[file] = (len(changed), None, changed.splitlines(keepends=True), file)
    made = _codes(compile(changed, file, "exec"))
    code = next(one for one in made if one.co_name == function.__name__)
    # Else it would be found by its own misspelling.
    if unknown := _globals_of(code) - function.__globals__.keys() - vars(builtins).keys():
        raise StaleError(f"the edit of {function.__qualname__} names {sorted(unknown)}")
    return code


def _codes(code: CodeType) -> list[CodeType]:
    """The functions within some code."""
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _globals_of(code: CodeType) -> set[str]:
    """What a function and those within it take from their module."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"}
    return names.union(*map(_globals_of, _codes(code)))


def _replaced(source: str, before: str, after: str) -> str:
    """A source with other lines, indented as those that they replace."""
    lines, wanted = source.splitlines(), before.splitlines()
    stripped = [line.strip() for line in wanted]
    places = [
        number
        for number in range(len(lines) - len(wanted) + 1)
        if [line.strip() for line in lines[number : number + len(wanted)]] == stripped
    ]
    if len(places) != 1:
        raise StaleError(f"{len(places)} places, not one, have the lines {stripped}")
    start = places[0]
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
    others = [indent + line if line.strip() else line for line in after.splitlines()]
    return "\n".join([*lines[:start], *others, *lines[start + len(wanted) :]]) + "\n"
