"""Lists: their names, and how far each was read."""

from bridge.state.database import Database
from bridge.state.records import ListState


class Lists:
    """The table of lists."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def state(self, list_id: int) -> ListState:
        """The progress of a list."""
        row = await self._db.one(
            "SELECT list_id, list_name, horizon, discovered_at, contacts_at, swept_at FROM lists"
            " WHERE list_id = ?",
            list_id,
        )
        return ListState(*row) if row else ListState(list_id, "", "", None, None, None)

    async def begin(self, list_id: int, name: str, horizon: str) -> None:
        """Adds a list with its start horizon (an instant); one that is there gets the name only."""
        await self._db.run(
            "INSERT INTO lists (list_id, list_name, horizon) VALUES (?, ?, ?)"
            " ON CONFLICT (list_id) DO UPDATE SET list_name = excluded.list_name",
            list_id,
            name,
            horizon,
        )

    async def all(self) -> list[ListState]:
        """The progress of every list that was ever read."""
        rows = await self._db.all(
            "SELECT list_id, list_name, horizon, discovered_at, contacts_at, swept_at FROM lists"
            " ORDER BY list_id"
        )
        return [ListState(*row) for row in rows]

    async def set_discovered(self, list_id: int, at: float) -> None:
        """Notes a complete discovery of a list's messages, begun `at` (seconds since 1970)."""
        await self._db.run("UPDATE lists SET discovered_at = ? WHERE list_id = ?", at, list_id)
