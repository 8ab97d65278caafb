"""The state file as a database: opening, locking, whole transactions. One connection, one writer.

sqlite3's exceptions end here: StateError for what a person must mend (locked, not writable),
StateDamagedError for a file that isn't ours or can't be trusted, TemporaryError for a full disk.
"""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Final

import aiosqlite
import anyio
import anyio.to_thread

from bridge.errors import BridgeError, StateDamagedError, StateError
from bridge.state import file_mark
from bridge.state.checksums import Connection, Reading, Writing
from bridge.state.file_format import (
    CHECKSUMS_SINCE,
    SCHEMA_VERSION,
    bring_up_to_date,
    create,
    use_wal,
)
from bridge.state.inspection import (
    inspect,
    lock_of,
    require_no_trace,
    translated,
    unreadable,
    verified,
)
from bridge.state.verification import Verified

LOCK_NOTE: Final = b"The state file of listrak-bridge is beside this file.\n"
"""The content of the lock file once there is a state file."""


_WAIT, _SHORT_WAIT = 5000, 100
"""Milliseconds for which another process may keep the file busy."""

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
            raise translated(error, self.path, query) from error

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
    real = _real(path)
    if read_only and not real.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    lock = None if read_only else await _claim(real)
    try:
        if lock is not None:
            # What was seen without the lock may have changed since.
            copied = await anyio.to_thread.run_sync(_make_or_inspect, real)
            await anyio.to_thread.run_sync(_bring_up_to_date, real)
        address = f"{real.as_uri()}?mode={'ro' if read_only else 'rw'}"
        kind = Reading if read_only else Writing
        try:
            connection = await aiosqlite.connect(
                address, uri=True, isolation_level=None, factory=kind
            )
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise unreadable(error, path) from error
        database = Database(connection, path, copied=copied)
        try:
            await connection.execute(f"PRAGMA busy_timeout = {_WAIT}")
            if lock is None:
                yield database
                return
            # FULL: a commit survives power loss, not only a killed process.
            await database.all("PRAGMA synchronous = FULL")
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
    had_index = _index_of(real).exists()
    if is_locked(real):
        # What is beside it is written just now.
        return False
    try:
        if real.exists():
            return real.is_file() and inspect(real, thorough=thorough)
        require_no_trace(real)
    except StateDamagedError:
        if not is_locked(real):
            if not had_index:
                _index_of(real).unlink(missing_ok=True)
            raise
    return False


def _index_of(path: Path) -> Path:
    """The -shm beside a file: SQLite makes it of a -wal as soon as that is read."""
    return path.with_name(f"{path.name}-shm")


def verify(path: Path) -> Verified:
    """Looks at everything in a state file, as it is at one moment, beside a service or without one.

    Raises StateError where there is none, and StateDamagedError where it isn't as it was written.
    """
    real = _real(path)
    look(path)
    if not real.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    alone = not is_locked(real) and not file_mark.has_commits(real)
    try:
        return verified(real, alone=alone)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise unreadable(error, path) from error


def _make_or_inspect(path: Path) -> bool:
    """Makes the file where it is missing, or inspects it; tells whether it looks like a copy."""
    if not path.exists():
        require_no_trace(path)
        create(path)
        return False
    if not path.is_file() or not os.access(path, os.W_OK):
        kind = "not allowed" if path.is_file() else "it is no file"
        raise StateError(f"BRIDGE_STATE: can't write {str(path)!r}: {kind}")
    had_index = _index_of(path).exists()
    try:
        copied = inspect(path, thorough=True)
    except StateDamagedError:
        if not had_index:
            _index_of(path).unlink(missing_ok=True)
        raise
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


def _bring_up_to_date(path: Path) -> None:
    """Has SQLite use a -wal with a file, and brings one of an older format up to date."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_mode = WAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            bring_up_to_date(db, version)
            if version < CHECKSUMS_SINCE:
                # All tables were made anew, and the file is twice as large.
                with suppress(sqlite3.OperationalError):
                    db.execute("VACUUM")
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
