"""Pending unsubscribes: they wait until it is known which message each came through."""

from collections.abc import Iterable, Sequence

from bridge.state.database import Database
from bridge.state.records import PendingUnsubscribe


class Unsubscribes:
    """The tables of pending unsubscribes and of attributions (causes)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(
        self, list_id: int, unsubscribes: Iterable[PendingUnsubscribe], at: float
    ) -> None:
        """Keeps unsubscribes until they are attributed.

        at: present time by the store's clock for what waits.
        """
        await self._db.many(
            "INSERT OR IGNORE INTO unsubscribes VALUES (?, ?, ?, ?, ?, ?)",
            [(list_id, row.email, row.date, row.instant, row.method, at) for row in unsubscribes],
        )

    async def latest_noted(self) -> float:
        """The latest time that anything was noted at, 0 for none."""
        row = await self._db.one(
            "SELECT max(ifnull((SELECT max(noted_at) FROM sound_unsubscribes), 0),"
            " ifnull((SELECT max(noted_at) FROM sound_causes), 0))"
        )
        return float(row[0])

    async def are_pending(self, list_id: int) -> bool:
        """Tells whether any unsubscribe of a list is pending."""
        query = "SELECT 1 FROM sound_unsubscribes WHERE list_id = ? LIMIT 1"
        return await self._db.one(query, list_id) is not None

    async def pending(self, list_id: int, noted_by: float, limit: int) -> list[PendingUnsubscribe]:
        """Pending unsubscribes that can go, with the properties of the message behind each.

        Those whose message is known, and all that were noted by then.
        """
        rows = await self._db.all(
            "SELECT u.email, u.date, u.instant, u.method, m.properties FROM sound_unsubscribes u"
            " LEFT JOIN sound_causes c ON c.list_id = u.list_id AND c.email = lower_case(u.email)"
            " LEFT JOIN sound_messages m ON m.id = c.message"
            " WHERE u.list_id = ? AND (u.noted_at <= ? OR NOT c.old)"
            " ORDER BY u.email, u.date LIMIT ?",
            list_id,
            noted_by,
            limit,
        )
        return [PendingUnsubscribe(*row) for row in rows]

    async def remove(self, list_id: int, unsubscribes: Sequence[PendingUnsubscribe]) -> None:
        """Removes unsubscribes that are sent, and the attributions used up with them."""
        await self._db.many(
            "DELETE FROM unsubscribes WHERE list_id = ? AND email = ? AND date = ?",
            [(list_id, row.email, row.date) for row in unsubscribes],
        )
        await self.forget_attributions(list_id, [row.email for row in unsubscribes])

    async def withhold(self, list_id: int, unsubscribes: Iterable[PendingUnsubscribe]) -> None:
        """Keeps unsubscribes that are not in BRIDGE_EVENTS, for a backfill."""
        await self._db.many(
            "INSERT OR IGNORE INTO withheld_unsubscribes VALUES (?, ?, ?, ?, ?, ?)",
            [
                (list_id, row.email, row.date, row.instant, row.method, row.properties)
                for row in unsubscribes
            ],
        )

    async def withheld(self, list_id: int, since: str, limit: int) -> list[PendingUnsubscribe]:
        """The next unsubscribes of a list that were withheld, from an instant on."""
        rows = await self._db.all(
            "SELECT email, date, instant, method, properties FROM sound_withheld_unsubscribes"
            " WHERE list_id = ? AND instant >= ? ORDER BY email, date LIMIT ?",
            list_id,
            since,
            limit,
        )
        return [PendingUnsubscribe(*row) for row in rows]

    async def kept(self, list_id: int) -> tuple[list[PendingUnsubscribe], list[PendingUnsubscribe]]:
        """The pending and the withheld unsubscribes of a list."""
        pending, withheld = [
            await self._db.all(
                f"SELECT email, date, instant, method FROM sound_{table} WHERE list_id = ?", list_id
            )
            for table in ("unsubscribes", "withheld_unsubscribes")
        ]
        return (
            [PendingUnsubscribe(*row) for row in pending],
            [PendingUnsubscribe(*row) for row in withheld],
        )

    async def of(
        self, list_id: int, address: str
    ) -> tuple[list[PendingUnsubscribe], list[PendingUnsubscribe]]:
        """The pending and the withheld unsubscribes of an address (in lower case) of a list."""
        pending, withheld = await self.kept(list_id)
        return (
            [row for row in pending if row.email.lower() == address],
            [row for row in withheld if row.email.lower() == address],
        )

    async def remove_withheld(
        self, list_id: int, unsubscribes: Sequence[PendingUnsubscribe]
    ) -> None:
        """Removes withheld unsubscribes that are sent."""
        await self._db.many(
            "DELETE FROM withheld_unsubscribes WHERE list_id = ? AND email = ? AND date = ?",
            [(list_id, row.email, row.date) for row in unsubscribes],
        )

    async def count_withheld(self, list_id: int) -> int:
        """The number of a list's unsubscribes that are withheld."""
        row = await self._db.one(
            "SELECT count(*) FROM sound_withheld_unsubscribes WHERE list_id = ?", list_id
        )
        return int(row[0])

    async def forget_withheld(self, list_id: int, before: str) -> None:
        """Drops unsubscribes that were withheld, of before an instant, and notes until when."""
        row = await self._db.one(
            "SELECT max(instant) FROM sound_withheld_unsubscribes"
            " WHERE list_id = ? AND instant < ?",
            list_id,
            before,
        )
        if row is None or row[0] is None:
            return
        await self._db.run(
            "DELETE FROM withheld_unsubscribes WHERE list_id = ? AND instant < ?", list_id, before
        )
        await self._db.run(
            "UPDATE lists SET unsubscribes_forgotten = max(unsubscribes_forgotten, ?)"
            " WHERE list_id = ?",
            row[0],
            list_id,
        )

    async def attribute(
        self, list_id: int, message: int, emails: Sequence[str], at: float, *, old: bool
    ) -> None:
        """Notes who unsubscribed through a message.

        at: present time by the store's clock for what waits.
        old: perhaps before the start horizon.
        """
        await self._db.many(
            "INSERT INTO causes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " message = excluded.message, old = excluded.old, noted_at = excluded.noted_at"
            " WHERE old OR NOT excluded.old",
            [(list_id, email.lower(), message, old, at) for email in emails],
        )

    async def forget_strangers(self, list_id: int, before: float) -> None:
        """Drops attributions of whom the list doesn't have, or to messages no longer tracked.

        Those of pending unsubscribes stay.

        before: those noted before then, by the store's clock for what waits.
        """
        await self._db.run(
            "DELETE FROM causes WHERE list_id = ?1 AND noted_at < ?2 AND"
            " (NOT EXISTS (SELECT 1 FROM sound_contacts AS known WHERE list_id = ?1"
            " AND known.email = causes.email)"
            " OR message IN (SELECT id FROM sound_messages WHERE list_id = ?1 AND retired)) AND"
            " email NOT IN (SELECT lower_case(email) FROM sound_unsubscribes WHERE list_id = ?1)",
            list_id,
            before,
        )
        await self._db.run(
            "UPDATE messages SET properties = NULL WHERE list_id = ? AND retired"
            " AND properties IS NOT NULL AND id NOT IN (SELECT message FROM sound_causes)",
            list_id,
        )

    async def forget_attributions(self, list_id: int, emails: Sequence[str]) -> None:
        """Drops the attributions of contacts, unless their unsubscribe is still pending."""
        await self._db.many(
            "DELETE FROM causes WHERE list_id = ?1 AND email = ?2 AND NOT EXISTS"
            " (SELECT 1 FROM sound_unsubscribes WHERE list_id = ?1 AND lower_case(email) = ?2)",
            [(list_id, email.lower()) for email in emails],
        )

    async def has_old_attributions(self, list_id: int) -> bool:
        """Tells whether there are any from before the start horizon."""
        query = "SELECT 1 FROM sound_causes WHERE list_id = ? AND old LIMIT 1"
        return await self._db.one(query, list_id) is not None

    async def forget_old_attributions(self, list_id: int) -> None:
        """Drops what is from before the start horizon, once no unsubscribe is pending."""
        await self._db.run(
            "DELETE FROM causes WHERE list_id = ?1 AND old AND NOT EXISTS"
            " (SELECT 1 FROM sound_unsubscribes WHERE list_id = ?1)",
            list_id,
        )
