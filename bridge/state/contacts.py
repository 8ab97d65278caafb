"""Contacts: what Segment was told of them, and how far the looks at them have come."""

from collections.abc import Iterable

import msgspec

from bridge.state import keys
from bridge.state.database import Database
from bridge.state.keys import Keys
from bridge.state.records import Contact, Position


class Contacts:
    """The tables of contacts and of looks at them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def known(self, list_id: int, emails: Iterable[str]) -> dict[str, Contact]:
        """What is known of some contacts of a list."""
        rows = await self._db.all(
            "SELECT email, subscribed, user_id, revision, unsubscribed_at FROM contacts"
            " WHERE list_id = ? AND email IN (SELECT value FROM json_each(?))",
            list_id,
            msgspec.json.encode(list(emails)).decode(),
        )
        return {row[0]: Contact(row[0], bool(row[1]), *row[2:]) for row in rows}

    async def subscribed_after(self, list_id: int, email: str, limit: int) -> list[str]:
        """The next addresses known as subscribed, in order, after `email`."""
        rows = await self._db.all(
            "SELECT email FROM contacts WHERE list_id = ? AND email > ? AND subscribed"
            " ORDER BY email LIMIT ?",
            list_id,
            email,
            limit,
        )
        return [row[0] for row in rows]

    async def set(self, list_id: int, contacts: Iterable[Contact]) -> None:
        """Remembers what Segment is told of contacts."""
        await self._db.many(
            "INSERT OR REPLACE INTO contacts VALUES (?, ?, ?, ?, ?, ?)",
            [
                (list_id, row.email, row.subscribed, row.user_id, row.revision, row.unsubscribed_at)
                for row in contacts
            ],
        )

    async def look(self, list_id: int) -> tuple[bool, float, Position] | None:
        """The look at a list's contacts that isn't complete: sweep or not, started at, position."""
        row = await self._db.one(
            "SELECT sweep, started_at, position FROM contact_looks WHERE list_id = ?", list_id
        )
        return (bool(row[0]), row[1], msgspec.json.decode(row[2], type=Position)) if row else None

    async def begin_look(self, list_id: int, started_at: float, *, sweep: bool) -> None:
        """Begins a look at a list's contacts from the start."""
        await self._db.run("DELETE FROM met WHERE list_id = ?", list_id)
        await self._db.run(
            "INSERT OR REPLACE INTO contact_looks VALUES (?, ?, ?, '[]')",
            list_id,
            sweep,
            started_at,
        )

    async def move_look(self, list_id: int, position: Position) -> None:
        """Where the look goes on."""
        text = msgspec.json.encode(position).decode()
        await self._db.run("UPDATE contact_looks SET position = ? WHERE list_id = ?", text, list_id)

    async def complete_look(self, list_id: int) -> None:
        """Ends the look."""
        await self._db.run(
            "UPDATE lists SET (contacts_at, swept_at) ="
            " (SELECT started_at, iif(sweep, started_at, swept_at) FROM contact_looks"
            " WHERE list_id = lists.list_id) WHERE list_id = ?",
            list_id,
        )
        await self._db.run("DELETE FROM contact_looks WHERE list_id = ?", list_id)
        await self._db.run("DELETE FROM met WHERE list_id = ?", list_id)

    async def add_met(self, list_id: int, run: Keys) -> None:
        """Contacts that a sweep has met."""
        await self._db.run(
            "INSERT INTO met (list_id, keys) VALUES (?, ?)", list_id, keys.to_bytes(run)
        )

    async def met(self, list_id: int) -> list[Keys]:
        """All contacts that the sweep has met, as runs."""
        rows = await self._db.all("SELECT keys FROM met WHERE list_id = ?", list_id)
        return [keys.from_bytes(blob) for (blob,) in rows]
