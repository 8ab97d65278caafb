"""The state file as a database: opening, locking, whole transactions. One connection, one writer.

sqlite3's exceptions end here: StateError for what a person must mend (locked, not writable),
StateDamagedError for a file that isn't ours or can't be trusted, TemporaryError for a full disk.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiosqlite
import anyio
import anyio.to_thread

from bridge import clock
from bridge.errors import BridgeError, StateDamagedError, StateError
from bridge.state import file_mark, place
from bridge.state.file_format import SCHEMA_VERSION, create, steps_from, use_wal
from bridge.state.inspection import inspect, require_no_trace, translated
from bridge.state.lock import StateLock, claim, is_locked, lock_of
from bridge.state.presence import INTERVAL, Presence
from bridge.state.trace import JUMP, Trace, held_trace, trace_of

_WAIT, _SHORT_WAIT = 5000, 100
"""Milliseconds for which another process may keep the file busy."""


class Hold(NamedTuple):
    """The hold that a process has on a state file which it writes."""

    presence: Presence
    trace: Trace


class Database:
    """An open state file. Use `open_database`."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        path: Path,
        hold: Hold | None,
        *,
        copied: bool,
    ) -> None:
        self._db = connection
        self._hold = hold
        self.path = path
        self.copied = copied
        """Tells whether it looks like a copy of a file that was in use, without its -wal."""
        self.is_untraced = False
        """Tells whether nothing beside it tells that it was ever in use here."""
        self.behind: int | None = None
        """Transactions that were on disk and aren't in it; None where no trace tells."""

    @property
    def went_back(self) -> bool:
        """Tells whether what was saved last isn't in it: for certain, or where it looks so."""
        return self.copied if self.behind is None else self.behind > 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Runs a transaction, all or nothing, on disk when it is left. It isn't cancelled half-way.

        Raises TemporaryError when the disk is full or the file can't be written for now, StateError
        where it isn't the file of its name any more.
        """
        with anyio.CancelScope(shield=True):
            await self.require_present(content=True)
            try:
                await self._db.execute("BEGIN IMMEDIATE")
                before, number = self._db.total_changes, 0
                try:
                    yield
                    if self._db.total_changes != before:
                        number = await self._turn_mark()
                    await self._db.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back by itself when the disk is full.
                    if self._db.in_transaction:
                        await self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise await self._told(error) from error
            if self._hold is not None:
                self._hold.trace.note(number)

    async def _turn_mark(self) -> int:
        """Makes the mark of a transaction; returns its number."""
        await self._db.execute(file_mark.TURN)
        # It writes the first page as well, so that no older -wal is without it.
        await self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        rows = await self._db.execute_fetchall(_COUNT)
        ((number, own),) = rows
        if self._hold is not None:
            self._hold.presence.add_mark(own)
        return int(number)

    async def require_present(self, *, content: bool = False) -> None:
        """Raises StateError once it isn't the file of its name any more; see Presence."""
        if self._hold is not None:
            look_at = partial(self._hold.presence.require, content=content)
            await anyio.to_thread.run_sync(look_at, abandon_on_cancel=True)

    async def watch(self) -> None:
        """Looks again and again whether it still is the file of its name. Raises StateError."""
        while True:
            await anyio.sleep(INTERVAL)
            await self.require_present()

    async def note_content(self) -> None:
        """Notes where its mark is, once all is in the file itself; see Presence."""
        if self._hold is not None:
            page, size, own = await self.one(_CONTENT)
            self._hold.presence.note_content(page, size, own)

    async def all(self, query: str, *values: object) -> list[Any]:
        """All rows of a query."""
        try:
            return list(await self._db.execute_fetchall(query, values))
        except sqlite3.Error as error:
            raise await self._told(error) from error

    async def _told(self, error: sqlite3.Error) -> BridgeError:
        """SQLite's error as one of ours. Raises StateError where it comes of another content."""
        told = translated(error, self.path)
        if isinstance(told, StateDamagedError):
            await self.require_present(content=True)
        return told

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
        if self._hold is not None:
            self._hold.presence.forget_content()
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
        if not busy:
            await self.note_content()
        return not busy

    async def version(self) -> int:
        """The format that the file has."""
        return int((await self.one("PRAGMA user_version"))[0])

    async def transactions(self) -> int:
        """The number of transactions that the file has seen; 0 for one of an older format."""
        if await self.version() < _COUNTED_SINCE:
            return 0
        return int((await self.one("SELECT number FROM transactions"))[0])

    async def settle(self) -> None:
        """Brings all that was saved into the file that is open, wherever that stands by now."""
        with suppress(sqlite3.Error):
            await self._db.execute("UPDATE file_mark SET in_use = 0")
            await self._db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def run(self, statement: str, *values: object) -> int:
        """Runs a statement of a transaction; returns the id of the row it inserted, if it did."""
        cursor = await self._db.execute(statement, values)
        return cursor.lastrowid or 0

    async def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs a statement of a transaction for each row."""
        await self._db.executemany(statement, rows)


_COUNTED_SINCE: Final = 5
_COUNT: Final = (
    "UPDATE transactions SET number = number + 1 RETURNING number, (SELECT own FROM file_mark)"
)
_CONTENT: Final = (
    "SELECT (SELECT rootpage FROM sqlite_schema WHERE name = 'file_mark'),"
    " (SELECT page_size FROM pragma_page_size), own FROM file_mark"
)


@asynccontextmanager
async def open_database(path: Path, *, read_only: bool = False) -> AsyncIterator[Database]:
    """Opens the state file, made where it is missing, and locks it for this process alone.

    `read_only` reads it beside a running service. A file that isn't what it seems is refused before
    anything is changed. Raises StateError and StateDamagedError.
    """
    real = place.require(path, to_write=not read_only)
    copied = await anyio.to_thread.run_sync(look, path)
    if read_only:
        if not real.exists():
            raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
        # Read first, as a service may be saving just now.
        trace = trace_of(lock_of(real))
        async with _connected(real, path, None) as connection:
            database = Database(connection, path, None, copied=copied)
            yield await _compared(database, trace)
        return
    lock = await claim(real)
    try:
        # What was seen without the lock may have changed since.
        copied = await anyio.to_thread.run_sync(_make_or_inspect, real, lock)
        hold = Hold(Presence(path, real, lock), held_trace(lock.beside))
        async with _connected(real, path, hold) as connection:
            await _prepare(connection, path)
            database = Database(connection, path, hold, copied=copied)
            await _compared(database, hold.trace)
            async with _in_use(database, hold):
                yield database
    finally:
        lock.release()


@asynccontextmanager
async def _connected(
    real: Path, path: Path, hold: Hold | None
) -> AsyncIterator[aiosqlite.Connection]:
    """A connection, to read where there is no hold."""
    address = f"{real.as_uri()}?mode={'ro' if hold is None else 'rw'}"
    try:
        connection = await aiosqlite.connect(address, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        await connection.execute(f"PRAGMA busy_timeout = {_WAIT}")
        yield connection
    finally:
        # Its thread isn't a daemon: left open, it would hang the exit.
        with anyio.CancelScope(shield=True):
            if hold is not None:
                hold.presence.before_closing()
            await connection.close()


async def _compared(database: Database, trace: Trace) -> Database:
    """The database, once it is known how far it is behind its trace, if it has one."""
    if trace.number:
        database.behind = max(0, trace.number - await database.transactions())
        # Where nothing is missing, another program has opened it after a crash.
        database.copied = database.copied and database.behind > 0
    database.is_untraced = not trace.is_there
    return database


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
async def _in_use(database: Database, hold: Hold) -> AsyncIterator[None]:
    """Marks the file itself as being in use, until it is left; notes that it has gone back."""
    async with database.transaction():
        await database.run("UPDATE file_mark SET in_use = 1")
        if database.went_back:
            ahead = hold.trace.number + JUMP
            await database.run("UPDATE transactions SET number = number + ?", ahead)
            statement = "INSERT INTO reversals (found_at, behind) VALUES (?, ?)"
            await database.run(statement, clock.wall_time(), database.behind)
    await database.checkpoint()
    hold.presence.begin()
    await database.note_content()
    try:
        yield
    finally:
        with suppress(BridgeError):
            # On a full disk the mark stays, and so does the -wal.
            async with database.transaction():
                await database.run("UPDATE file_mark SET in_use = 0")
        if hold.presence.displaced and not hold.presence.is_overwritten:
            await database.settle()
