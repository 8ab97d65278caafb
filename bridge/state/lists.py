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
            "SELECT list_id, list_name, discovered_at, contacts_at, swept_at FROM lists"
            " WHERE list_id = ?",
            list_id,
        )
        return ListState(*row) if row else ListState(list_id, "", None, None, None)

    async def set_name(self, list_id: int, name: str) -> None:
        """Adds a list, or replaces its name."""
        await self._db.run(
            "INSERT INTO lists (list_id, list_name) VALUES (?, ?)"
            " ON CONFLICT (list_id) DO UPDATE SET list_name = excluded.list_name",
            list_id,
            name,
        )

    async def set_discovered(self, list_id: int, at: float) -> None:
        """Notes a complete discovery of a list's messages, begun `at` (seconds since 1970)."""
        await self._db.run("UPDATE lists SET discovered_at = ? WHERE list_id = ?", at, list_id)
