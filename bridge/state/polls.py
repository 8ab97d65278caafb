"""Polls of messages: which are open, where they go on, and what their end changes."""

from typing import NamedTuple

from bridge.state import cursors
from bridge.state.cursors import PollCursor
from bridge.state.database import Database


class OpenPoll(NamedTuple):
    """A full poll that has begun and isn't complete.

    started_at: seconds since 1970.
    summary: the counters it began with, as JSON; "" where there are none.
    cursor: its next page, None for the first.
    """

    started_at: float
    summary: str
    cursor: PollCursor | None


class Polls:
    """The table of open polls, named looks."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def open_one(self, message: int) -> OpenPoll | None:
        """The open poll of a message."""
        row = await self._db.one(
            "SELECT started_at, summary, position FROM sound_looks WHERE message = ?", message
        )
        return OpenPoll(row[0], row[1], cursors.decode(row[2], PollCursor)) if row else None

    async def begin(self, message: int, started_at: float, summary: str) -> None:
        """Begins a full poll from its first page; a rescan that was requested is this one."""
        await self._db.run(
            "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)",
            message,
            started_at,
            summary,
            cursors.BEGUN,
        )
        await self._db.run("UPDATE messages SET asked = 0 WHERE id = ?", message)

    async def save_cursor(self, message: int, cursor: PollCursor) -> None:
        """Saves where the poll goes on."""
        await self._db.run(
            "UPDATE looks SET position = ? WHERE message = ?", cursors.encode(cursor), message
        )

    async def complete(self, message: int, *, changed: bool) -> None:
        """Ends the full poll of a message; `changed`: it found anything new.

        What a first poll finds may be old: it doesn't count as a change.
        """
        await self._db.run(
            "UPDATE messages SET (looked_at, summary, moved_at) ="
            " (SELECT started_at, summary,"
            " iif(? AND messages.looked_at NOTNULL, started_at, moved_at)"
            " FROM sound_looks WHERE message = messages.id) WHERE id = ?",
            changed,
            message,
        )
        await self._db.run("DELETE FROM looks WHERE message = ?", message)

    async def complete_partial(self, message: int, started_at: float) -> None:
        """Ends a poll that read some scans only, and found something new."""
        await self._db.run("UPDATE messages SET moved_at = ? WHERE id = ?", started_at, message)
