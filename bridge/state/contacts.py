"""Contacts: what Segment was last told of each."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bridge.state.database import Database
from bridge.state.records import Contact


class KnownAddress(NamedTuple):
    """The address of a contact that is known.

    key: in lower case, by which it is known.
    spelling: as Segment was told it.
    subscribed: whether that told it as subscribed.
    """

    key: str
    spelling: str
    subscribed: bool


class Contacts:
    """The table of contacts."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def known(self, list_id: int, emails: Iterable[str]) -> dict[str, Contact]:
        """The known ones of some contacts of a list, by address in lower case."""
        keys = [email.lower() for email in emails]
        select = (
            "SELECT email, ifnull(spelling, email), subscribed, user_id, revision,"
            " unsubscribed_at, deleted_at FROM sound_contacts WHERE list_id = ? AND email"
        )
        text = msgspec.json.encode(keys).decode()
        rows = await self._db.all(f"{select} IN (SELECT value FROM json_each(?))", list_id, text)
        if "\\u0000" in text:
            # Older versions kept them with NUL, at which json_each ends a text.
            for key in keys:
                if "\0" in key:
                    rows += await self._db.all(f"{select} = ?", list_id, key)
        return {key: Contact(email, bool(known), *rest) for key, email, known, *rest in rows}

    async def after(self, list_id: int, email: str, limit: int) -> list[KnownAddress]:
        """The next contacts that weren't deleted, in the order of addresses, after `email`."""
        rows = await self._db.all(
            "SELECT email, ifnull(spelling, email), subscribed FROM sound_contacts"
            " WHERE list_id = ? AND email > ? AND deleted_at IS NULL ORDER BY email LIMIT ?",
            list_id,
            email,
            limit,
        )
        return [KnownAddress(key, spelling, bool(known)) for key, spelling, known in rows]

    async def following(self, list_id: int, email: str, limit: int) -> dict[str, Contact]:
        """The next contacts, deleted ones included, by address in lower case, after `email`."""
        rows = await self._db.all(
            "SELECT email FROM sound_contacts WHERE list_id = ? AND email > ?"
            " ORDER BY email LIMIT ?",
            list_id,
            email,
            limit,
        )
        return await self.known(list_id, [key for (key,) in rows])

    async def forget_deleted(self, list_id: int, before: float) -> None:
        """Forgets contacts that were deleted before then (seconds since 1970), with all of them.

        Those with a pending unsubscribe stay until it is sent.
        """
        deleted = (
            "FROM contacts WHERE list_id = ?1 AND deleted_at < ?2 AND email NOT IN"
            " (SELECT lower_case(email) FROM unsubscribes WHERE list_id = ?1)"
        )
        await self._db.run(
            "UPDATE lists SET forgotten_revision = max(forgotten_revision,"
            f" (SELECT ifnull(max(revision), 0) {deleted})) WHERE list_id = ?1",
            list_id,
            before,
        )
        for table in ("causes", "withheld_unsubscribes"):
            await self._db.run(
                f"DELETE FROM {table} WHERE list_id = ?1 AND lower_case(email) IN"
                f" (SELECT email {deleted})",
                list_id,
                before,
            )
        await self._db.run(f"DELETE {deleted}", list_id, before)

    async def twins(self, list_id: int) -> set[str]:
        """The addresses, in lower case, that a list has more than once."""
        rows = await self._db.all("SELECT email FROM contact_twins WHERE list_id = ?", list_id)
        return {email for (email,) in rows}

    async def add_twins(self, list_id: int, addresses: Iterable[str]) -> None:
        """Remembers addresses, in lower case, that a list has more than once."""
        await self._db.many(
            "INSERT OR IGNORE INTO contact_twins VALUES (?, ?)",
            [(list_id, address) for address in addresses],
        )

    async def remove_twins(self, list_id: int, addresses: Iterable[str]) -> None:
        """Forgets that a list has addresses (in lower case) more than once."""
        await self._db.many(
            "DELETE FROM contact_twins WHERE list_id = ? AND email = ?",
            [(list_id, address) for address in addresses],
        )

    async def most_shared_user_id(self, list_id: int) -> tuple[str, int]:
        """The userId that most of a list's contacts share, and how many do; 0 for none."""
        row = await self._db.one(
            "SELECT user_id, count(*) AS contacts FROM contacts"
            " WHERE list_id = ? AND user_id IS NOT NULL AND deleted_at IS NULL"
            " GROUP BY user_id ORDER BY contacts DESC, user_id LIMIT 1",
            list_id,
        )
        return row or ("", 0)

    async def count(self, list_id: int) -> int:
        """The number of a list's known contacts, without deleted ones."""
        row = await self._db.one(
            "SELECT count(*) FROM contacts WHERE list_id = ? AND deleted_at IS NULL", list_id
        )
        return int(row[0])

    async def set(self, list_id: int, contacts: Iterable[Contact]) -> None:
        """Remembers what Segment is told of contacts."""
        await self._db.many(
            # Replacing a row would have SQLite compute its checksum twice.
            "INSERT INTO contacts (list_id, email, spelling, subscribed, user_id, revision,"
            " unsubscribed_at, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET spelling = excluded.spelling, subscribed = excluded.subscribed,"
            " user_id = excluded.user_id, revision = excluded.revision,"
            " unsubscribed_at = excluded.unsubscribed_at, deleted_at = excluded.deleted_at",
            [
                (
                    list_id,
                    row.email.lower(),
                    row.email if row.email != row.email.lower() else None,
                    row.subscribed,
                    row.user_id,
                    row.revision,
                    row.unsubscribed_at,
                    row.deleted_at,
                )
                for row in contacts
            ],
        )
