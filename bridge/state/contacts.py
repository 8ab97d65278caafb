"""Contacts: what Segment was last told of each."""

from collections.abc import Iterable
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from bridge.state.checksums import row_checksum
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
        if not keys:
            return {}
        query = "SELECT * FROM contacts WHERE list_id = ? AND email"
        text = msgspec.json.encode(keys).decode()
        rows = await self._db.bulk(
            "contacts", f"{query} IN (SELECT value FROM json_each(?))", list_id, text
        )
        if "\\u0000" in text:
            # Older versions kept them with NUL, at which json_each ends a text.
            for key in keys:
                if "\0" in key:
                    rows += await self._db.bulk("contacts", f"{query} = ?", list_id, key)
        return _by_key(rows)

    async def after(self, list_id: int, email: str, limit: int) -> list[KnownAddress]:
        """The next contacts that weren't deleted, in the order of addresses, after `email`."""
        known = await self._next(list_id, email, limit, "deleted_at IS NULL")
        return [KnownAddress(key, row.email, row.subscribed) for key, row in known.items()]

    async def following(self, list_id: int, email: str, limit: int) -> dict[str, Contact]:
        """The next contacts, deleted ones included, by address in lower case, after `email`."""
        return await self._next(list_id, email, limit, "TRUE")

    async def _next(
        self, list_id: int, email: str, limit: int, condition: str
    ) -> dict[str, Contact]:
        rows = await self._db.bulk(
            "contacts",
            f"SELECT * FROM contacts WHERE list_id = ? AND email > ? AND {condition}"
            " ORDER BY email LIMIT ?",
            list_id,
            email,
            limit,
        )
        return _by_key(rows)

    async def forget_deleted(self, list_id: int, before: float) -> None:
        """Forgets contacts that were deleted before then (seconds since 1970), with all of them.

        Those with a pending unsubscribe stay until it is sent.
        """
        condition = (
            "list_id = ?1 AND deleted_at < ?2 AND email NOT IN"
            " (SELECT lower_case(email) FROM sound_unsubscribes WHERE list_id = ?1)"
        )
        await self._db.run(
            "UPDATE lists SET forgotten_revision = max(forgotten_revision,"
            f" (SELECT ifnull(max(revision), 0) FROM sound_contacts WHERE {condition}))"
            " WHERE list_id = ?1",
            list_id,
            before,
        )
        for table in ("causes", "withheld_unsubscribes"):
            await self._db.run(
                f"DELETE FROM {table} WHERE list_id = ?1 AND lower_case(email) IN"
                f" (SELECT email FROM sound_contacts WHERE {condition})",
                list_id,
                before,
            )
        await self._db.run(f"DELETE FROM contacts WHERE {condition}", list_id, before)

    async def twins(self, list_id: int) -> set[str]:
        """The addresses, in lower case, that a list has more than once."""
        rows = await self._db.all(
            "SELECT email FROM sound_contact_twins WHERE list_id = ?", list_id
        )
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
        # In their order SQLite finds the place of each close to the one before.
        rows = sorted((_row(list_id, contact) for contact in contacts), key=_key)
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            await self._db.run(
                _SET_CHUNK if len(some) == _CHUNK else _set(len(some)), *chain.from_iterable(some)
            )

    async def remove_user_id(self, address: str) -> int:
        """Forgets the userIds that are an address (in lower case); returns how many there were."""
        rows = await self._db.all(
            "SELECT list_id, email FROM sound_contacts WHERE lower_case(ifnull(user_id, '')) = ?",
            address,
        )
        for list_id, key in rows:
            known = await self.known(list_id, [key])
            await self.set(list_id, [replace(row, user_id=None) for row in known.values()])
        return len(rows)


_Row = tuple[int, int, str, str | None, int, str | None, int, str, float | None]
"""A row as it is stored, its checksum first."""

_key: Final = itemgetter(2)


def _row(list_id: int, contact: Contact) -> _Row:
    key, spelling, deleted_at = contact.email.lower(), contact.email, contact.deleted_at
    row = (
        list_id,
        key,
        spelling if spelling != key else None,
        int(contact.subscribed),
        contact.user_id,
        contact.revision,
        contact.unsubscribed_at,
        None if deleted_at is None else float(deleted_at),
    )
    return row_checksum("contacts", *row), *row


def _by_key(rows: Iterable[tuple[Any, ...]]) -> dict[str, Contact]:
    return {
        key: Contact(spelling or key, bool(subscribed), *rest)
        for _, key, spelling, subscribed, *rest in rows
    }


def _set(number: int) -> str:
    """The statement that writes so many contacts."""
    return (
        "INSERT INTO contacts (checksum, list_id, email, spelling, subscribed, user_id, revision,"
        " unsubscribed_at, deleted_at) VALUES "
        + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * number)
        # Replacing a row would have SQLite write it twice.
        + " ON CONFLICT DO UPDATE SET checksum = excluded.checksum, spelling = excluded.spelling,"
        " subscribed = excluded.subscribed, user_id = excluded.user_id,"
        " revision = excluded.revision, unsubscribed_at = excluded.unsubscribed_at,"
        " deleted_at = excluded.deleted_at"
    )


_CHUNK: Final = 500
"""Contacts a statement: SQLite takes 32,766 values."""

_SET_CHUNK: Final = _set(_CHUNK)
