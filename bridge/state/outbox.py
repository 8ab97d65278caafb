"""Events written down before they are sent, and those that can't be sent."""

from collections.abc import Iterable

from bridge.state.database import Database
from bridge.state.records import DeadLetter


class Outbox:
    """The table of pages that were written down and are not settled."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, events: int, body: bytes) -> int:
        """Writes down a page of events before it is sent; returns its id."""
        return await self._db.run("INSERT INTO outbox (events, body) VALUES (?, ?)", events, body)

    async def pages(self) -> list[tuple[int, bytes]]:
        """Pages of events that were written down and not settled, oldest first."""
        return [tuple(row) for row in await self._db.all("SELECT id, body FROM outbox ORDER BY id")]

    async def remove(self, page: int) -> None:
        """A page of the outbox is settled."""
        await self._db.run("DELETE FROM outbox WHERE id = ?", page)


class DeadLetters:
    """The table of events that can't be sent."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def bury(self, letters: Iterable[DeadLetter], at: float) -> None:
        """Keeps events that can't be sent."""
        await self._db.many(
            "INSERT INTO dead_letters (at, event, message_id, reason, body) VALUES (?, ?, ?, ?, ?)",
            [(at, row.event, row.message_id, row.reason, row.body) for row in letters],
        )

    async def all(self) -> list[tuple[int, float, str, str, str]]:
        """All dead letters: id, time, event, messageId, reason."""
        rows = await self._db.all(
            "SELECT id, at, event, message_id, reason FROM dead_letters ORDER BY id"
        )
        return [tuple(row) for row in rows]

    async def count(self) -> int:
        """How many dead letters are kept."""
        row = await self._db.one("SELECT count(*) FROM dead_letters")
        return int(row[0])
