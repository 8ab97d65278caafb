"""The outbox: pages of events that were journaled before they are sent."""

from bridge.state.database import Database


class Outbox:
    """The table of journaled pages that are not acknowledged yet."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, list_id: int, events: int, body: bytes, *, set_aside: bool = False) -> int:
        """Journals a page of so many events of a list; returns its id.

        set_aside: they are to be sent apart from all others.
        """
        return await self._db.run(
            "INSERT INTO outbox (list_id, events, body, set_aside) VALUES (?, ?, ?, ?)",
            list_id,
            events,
            body,
            int(set_aside),
        )

    async def pages(self) -> list[tuple[int, int, bytes]]:
        """All pages, oldest first: id, list (0 where an older version wrote it), body."""
        rows = await self._db.all("SELECT id, list_id, body FROM sound_outbox ORDER BY id")
        return [tuple(row) for row in rows]

    async def set_aside(self) -> dict[int, int]:
        """Numbers of events of the pages that are set aside, by page."""
        rows = await self._db.all("SELECT id, events FROM sound_outbox WHERE set_aside")
        return {int(page): int(events) for page, events in rows}

    async def remove(self, page: int) -> None:
        """Removes an acknowledged page."""
        await self._db.run("DELETE FROM outbox WHERE id = ?", page)
