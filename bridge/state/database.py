"""The state file as a database: opening, locking, whole transactions. One connection, one writer.

sqlite3's exceptions end here: StateError for what a person must mend (locked, not writable),
StateDamagedError for a file that isn't ours or can't be trusted, TemporaryError for a full disk.
"""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiosqlite
import anyio

from bridge.errors import BridgeError, StateDamagedError, StateError, TemporaryError

APPLICATION_ID: Final = 0x4C53_4247  # "LSBG"
SCHEMA_VERSION: Final = 4
"""The file's format. Each is made of the one before, the first of an empty file: schema/."""

QUICK_CHECK_UP_TO: Final = 4 * 2**20
"""Bytes of the largest file that is checked at the start, so that it isn't delayed. Damage found
later ends the run as well."""


_WAIT, _SHORT_WAIT = 5000, 100
"""Milliseconds for which another process may keep the file busy."""


class Database:
    """An open state file. Use `open_database`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, *, copied: bool) -> None:
        self._db = connection
        self.path = path
        self.copied = copied
        """Tells whether it looks like a copy of a file that was in use, without its -wal."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Runs a transaction, all or nothing, on disk when it is left. It isn't cancelled half-way.

        Raises TemporaryError when the disk is full or the file can't be written for now.
        """
        with anyio.CancelScope(shield=True):
            try:
                await self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    await self._db.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back by itself when the disk is full.
                    if self._db.in_transaction:
                        await self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    async def all(self, query: str, *values: object) -> list[Any]:
        """All rows of a query."""
        try:
            return list(await self._db.execute_fetchall(query, values))
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    async def one(self, query: str, *values: object) -> Any:
        """The first row of a query, None if there is none."""
        rows = await self.all(query, *values)
        return rows[0] if rows else None

    async def checkpoint(self) -> None:
        """Brings all that was committed into the file itself, so that a copy of it has that."""
        await self.all("PRAGMA wal_checkpoint(FULL)")

    async def rewrite(self) -> None:
        """Writes the whole file anew, without what was deleted of it; it takes about its size more
        of the disk meanwhile, twice over.

        Deleted rows leave their bytes behind: on free pages, and in the gaps of others, where
        SQLite has once moved them. Only a new file has none of them.

        Raises TemporaryError where there is no room for it. A cancellation ends it soon.
        """
        try:
            await self.all("VACUUM")
        except anyio.get_cancelled_exc_class():
            await self._db.interrupt()
            raise

    async def empty_wal(self) -> bool:
        """Empties the -wal, into the file; False while another program reads the file."""
        # Nobody waits for that program meanwhile: it may take its time.
        await self.all(f"PRAGMA busy_timeout = {_SHORT_WAIT}")
        busy, *_ = await self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        await self.all(f"PRAGMA busy_timeout = {_WAIT}")
        return not busy

    async def version(self) -> int:
        """The format that the file has."""
        return int((await self.one("PRAGMA user_version"))[0])

    async def run(self, statement: str, *values: object) -> int:
        """Runs a statement of a transaction; returns the id of the row it inserted, if it did."""
        cursor = await self._db.execute(statement, values)
        return cursor.lastrowid or 0

    async def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs a statement of a transaction for each row."""
        await self._db.executemany(statement, rows)


@asynccontextmanager
async def open_database(path: Path, *, read_only: bool = False) -> AsyncIterator[Database]:
    """Opens the state file, made where it is missing, and locks it for this process alone.

    `read_only` reads it beside a running service. Raises StateError and StateDamagedError.
    """
    lock = None if read_only else _claim(path)
    try:
        address = _address(path, read_only=read_only)
        # Looked for before the connection makes one; a reader may have left an empty one.
        has_wal = _has_wal(path)
        try:
            connection = await aiosqlite.connect(address, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise translated(error, path) from error
        try:
            try:
                await _prepare(connection, path, read_only=read_only)
                marked = await _is_marked(connection)
                database = Database(connection, path, copied=marked and not has_wal)
                if not read_only:
                    await _mark(connection)
            except sqlite3.Error as error:
                raise translated(error, path) from error
            yield database
        finally:
            # Its thread isn't a daemon: left open, it would hang the exit.
            with anyio.CancelScope(shield=True):
                if not read_only:
                    await _unmark(connection)
                await connection.close()
    finally:
        if lock is not None:
            os.close(lock)


def _claim(path: Path) -> int:
    """The lock that keeps a second process away; a file beside, as SQLite locks the file itself."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"BRIDGE_STATE: can't write {str(path)!r}: {error.strerror}. Make its folder "
            "and let this user write there, or name another file"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StateError(
            f"BRIDGE_STATE: {str(path)!r} is in use by another listrak-bridge; "
            "stop that one first, or name another file"
        ) from None
    return lock


def is_locked(path: Path) -> bool:
    """Tells whether another process has a state file open to write it."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _address(path: Path, *, read_only: bool) -> str:
    """The file as a URI; made empty where it is missing, for this user alone."""
    if read_only and not path.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    if not read_only:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            problem = f"BRIDGE_STATE: can't write {str(path)!r}: {error.strerror}"
            raise StateError(problem) from None
    return f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"


def _has_wal(path: Path) -> bool:
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and _size(wal) > 0


def _size(path: Path) -> int:
    return path.stat().st_size


def _take_over(path: Path) -> int:
    """Makes a file that is ours this user's alone; returns its size in bytes."""
    path.chmod(0o600)
    return _size(path)


async def _prepare(db: aiosqlite.Connection, path: Path, *, read_only: bool) -> None:
    await db.execute(f"PRAGMA busy_timeout = {_WAIT}")
    application = await _first(db, "PRAGMA application_id")
    version = await _first(db, "PRAGMA user_version")
    objects = await _first(db, "SELECT count(*) FROM sqlite_schema")
    fresh = not read_only and not _size(path)
    if not fresh and not application and not objects:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} is an empty database: most likely a copy of a state file "
            "that was in use, without the -wal file beside it. Copy a state file only while no "
            "service has it open, or by sqlite3's .backup; move this one away to start anew"
        )
    if not fresh and application != APPLICATION_ID:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} is not a state file of this program; "
            "it was left untouched. Name another file"
        )
    if version > SCHEMA_VERSION:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} was written by a newer version of this program "
            f"(format {version}, this one reads up to {SCHEMA_VERSION}). Install the newer version"
        )
    if read_only:
        return
    if _take_over(path) <= QUICK_CHECK_UP_TO:
        finding = await _first(db, "PRAGMA quick_check(1)")
        if finding != "ok":
            raise StateDamagedError(_damaged(path, str(finding)))
    # FULL: a commit survives power loss, not only a killed process.
    await db.execute("PRAGMA synchronous = FULL")
    if not fresh:
        await db.execute("PRAGMA journal_mode = WAL")
    await db.create_function("lower_case", 1, str.lower, deterministic=True)
    for step in range(version + 1, SCHEMA_VERSION + 1):
        schema = files("bridge.state").joinpath("schema", f"{step}.sql").read_text(encoding="utf-8")
        await db.executescript(
            f"BEGIN IMMEDIATE; {schema} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {step}; COMMIT;"
        )
    # A new file has its tables in itself before a -wal stands beside it.
    await db.execute("PRAGMA journal_mode = WAL")


async def _is_marked(db: aiosqlite.Connection) -> bool:
    """Tells whether a file has the mark of being open; older formats have none."""
    if not await _first(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'in_use'"):
        return False
    return bool(await _first(db, "SELECT count(*) FROM in_use"))


async def _mark(db: aiosqlite.Connection) -> None:
    await db.execute("INSERT OR REPLACE INTO in_use VALUES (1)")
    await db.execute_fetchall("PRAGMA wal_checkpoint(FULL)")


async def _unmark(db: aiosqlite.Connection) -> None:
    with suppress(sqlite3.Error):
        # On a full disk the mark stays, and so does the -wal.
        await db.execute("DELETE FROM in_use")


async def _first(db: aiosqlite.Connection, query: str) -> Any:
    rows = list(await db.execute_fetchall(query))
    return rows[0][0]


def _damaged(path: Path, reason: str) -> str:
    return (
        f"BRIDGE_STATE: {str(path)!r} is damaged ({reason}); it was left as it is. "
        "Restore a backup, or move it away to start anew from BRIDGE_SINCE"
    )


def translated(error: sqlite3.Error, path: Path) -> BridgeError:
    """SQLite's error as one of ours."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StateDamagedError(_damaged(path, str(error)))
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY")):
        return TemporaryError(f"BRIDGE_STATE: can't write {str(path)!r} for now: {error}")
    return StateError(f"BRIDGE_STATE: can't use {str(path)!r}: {error}")
