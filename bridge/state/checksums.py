"""The checksums of the state file: of each row, and of all rows of a table together.

Each row has one over its table's name and all its columns, which SQLite computes wherever a row is
written: it is a generated column. A row that was changed in any other way no longer fits. The table
`checksums` has the number of rows of each table and the sum of their checksums, which triggers keep
in the same transaction: a row that is gone, or there twice, or from another time, shows there.

Any program can read the file. Only one that has these functions can write it.

Rows of a few tables come by the thousand (BULK). SQLite would have to call back for each of them,
which costs more than to write it; so there who writes them gives the checksums with them.
"""

import re
import sqlite3
from collections.abc import Mapping
from typing import Final

import msgspec

from bridge.compression import crc32

TABLE: Final = "checksums"
SCHEMA: Final = "sqlite_schema"
"""The name under which that table keeps the sum of the definitions of all tables and indexes."""

_MADE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (name TEXT PRIMARY KEY, row_count INTEGER NOT NULL,"
    " total INTEGER NOT NULL) STRICT, WITHOUT ROWID"
)
BULK: Final = frozenset({"contacts"})
"""Tables whose rows are given their checksums by who writes them, which may read them as they are
and look at them itself (`Database.bulk`)."""

_UNPROTECTED: Final = frozenset({TABLE, "file_mark"})
"""Tables without checksums of their own. Of the mark a -wal is told before SQLite takes it in."""

_NAME: Final = "checksum"
_GIVEN: Final = f"{_NAME} INTEGER NOT NULL, "
_COLUMN: Final = re.compile(
    r"checksum INTEGER (?:NOT NULL|AS \(row_checksum\([^)]*\)\) STORED),\s*"
)

_encode = msgspec.msgpack.Encoder().encode


def row_checksum(*values: object) -> int:
    """The checksum of a row: a CRC of the name of its table and of all its values in order."""
    return crc32(_encode(values))


def _sound(checksum: object, *values: object) -> bool:
    """True for a row that fits its checksum. Raises ValueError for any other."""
    if checksum != row_checksum(*values):
        raise ValueError("a row isn't as it was written")
    return True


class Connection(sqlite3.Connection):
    """A connection with the functions that the state file needs."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        # Else SQLite may refuse functions in the definition of a table.
        self.execute("PRAGMA trusted_schema = ON")
        self.create_function("row_checksum", -1, row_checksum, deterministic=True)
        self.create_function("sound", -1, _sound)
        self.create_function("lower_case", 1, str.lower, deterministic=True)


class Reading(Connection):
    """A connection that has a view `sound_...` of each table: reading damage there is an error."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._tables = tables_of(self)
        self.executescript(_views(self._tables))


class Writing(Reading):
    """A connection that keeps the checksums of what it writes as well.

    A row is looked at before it is changed or deleted: what is computed from damage would be sound.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.executescript(_triggers(self._tables))


def tables_of(db: sqlite3.Connection) -> dict[str, tuple[list[str], bool]]:
    """The tables of a file that have checksums, or are to get them: the own columns of each, and
    whether it has them: those of older formats don't.
    """
    names = db.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " ORDER BY name"
    ).fetchall()
    tables = {}
    for (name,) in names:
        if name not in _UNPROTECTED:
            columns = [row[1] for row in db.execute(f"PRAGMA main.table_xinfo('{name}')")]
            own = [column for column in columns if column != _NAME]
            tables[name] = own, _NAME in columns
    return tables


def columns_of(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The own columns of each table of `tables_of`."""
    return {name: columns for name, (columns, _) in tables_of(db).items()}


def protected_tables(db: sqlite3.Connection) -> set[str]:
    """The tables that have checksums."""
    return {name for name, (_, is_protected) in tables_of(db).items() if is_protected}


def checksum_of(table: str, columns: list[str], row: str = "") -> str:
    """The SQL expression of the checksum of a row; `row`: "OLD." or "NEW." in a trigger."""
    return f"row_checksum('{table}', {', '.join(f'{row}{column}' for column in columns)})"


def protect(db: sqlite3.Connection) -> None:
    """Gives all tables their checksums; it belongs into the transaction that brings a file to a
    format. Whatever new table or column that has, it is protected.
    """
    db.execute(_MADE)
    tables = columns_of(db)
    for table, columns in tables.items():
        _protect_table(db, table, columns)
    db.execute(f"DELETE FROM {TABLE}")
    for table in tables:
        db.execute(
            f"INSERT INTO {TABLE} SELECT ?, count(*), ifnull(sum(checksum), 0) FROM {table}",
            (table,),
        )
    db.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?)", (SCHEMA, *schema_sum(db)))


def _protect_table(db: sqlite3.Connection, table: str, columns: list[str]) -> None:
    """Makes a table anew with the column of checksums, which can't be added to one that is there.

    It is the first one: any further column is added behind, and constraints come last.
    """
    checksum, names = checksum_of(table, columns), ", ".join(columns)
    is_bulk = table in BULK
    wanted = _GIVEN if is_bulk else f"{_NAME} INTEGER AS ({checksum}) STORED, "
    query = "SELECT sql FROM main.sqlite_schema WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    (definition,) = db.execute(query, (table, "table")).fetchone()
    if wanted in definition and not is_bulk:
        return
    _, rest = _COLUMN.sub("", definition).split("(", 1)
    indexes = [sql for (sql,) in db.execute(query, (table, "index")).fetchall()]
    (has_rows,) = db.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()
    if has_rows:
        given, values = (f"{_NAME}, {names}", f"{checksum}, {names}") if is_bulk else (names, names)
        db.execute(f"CREATE TABLE {table}_new ({wanted}{rest}")
        db.execute(f"INSERT INTO {table}_new ({given}) SELECT {values} FROM {table}")
    db.execute(f"DROP TABLE {table}")
    if has_rows:
        db.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    else:
        # As in a new file; to rename a table has SQLite read all definitions again.
        db.execute(f'CREATE TABLE "{table}" ({wanted}{rest}')
    for index in indexes:
        db.execute(index)


def schema_sum(db: sqlite3.Connection) -> tuple[int, int]:
    """The number of tables and indexes, and the sum of the checksums of their definitions."""
    count, total = db.execute(
        f"SELECT count(*), ifnull(sum({checksum_of(SCHEMA, ['type', 'name', 'tbl_name', 'sql'])}),"
        f" 0) FROM main.sqlite_schema"
    ).fetchone()
    return count, total


def _triggers(tables: Mapping[str, tuple[list[str], bool]]) -> str:
    # So that a row that another one replaces counts as deleted.
    statements = ["PRAGMA recursive_triggers = ON"]
    for table, (columns, is_protected) in tables.items():
        if not is_protected:
            continue
        old = _looked_at(table, columns, "OLD.")
        # Where none is given with a change, the one of before would be left.
        both = f"{old}, {_looked_at(table, columns, 'NEW.')}" if table in BULK else old
        start, where = f"UPDATE {TABLE} SET", f"WHERE name = '{table}'"
        statements += [
            f"CREATE TEMP TRIGGER {table}_inserted AFTER INSERT ON main.{table} BEGIN {start}"
            f" row_count = row_count + 1, total = total + NEW.{_NAME} {where}; END",
            f"CREATE TEMP TRIGGER {table}_deleted AFTER DELETE ON main.{table} BEGIN"
            f" SELECT {old}; {start}"
            f" row_count = row_count - 1, total = total - OLD.{_NAME} {where}; END",
            f"CREATE TEMP TRIGGER {table}_updated AFTER UPDATE ON main.{table} BEGIN"
            f" SELECT {both}; {start}"
            f" total = total + NEW.{_NAME} - OLD.{_NAME} {where}; END",
        ]
    return ";\n".join(statements)


def _looked_at(table: str, columns: list[str], row: str = "") -> str:
    """The SQL expression that fails for a row that doesn't fit; `row`: see `checksum_of`."""
    return f"sound({row}{_NAME}, '{table}', {', '.join(f'{row}{column}' for column in columns)})"


def _views(tables: Mapping[str, tuple[list[str], bool]]) -> str:
    statements = []
    for table, (columns, is_protected) in tables.items():
        # Outside a query of its own, SQLite would put constants from other conditions in the place
        # of columns, before it has compared these.
        where = f" WHERE (SELECT {_looked_at(table, columns)})" if is_protected else ""
        names = ", ".join(columns)
        statements.append(
            f"CREATE TEMP VIEW sound_{table} AS SELECT {names} FROM main.{table}{where}"
        )
    return ";\n".join(statements)
