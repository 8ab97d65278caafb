"""The outbox: pages of events that were journaled before they are sent."""

from bridge.state.database import Database


class Outbox:
    """The table of journaled pages that are not acknowledged yet."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, list_id: int, events: int, body: bytes) -> int:
        """Journals a page of so many events of a list; returns its id."""
        return await self._db.run(
            "INSERT INTO outbox (list_id, events, body) VALUES (?, ?, ?)", list_id, events, body
        )

    async def pages(self) -> list[tuple[int, int, bytes]]:
        """All pages, oldest first: id, list (0 where an older version wrote it), body."""
        rows = await self._db.all("SELECT id, list_id, body FROM sound_outbox ORDER BY id")
        return [tuple(row) for row in rows]

    async def remove(self, page: int) -> None:
        """Removes an acknowledged page."""
        await self._db.run("DELETE FROM outbox WHERE id = ?", page)
