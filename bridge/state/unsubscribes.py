"""Unsubscribes that are held until the messages that may have caused them were asked."""

from collections.abc import Iterable, Sequence

from bridge.state.database import Database
from bridge.state.records import Unsubscribe


class Unsubscribes:
    """The tables of held unsubscribes and of their causes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def hold(self, list_id: int, unsubscribes: Iterable[Unsubscribe], at: float) -> None:
        """Keeps unsubscribes until the messages that may have caused them were asked."""
        await self._db.many(
            "INSERT OR IGNORE INTO unsubscribes VALUES (?, ?, ?, ?, ?, ?)",
            [(list_id, row.email, row.date, row.instant, row.method, at) for row in unsubscribes],
        )

    async def held(self, list_id: int, noted_by: float, limit: int) -> list[Unsubscribe]:
        """Held unsubscribes noted by then, with the properties of the message behind each."""
        rows = await self._db.all(
            "SELECT u.email, u.date, u.instant, u.method, m.properties FROM unsubscribes u"
            " LEFT JOIN causes c ON c.list_id = u.list_id AND c.email = u.email"
            " LEFT JOIN messages m ON m.id = c.message"
            " WHERE u.list_id = ? AND u.noted_at <= ? ORDER BY u.email, u.date LIMIT ?",
            list_id,
            noted_by,
            limit,
        )
        return [Unsubscribe(*row) for row in rows]

    async def release(self, list_id: int, unsubscribes: Sequence[Unsubscribe]) -> None:
        """Lets go of held unsubscribes, and of the causes that are used up with them."""
        await self._db.many(
            "DELETE FROM unsubscribes WHERE list_id = ? AND email = ? AND date = ?",
            [(list_id, row.email, row.date) for row in unsubscribes],
        )
        await self.forget_causes(list_id, [row.email for row in unsubscribes])

    async def forget_causes(self, list_id: int, emails: Sequence[str]) -> None:
        """What made a contact unsubscribe is history, unless that unsubscribe is still held."""
        await self._db.many(
            "DELETE FROM causes WHERE list_id = ?1 AND email = ?2 AND NOT EXISTS"
            " (SELECT 1 FROM unsubscribes WHERE list_id = ?1 AND email = ?2)",
            [(list_id, email) for email in emails],
        )

    async def add_causes(
        self, list_id: int, message: int, emails: Sequence[str], *, old: bool
    ) -> None:
        """Contacts who unsubscribed through a message; `old`: perhaps before the horizon."""
        await self._db.many(
            "INSERT INTO causes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " message = excluded.message, old = excluded.old WHERE old OR NOT excluded.old",
            [(list_id, email, message, old) for email in emails],
        )

    async def forget_old_causes(self, list_id: int) -> None:
        """Drops the causes of unsubscribes from before the horizon, once none is held."""
        await self._db.run(
            "DELETE FROM causes WHERE list_id = ?1 AND old AND NOT EXISTS"
            " (SELECT 1 FROM unsubscribes WHERE list_id = ?1)",
            list_id,
        )
