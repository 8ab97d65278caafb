"""The verification of a state file: its structure, its definitions, and every row of every table.

It only reads. Nothing that it tells quotes a stored value.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Final, NamedTuple

from bridge.clock import monotonic
from bridge.state import checksums, meanings
from bridge.state.checksums import Connection
from bridge.state.file_format import CHECKSUMS_SINCE, columns_in

_COUNTED: Final = {
    ("totals", "clicks"),
    ("totals", "withheld_clicks"),
    ("totals", "unwanted_clicks"),
    ("counters", "value"),
}
"""Columns in which older formats may have a number below 0 that Listrak had sent: what brings a
file to format 5 mends them."""


class DamageError(Exception):
    """A file that isn't as it was written; the text says what of it, for people."""


class Verified(NamedTuple):
    """The extent of what was looked at, all of it sound.

    version: format of the file.
    rows: number of rows by table.
    bytes: size of the file, with what stands in its -wal.
    checksums: False for a file of an older format, which has none.
    """

    version: int
    rows: Mapping[str, int]
    bytes: int
    seconds: float
    checksums: bool

    @property
    def number(self) -> int:
        """The number of all rows."""
        return sum(self.rows.values())


def verify(address: str) -> Verified:
    """Looks at everything in a file, as it is at one moment; beside whoever writes it as well.

    address: for SQLite.

    Raises DamageError, and what SQLite raises.
    """
    started = monotonic()
    with closing(
        sqlite3.connect(address, uri=True, isolation_level=None, factory=Connection)
    ) as db:
        meanings.add_functions(db)
        db.execute("BEGIN")
        version = _number(db, "PRAGMA user_version")
        size = _number(db, "PRAGMA page_count") * _number(db, "PRAGMA page_size")
        _structure(db)
        tables, schema = checksums.columns_of(db), _schema(db)
        sums = _sums(db, tables, schema) if version >= CHECKSUMS_SINCE else None
        if sums is None and (tables != columns_in(version) or checksums.protected_tables(db)):
            raise DamageError("its tables are not those of its format")
        rows = {
            table: _table(db, table, columns, sums[table] if sums else None)
            for table, columns in tables.items()
        }
    return Verified(version, rows, size, monotonic() - started, sums is not None)


def _structure(db: sqlite3.Connection) -> None:
    """SQLite's own check: pages, the order of keys, indexes, types, constraints."""
    (finding,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise DamageError(str(finding).splitlines()[-1])


def _schema(db: sqlite3.Connection) -> tuple[int, int]:
    """The number of definitions of tables and indexes, and the sum of their checksums."""
    try:
        return checksums.schema_sum(db)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
            raise
        raise DamageError("the definitions of its tables can't be read") from None


def _sums(
    db: sqlite3.Connection, tables: Mapping[str, list[str]], schema: tuple[int, int]
) -> dict[str, tuple[int, int]]:
    """The number of rows and the sum of checksums that each table should have."""
    names = {row[0] for row in db.execute("SELECT name FROM main.sqlite_schema")}
    if checksums.TABLE not in names or checksums.protected_tables(db) != set(tables):
        raise DamageError("its tables are not those of its format")
    sums = {
        name: (rows, total)
        for name, rows, total in db.execute(f"SELECT name, row_count, total FROM {checksums.TABLE}")
    }
    if sums.pop(checksums.SCHEMA, None) != schema or sums.keys() != tables.keys():
        raise DamageError("the definitions of its tables are not as they were written")
    return sums


def _table(
    db: sqlite3.Connection, table: str, columns: list[str], due: tuple[int, int] | None
) -> int:
    """The number of a table's rows, each of which fits its checksum and means something."""
    expected = checksums.checksum_of(table, columns)
    conditions = {
        column: condition
        for column in columns
        if (condition := meanings.condition(table, column)) is not None
        and (due is not None or (table, column) not in _COUNTED)
    }
    # Without checksums it is computed nevertheless: for that all texts are read.
    given, misfits = (
        ("checksum", f"checksum IS NOT {expected}") if due else ("0", f"{expected} < 0")
    )
    counts = ", ".join(
        f"count(*) FILTER (WHERE ({text}) IS NOT TRUE)" for text in conditions.values()
    )
    try:
        number, total, unsound, *meaningless = db.execute(
            f"SELECT count(*), ifnull(sum({given}), 0), count(*) FILTER (WHERE {misfits})"
            f"{', ' if counts else ''}{counts} FROM {table}"
        ).fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
            raise
        raise DamageError(f"in its table {table} are values that can't be read") from None
    if unsound:
        raise DamageError(
            f"{unsound} of {number} rows of its table {table} are not as they were written"
        )
    if due is not None and due != (number, total):
        raise DamageError(
            f"its table {table} has {number} rows that are not the {due[0]} written last"
        )
    for column, wrong in zip(conditions, meaningless, strict=True):
        if wrong:
            raise DamageError(
                f"{wrong} of {number} rows of its table {table} have no valid {column}"
            )
    return int(number)


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
