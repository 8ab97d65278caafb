"""Values by name: what was fixed at the first start, and what the account supports."""

from bridge.state.database import Database


class Meta:
    """The table of single values."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, name: str) -> str | None:
        """The value of a name, None if there is none."""
        row = await self._db.one("SELECT value FROM sound_meta WHERE name = ?", name)
        return None if row is None else str(row[0])

    async def set(self, name: str, value: str) -> None:
        """Sets a value in place of the one before."""
        await self._db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    async def set_once(self, name: str, value: str) -> str:
        """Sets a value unless the name has one; returns the one that it has now."""
        await self._db.run("INSERT OR IGNORE INTO meta VALUES (?, ?)", name, value)
        row = await self._db.one("SELECT value FROM sound_meta WHERE name = ?", name)
        return str(row[0])
