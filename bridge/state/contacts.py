"""Contacts: what Segment was last told of each."""

from collections.abc import Iterable

import msgspec

from bridge.state.database import Database
from bridge.state.records import Contact


class Contacts:
    """The table of contacts."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def known(self, list_id: int, emails: Iterable[str]) -> dict[str, Contact]:
        """The known ones of some contacts of a list, by address in lower case."""
        rows = await self._db.all(
            "SELECT email, ifnull(spelling, email), subscribed, user_id, revision, unsubscribed_at"
            " FROM contacts WHERE list_id = ? AND email IN (SELECT value FROM json_each(?))",
            list_id,
            msgspec.json.encode([email.lower() for email in emails]).decode(),
        )
        return {key: Contact(email, bool(known), *rest) for key, email, known, *rest in rows}

    async def subscribed_after(self, list_id: int, email: str, limit: int) -> list[str]:
        """The next addresses known as subscribed, in lower case and in order, after `email`."""
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
            "INSERT OR REPLACE INTO contacts (list_id, email, spelling, subscribed, user_id,"
            " revision, unsubscribed_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    list_id,
                    row.email.lower(),
                    row.email if row.email != row.email.lower() else None,
                    row.subscribed,
                    row.user_id,
                    row.revision,
                    row.unsubscribed_at,
                )
                for row in contacts
            ],
        )
