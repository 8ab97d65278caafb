"""The state file as a database: opening, locking, whole transactions. One connection, one writer.

sqlite3's exceptions end here: StateError for what a person must mend (locked, not writable),
StateDamagedError for a file that isn't ours or can't be trusted, TemporaryError for a full disk.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import anyio.to_thread

from bridge.errors import BridgeError, StateDamagedError, StateError
from bridge.state import file_mark, place
from bridge.state.file_format import SCHEMA_VERSION, create, steps_from, use_wal
from bridge.state.inspection import inspect, require_no_trace, translated
from bridge.state.lock import StateLock, claim, is_locked
from bridge.state.trace import note

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
                before = self._db.total_changes
                try:
                    yield
                    if self._db.total_changes != before:
                        await self._turn_mark()
                    await self._db.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back by itself when the disk is full.
                    if self._db.in_transaction:
                        await self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    async def _turn_mark(self) -> None:
        await self._db.execute(file_mark.TURN)
        # It writes the first page as well, so that no older -wal is without it.
        await self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

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

    `read_only` reads it beside a running service. A file that isn't what it seems is refused before
    anything is changed. Raises StateError and StateDamagedError.
    """
    copied = await anyio.to_thread.run_sync(look, path)
    real = place.require(path, to_write=not read_only)
    if read_only and not real.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    lock = None if read_only else await claim(real)
    try:
        if lock is not None:
            # What was seen without the lock may have changed since.
            copied = await anyio.to_thread.run_sync(_make_or_inspect, real, lock)
        address = f"{real.as_uri()}?mode={'ro' if read_only else 'rw'}"
        try:
            connection = await aiosqlite.connect(address, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise translated(error, path) from error
        database = Database(connection, path, copied=copied)
        try:
            await connection.execute(f"PRAGMA busy_timeout = {_WAIT}")
            if lock is None:
                yield database
                return
            await _prepare(connection, path)
            note(lock.beside)
            async with _in_use(database):
                yield database
        finally:
            # Its thread isn't a daemon: left open, it would hang the exit.
            with anyio.CancelScope(shield=True):
                await connection.close()
    finally:
        if lock is not None:
            lock.release()


def look(path: Path, *, thorough: bool = False) -> bool:
    """Inspects a file that no service has open; tells whether it looks like a copy.

    thorough: see `inspect`. Raises StateError for what is no regular file of ours, and
    StateDamagedError where a file, or what is left of one, isn't what it seems.
    """
    real = place.require(path)
    if is_locked(real):
        # What is beside it is written just now.
        return False
    try:
        if real.exists():
            return inspect(real, thorough=thorough)
        require_no_trace(real)
    except StateDamagedError:
        if not is_locked(real):
            raise
    return False


def _make_or_inspect(path: Path, lock: StateLock) -> bool:
    """Makes the file where it is missing, or inspects it; tells whether it looks like a copy."""
    if not path.exists():
        require_no_trace(path)
        create(path)
        lock.hold_file()
        return False
    place.require(path, to_write=True)
    lock.hold_file()
    copied = inspect(path, thorough=True)
    path.chmod(0o600)
    use_wal(path)
    return copied


async def _prepare(db: aiosqlite.Connection, path: Path) -> None:
    """Sets up a connection that writes, and brings a file of an older format up to date."""
    try:
        # FULL: a commit survives power loss, not only a killed process.
        await db.execute("PRAGMA synchronous = FULL")
        await db.execute("PRAGMA journal_mode = WAL")
        await db.create_function("lower_case", 1, str.lower, deterministic=True)
        rows = list(await db.execute_fetchall("PRAGMA user_version"))
        for script in steps_from(rows[0][0]):
            await db.executescript(script)
    except sqlite3.Error as error:
        raise translated(error, path) from error


@asynccontextmanager
async def _in_use(database: Database) -> AsyncIterator[None]:
    """Marks the file itself as being in use, until it is left."""
    async with database.transaction():
        await database.run("UPDATE file_mark SET in_use = 1")
    await database.checkpoint()
    try:
        yield
    finally:
        with suppress(BridgeError):
            # On a full disk the mark stays, and so does the -wal.
            async with database.transaction():
                await database.run("UPDATE file_mark SET in_use = 0")
