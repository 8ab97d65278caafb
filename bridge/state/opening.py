"""Opens a state file: looked at before anything is changed, locked, and brought up to date."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import aiosqlite
import anyio
import anyio.to_thread

from bridge import clock
from bridge.errors import BridgeError, StateDamagedError, StateError, TemporaryError
from bridge.state import file_mark, place
from bridge.state.checksums import Connection, Reading, Writing
from bridge.state.database import WAIT, Database, Hold
from bridge.state.file_format import CHECKSUMS_SINCE, bring_up_to_date, create, use_wal
from bridge.state.inspection import inspect, require_no_trace, translated, unreadable, verified
from bridge.state.lock import StateLock, claim, is_locked, lock_of
from bridge.state.presence import Presence
from bridge.state.trace import JUMP, Trace, held_trace, trace_of
from bridge.state.verification import Verified

_WAL_PAGES, _FEWEST_WAL_PAGES, _PAGE_BYTES = 1000, 16, 4096
"""Pages of the -wal: as SQLite has it, and at least; bytes of a page."""

_WAL_SHARE = 8
"""The -wal takes at most so much of what is free on the disk: one part in eight."""

_WAL_KEPT = 16 * 2**20
"""Bytes of the -wal that stay in use of the disk after a larger transaction."""


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
        await anyio.to_thread.run_sync(_bring_up_to_date, real)
        hold = Hold(Presence(path, real, lock), held_trace(lock.beside))
        async with _connected(real, path, hold) as connection:
            database = Database(connection, path, hold, copied=copied)
            # FULL: a commit survives power loss, not only a killed process.
            await database.all("PRAGMA synchronous = FULL")
            await database.all(f"PRAGMA wal_autocheckpoint = {_wal_pages(real)}")
            await database.all(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
            await _compared(database, hold.trace)
            async with _in_use(database, hold):
                try:
                    yield database
                finally:
                    # What is cancelled meanwhile may be in the middle of one, on a slow disk.
                    with anyio.CancelScope(shield=True):
                        await database.drained()
    finally:
        lock.release()


@asynccontextmanager
async def _connected(
    real: Path, path: Path, hold: Hold | None
) -> AsyncIterator[aiosqlite.Connection]:
    """A connection, to read where there is no hold."""
    address = f"{real.as_uri()}?mode={'ro' if hold is None else 'rw'}"
    kind = Reading if hold is None else Writing
    try:
        # Cancelled in the middle, it would leave its thread to tell a loop that has ended.
        with anyio.CancelScope(shield=True):
            connection = await aiosqlite.connect(
                address, uri=True, isolation_level=None, factory=kind
            )
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise unreadable(error, path) from error
    try:
        await connection.execute(f"PRAGMA busy_timeout = {WAIT}")
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


def look(path: Path) -> bool:
    """Inspects a file that no service has open; tells whether it looks like a copy.

    Raises StateError for what is no regular file of ours, and StateDamagedError where a file, or
    what is left of one, isn't what it seems.
    """
    real = place.require(path)
    if is_locked(real):
        # What is beside it is written just now.
        return False
    try:
        with _without_new_index(real):
            if real.exists():
                return inspect(real, thorough=False)
            require_no_trace(real)
    except StateDamagedError:
        if not is_locked(real):
            raise
    return False


@contextmanager
def _without_new_index(path: Path, *, held: bool = False) -> Iterator[None]:
    """Removes the -shm that SQLite makes of a -wal as soon as that is read, if a file is refused.

    held: this process has locked the file; else whoever may have it by now keeps the -shm.
    """
    index = path.with_name(f"{path.name}-shm")
    had_index = index.exists()
    try:
        yield
    except StateDamagedError:
        if not had_index and (held or not is_locked(path)):
            index.unlink(missing_ok=True)
        raise


def verify(path: Path) -> Verified:
    """Looks at everything in a state file, as it is at one moment, beside a service or without one.

    Raises StateError where there is none, and StateDamagedError where it isn't as it was written.
    """
    real = place.require(path)
    look(path)
    if not real.exists():
        raise StateError(f"BRIDGE_STATE: there is no state file {str(path)!r} yet")
    alone = not is_locked(real) and not file_mark.has_commits(real)
    with _without_new_index(real):
        try:
            return verified(real, alone=alone)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise unreadable(error, path) from error


def _make_or_inspect(path: Path, lock: StateLock) -> bool:
    """Makes the file where it is missing, or inspects it; tells whether it looks like a copy."""
    if not path.exists():
        require_no_trace(path)
        create(path)
        lock.hold_file()
        return False
    place.require(path, to_write=True)
    lock.hold_file()
    with _without_new_index(path, held=True):
        copied = inspect(path, thorough=True)
    path.chmod(0o600)
    use_wal(path)
    return copied


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


def _wal_pages(path: Path) -> int:
    """Pages that the -wal has before they are brought into the file.

    Fewer on a small disk: it mustn't be filled by what isn't in the file yet, since the file
    could not grow any more to take it in.
    """
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    return max(_FEWEST_WAL_PAGES, min(_WAL_PAGES, free // _WAL_SHARE // _PAGE_BYTES))


@asynccontextmanager
async def _in_use(database: Database, hold: Hold) -> AsyncIterator[None]:
    """Marks the file itself as being in use, until it is left; notes that it has gone back."""
    try:
        await _mark_in_use(database, hold.trace)
    except TemporaryError:
        if not await database.make_room():
            raise
        await _mark_in_use(database, hold.trace)
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
            await database.bring_in()


async def _mark_in_use(database: Database, trace: Trace) -> None:
    async with database.transaction():
        await database.run("UPDATE file_mark SET in_use = 1")
        if database.went_back:
            await database.run("UPDATE transactions SET number = number + ?", trace.number + JUMP)
            statement = "INSERT INTO reversals (found_at, behind) VALUES (?, ?)"
            await database.run(statement, clock.wall_time(), database.behind)
