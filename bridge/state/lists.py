"""Lists: their names, and how far each was read."""

from bridge.state.database import Database
from bridge.state.records import ListState

# In the order of ListState's fields.
_COLUMNS = (
    "list_id, list_name, horizon, discovered_at, contacts_at, swept_at, zone, identified_at,"
    " forgotten_revision, unsubscribes_forgotten, revision_floor"
)


class Lists:
    """The table of lists."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def state(self, list_id: int) -> ListState:
        """The progress of a list."""
        row = await self._db.one(
            f"SELECT {_COLUMNS} FROM sound_lists WHERE list_id = ?",
            list_id,
        )
        return ListState(*row) if row else ListState(list_id, "", "", None, None, None)

    async def begin(self, list_id: int, name: str, horizon: str, zone: str) -> None:
        """Adds a list with its start horizon (an instant) and the zone that it is fixed in.

        One that is there keeps them, and gets the name. Where the file went back, a new one may
        have been there in the time that is lost.
        """
        await self._db.run(
            "INSERT INTO lists (list_id, list_name, horizon, zone, revision_floor)"
            " VALUES (?, ?, ?, ?,"
            " (SELECT CAST(ifnull(max(found_at), 0) * 1000 AS INTEGER) FROM sound_reversals))"
            " ON CONFLICT (list_id) DO UPDATE SET list_name = excluded.list_name,"
            " zone = iif(zone = '', excluded.zone, zone)",
            list_id,
            name,
            horizon,
            zone,
        )

    async def rename(self, list_id: int, name: str) -> None:
        """Takes over the name that a list has now."""
        await self._db.run(
            "UPDATE lists SET list_name = ?1 WHERE list_id = ?2 AND list_name != ?1", name, list_id
        )

    async def set_identified(self, list_id: int, at: float) -> None:
        """Notes the latest timestamp that an identify of a list carries (seconds since 1970)."""
        await self._db.run(
            "UPDATE lists SET identified_at = max(identified_at, ?) WHERE list_id = ?", at, list_id
        )

    async def all(self) -> list[ListState]:
        """The progress of every list that was ever read."""
        rows = await self._db.all(f"SELECT {_COLUMNS} FROM sound_lists ORDER BY list_id")
        return [ListState(*row) for row in rows]

    async def set_discovered(self, list_id: int, at: float, oldest: str) -> None:
        """Notes a complete discovery of a list's messages, begun `at` (seconds since 1970).

        oldest: the instant since which it looked for broadcasts; that of the first one is kept.
        """
        await self._db.run(
            "UPDATE lists SET discovered_at = ?,"
            " tracked_from = iif(discovered_at IS NULL, ?, tracked_from) WHERE list_id = ?",
            at,
            oldest,
            list_id,
        )

    async def tracked_from(self, list_id: int) -> str:
        """The instant before which broadcasts were over when a list was first read.

        "" for a list that wasn't yet, or was by an older version.
        """
        row = await self._db.one("SELECT tracked_from FROM sound_lists WHERE list_id = ?", list_id)
        return str(row[0]) if row else ""
