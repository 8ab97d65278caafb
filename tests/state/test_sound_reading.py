"""What is read of the state file to decide something is read through the views of sound rows."""

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import bridge
from bridge.state import checksums
from bridge.state.checksums import Connection
from bridge.state.file_format import bring_up_to_date

ROOT: Final = Path(bridge.__file__).parent
LOOKS_ITSELF: Final = {
    "state/checksums.py",  # makes them
    "state/verification.py",  # looks at all rows
    "state/inspection.py",  # before the file is opened
    "state/file_mark.py",  # the mark has no checksum: a -wal is told by it before it is taken in
}
"""Modules below the views."""

PLAIN: Final = {
    ("state/contacts.py", "known"): "Database.bulk looks at each row",
    ("state/contacts.py", "_next"): "Database.bulk looks at each row",
    ("state/contacts.py", "most_shared_user_id"): "told to people, of all contacts",
    ("state/contacts.py", "count"): "told to people, of all contacts",
    ("state/dead_letters.py", "count"): "told to people, of all dead letters",
    ("state/backfills.py", "of"): "messages that wait: told to people, of all of them",
    ("state/seen_events.py", "compact"): "which runs are merged: they are read sound for that",
    ("state/database.py", "<module>"): "the mark has no checksum; transactions are made to count",
}
"""Functions that read plain tables, and why they may."""


def tables() -> set[str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Connection)) as db:
        bring_up_to_date(db, 0)
        return {*checksums.columns_of(db), "file_mark", checksums.TABLE}


def texts(tree: ast.AST, name: str = "<module>") -> Iterator[tuple[str, str]]:
    """All texts in a module, each with the function that it stands in; {} for what is put in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                name,
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield name, node.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from texts(node, node.name)
        else:
            yield from texts(node, name)


def plain_reads(text: str) -> set[str]:
    """The tables that a statement reads plainly; deleted rows are looked at by a trigger."""
    read = re.sub(r"\bDELETE FROM\b", "DELETE", text)
    return set(re.findall(r"\b(?:FROM|JOIN|from|join) (\w+|\{\})", read))


def test_queries() -> None:
    """No other one reads a plain table; and none of these has become needless."""
    known, found = {*tables(), "{}"}, set()
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        if module.startswith("sandbox/") or module in LOOKS_ITSELF:
            continue
        for function, text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            if known & plain_reads(text) and re.search(r"\b(SELECT|UPDATE|WITH|FROM)\b", text):
                found.add((module, function))
    assert found == set(PLAIN)


def test_what_a_query_reads() -> None:
    """Sound and plain ones are told apart, also inside of others."""
    assert plain_reads("SELECT a FROM sound_lists") == {"sound_lists"}
    assert plain_reads("DELETE FROM met WHERE x IN (SELECT y FROM looks)") == {"looks"}
    assert plain_reads("UPDATE a SET b = (SELECT c FROM sound_d JOIN {})") == {"sound_d", "{}"}
