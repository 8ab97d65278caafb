"""The state file as a database: opening, locking, whole transactions. One connection, one writer.

sqlite3's exceptions end here: StateError for what a person must mend (locked, not writable),
StateDamagedError for a file that isn't ours or can't be trusted, TemporaryError for a full disk.
"""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiosqlite
import anyio
import anyio.to_thread

from bridge.errors import BridgeError, StateDamagedError, StateError, TemporaryError
from bridge.state import file_mark
from bridge.state.file_format import PASSING, SCHEMA_VERSION, create, steps_from, use_wal
from bridge.state.inspection import inspect, lock_of, require_no_trace, translated

LOCK_NOTE: Final = b"The state file of listrak-bridge is beside this file.\n"
"""The content of the lock file once there is a state file."""


_WAIT, _SHORT_WAIT = 5000, 100
"""Milliseconds for which another process may keep the file busy."""

_WAL_PAGES, _FEWEST_WAL_PAGES, _PAGE_BYTES = 1000, 16, 4096
"""Pages of the -wal: as SQLite has it, and at least; bytes of a page."""

_WAL_SHARE = 8
"""The -wal takes at most so much of what is free on the disk: one part in eight."""

_WAL_KEPT = 16 * 2**20
"""Bytes of the -wal that stay in use of the disk after a larger transaction."""

_CLAIMS, _CLAIM_INTERVAL = 25, 0.02
"""Attempts to lock the file, and seconds between two of them."""


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
        try:
            busy, *_ = await self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await self.all(f"PRAGMA busy_timeout = {_WAIT}")
        return not busy

    async def make_room(self) -> bool:
        """Frees what the -wal takes of a full disk, as far as it goes into the file.

        False where it can't be done: the file would have to grow for it, or is being read.
        """
        with suppress(TemporaryError):
            return await self.empty_wal()
        return False

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
    real = _real(path)
    if read_only and not real.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    lock = None if read_only else await _claim(real)
    try:
        if lock is not None:
            # What was seen without the lock may have changed since.
            copied = await anyio.to_thread.run_sync(_make_or_inspect, real)
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
            _note(lock)
            async with _in_use(database):
                yield database
        finally:
            # Its thread isn't a daemon: left open, it would hang the exit.
            with anyio.CancelScope(shield=True):
                await connection.close()
    finally:
        if lock is not None:
            os.close(lock)


def _real(path: Path) -> Path:
    """The file behind a link: what is beside the link isn't what is beside it."""
    return path.resolve()


def look(path: Path, *, thorough: bool = False) -> bool:
    """Inspects a file that no service has open; tells whether it looks like a copy.

    thorough: see `inspect`. Raises StateDamagedError where a file, or what is left of one, isn't
    what it seems.
    """
    real = _real(path)
    if is_locked(real):
        # What is beside it is written just now.
        return False
    try:
        if real.exists():
            return real.is_file() and inspect(real, thorough=thorough)
        require_no_trace(real)
    except StateDamagedError:
        if not is_locked(real):
            raise
    return False


def _make_or_inspect(path: Path) -> bool:
    """Makes the file where it is missing, or inspects it; tells whether it looks like a copy."""
    if not path.exists():
        require_no_trace(path)
        create(path)
        return False
    if not path.is_file() or not os.access(path, os.W_OK):
        kind = "not allowed" if path.is_file() else "it is no file"
        raise StateError(f"BRIDGE_STATE: can't write {str(path)!r}: {kind}")
    copied = inspect(path, thorough=True)
    path.chmod(0o600)
    use_wal(path)
    return copied


async def _claim(path: Path) -> int:
    """The lock that keeps a second process away; a file beside, as SQLite locks the file itself.

    Whoever only asks whether it is locked has it for an instant as well, which is waited for.
    """
    try:
        lock = os.open(lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in PASSING:
            raise TemporaryError(
                f"BRIDGE_STATE: can't write {str(path)!r} for now: {error.strerror}"
            ) from None
        raise StateError(
            f"BRIDGE_STATE: can't write {str(path)!r}: {error.strerror}. Make its folder "
            "and let this user write there, or name another file"
        ) from None
    claimed = False
    try:
        claimed = await _locks(lock)
    finally:
        if not claimed:
            os.close(lock)
    if not claimed:
        raise StateError(
            f"BRIDGE_STATE: {str(path)!r} is in use by another listrak-bridge; "
            "stop that one first, or name another file"
        )
    return lock


async def _locks(lock: int) -> bool:
    """Locks a file for this process alone; False where another one keeps it."""
    for _attempt in range(_CLAIMS):
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        await anyio.sleep(_CLAIM_INTERVAL)
    return False


def is_locked(path: Path) -> bool:
    """Tells whether another process has a state file open to write it."""
    try:
        lock = os.open(lock_of(_real(path)), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _note(lock: int) -> None:
    """Writes into the lock file that a state file is there: should it be lost, that is noticed."""
    if not os.fstat(lock).st_size:
        with suppress(OSError):
            # On a full disk there is a trace less; the next start writes it.
            os.write(lock, LOCK_NOTE)


async def _prepare(db: aiosqlite.Connection, path: Path) -> None:
    """Sets up a connection that writes, and brings a file of an older format up to date."""
    try:
        # FULL: a commit survives power loss, not only a killed process.
        await db.execute("PRAGMA synchronous = FULL")
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute(f"PRAGMA wal_autocheckpoint = {_wal_pages(path)}")
        await db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        await db.create_function("lower_case", 1, str.lower, deterministic=True)
        rows = list(await db.execute_fetchall("PRAGMA user_version"))
        for script in steps_from(rows[0][0]):
            await db.executescript(script)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _wal_pages(path: Path) -> int:
    """Pages that the -wal has before they are brought into the file.

    Fewer on a small disk: it mustn't be filled by what isn't in the file yet, since the file
    could not grow any more to take it in.
    """
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    return max(_FEWEST_WAL_PAGES, min(_WAL_PAGES, free // _WAL_SHARE // _PAGE_BYTES))


@asynccontextmanager
async def _in_use(database: Database) -> AsyncIterator[None]:
    """Marks the file itself as being in use, until it is left."""
    try:
        await _mark_in_use(database)
    except TemporaryError:
        if not await database.make_room():
            raise
        await _mark_in_use(database)
    await database.checkpoint()
    try:
        yield
    finally:
        with suppress(BridgeError):
            # On a full disk the mark stays, and so does the -wal.
            async with database.transaction():
                await database.run("UPDATE file_mark SET in_use = 0")


async def _mark_in_use(database: Database) -> None:
    async with database.transaction():
        await database.run("UPDATE file_mark SET in_use = 1")
