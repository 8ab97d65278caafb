"""The state file as an open database: whole transactions. One connection, one writer.

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

from bridge.errors import BridgeError, StateDamagedError, TemporaryError
from bridge.state import file_mark
from bridge.state.checksums import row_checksum
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.inspection import damaged, translated
from bridge.state.presence import INTERVAL, Presence
from bridge.state.trace import Trace

WAIT: Final = 5000
_SHORT_WAIT: Final = 100
"""Milliseconds for which another process may keep the file busy."""


class Hold(NamedTuple):
    """The hold that a process has on a state file which it writes."""

    presence: Presence
    trace: Trace


class Database:
    """An open state file. Use `open_database` of state/opening.py."""

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
        self._transactions = anyio.Lock()
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
            async with self._transactions:
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

    async def drained(self) -> None:
        """Waits until no transaction is under way."""
        async with self._transactions:
            pass

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
            raise await self._told(error, query) from error

    async def bulk(self, table: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query (`SELECT *`) of a table of BULK, without their checksums.

        Raises StateDamagedError for a row that isn't as it was written.
        """
        rows = []
        for checksum, *row in await self.all(query, *values):
            if checksum != row_checksum(table, *row):
                await self.require_present(content=True)
                reason = f"a row of its table {table} is not as it was written"
                raise StateDamagedError(damaged(self.path, reason, untouched=False))
            rows.append(tuple(row))
        return rows

    async def _told(self, error: sqlite3.Error, query: str = "") -> BridgeError:
        """SQLite's error as one of ours. Raises StateError where it comes of another content."""
        told = translated(error, self.path, query)
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
        try:
            busy, *_ = await self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await self.all(f"PRAGMA busy_timeout = {WAIT}")
        if not busy:
            await self.note_content()
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

    async def transactions(self) -> int:
        """The number of transactions that the file has seen; 0 for one of an older format."""
        if await self.version() < _COUNTED_SINCE:
            return 0
        return int((await self.one("SELECT number FROM sound_transactions"))[0])

    async def bring_in(self) -> None:
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
        # Most polls have nothing to save: no turn of the thread for that.
        if rows := list(rows):
            await self._db.executemany(statement, rows)


_COUNTED_SINCE: Final = 5
_COUNT: Final = (
    "UPDATE transactions SET number = number + 1 RETURNING number, (SELECT own FROM file_mark)"
)
_CONTENT: Final = (
    "SELECT (SELECT rootpage FROM sqlite_schema WHERE name = 'file_mark'),"
    " (SELECT page_size FROM pragma_page_size), own FROM file_mark"
)
