"""Polls of a list's contacts: which are open, where they go on, whom a sweep has seen."""

from typing import NamedTuple

from bridge.state import cursors, keys
from bridge.state.cursors import ContactCursor
from bridge.state.database import Database
from bridge.state.keys import Keys


class OpenContactPoll(NamedTuple):
    """A poll of contacts that has begun and isn't complete.

    sweep: it reads all contacts, not only those who came or left lately.
    started_at: seconds since 1970.
    cursor: its next page, None for the first.
    """

    sweep: bool
    started_at: float
    cursor: ContactCursor | None


class ContactPolls:
    """The tables of open polls (contact_looks) and of whom a sweep has seen (met)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def open_one(self, list_id: int) -> OpenContactPoll | None:
        """The open poll of a list's contacts."""
        row = await self._db.one(
            "SELECT sweep, started_at, position FROM sound_contact_looks WHERE list_id = ?", list_id
        )
        if row is None:
            return None
        return OpenContactPoll(bool(row[0]), row[1], cursors.decode(row[2], ContactCursor))

    async def begin(self, list_id: int, started_at: float, *, sweep: bool) -> None:
        """Begins a poll from its first page."""
        await self._db.run("DELETE FROM met WHERE list_id = ?", list_id)
        await self._db.run(
            "INSERT OR REPLACE INTO contact_looks VALUES (?, ?, ?, ?)",
            list_id,
            sweep,
            started_at,
            cursors.BEGUN,
        )

    async def request_sweep(self, list_id: int) -> None:
        """Makes a sweep of the list due at once; a poll that is open is given up."""
        await self._db.run("UPDATE lists SET swept_at = NULL WHERE list_id = ?", list_id)
        await self._db.run("DELETE FROM contact_looks WHERE list_id = ?", list_id)
        await self._db.run("DELETE FROM met WHERE list_id = ?", list_id)

    async def save_cursor(self, list_id: int, cursor: ContactCursor) -> None:
        """Saves where the poll goes on."""
        await self._db.run(
            "UPDATE contact_looks SET position = ? WHERE list_id = ?",
            cursors.encode(cursor),
            list_id,
        )

    async def complete(self, list_id: int) -> None:
        """Ends the poll."""
        await self._db.run(
            "UPDATE lists SET (contacts_at, swept_at) ="
            " (SELECT started_at, iif(sweep, started_at, swept_at) FROM sound_contact_looks"
            " WHERE list_id = lists.list_id) WHERE list_id = ?",
            list_id,
        )
        await self._db.run("DELETE FROM contact_looks WHERE list_id = ?", list_id)
        await self._db.run("DELETE FROM met WHERE list_id = ?", list_id)

    async def add_seen_in_sweep(self, list_id: int, run: Keys) -> None:
        """Remembers contacts that a sweep has seen."""
        await self._db.run(
            "INSERT INTO met (list_id, keys) VALUES (?, ?)", list_id, keys.to_bytes(run)
        )

    async def seen_in_sweep(self, list_id: int) -> list[Keys]:
        """All contacts that the open sweep has seen, as runs of keys."""
        rows = await self._db.all("SELECT keys FROM sound_met WHERE list_id = ?", list_id)
        return [keys.from_bytes(blob) for (blob,) in rows]
