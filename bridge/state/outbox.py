"""The outbox: pages of events that were journaled before they are sent."""

from bridge.state.database import Database


class Outbox:
    """The table of journaled pages that are not acknowledged yet."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, events: int, body: bytes) -> int:
        """Journals a page of so many events; returns its id."""
        return await self._db.run("INSERT INTO outbox (events, body) VALUES (?, ?)", events, body)

    async def pages(self) -> list[tuple[int, bytes]]:
        """All pages, oldest first: id, body."""
        return [tuple(row) for row in await self._db.all("SELECT id, body FROM outbox ORDER BY id")]

    async def remove(self, page: int) -> None:
        """Removes an acknowledged page."""
        await self._db.run("DELETE FROM outbox WHERE id = ?", page)
