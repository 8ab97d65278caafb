"""Stored times that are still to come: a wrong clock left them, and they must not be gone by."""

from typing import Final

from bridge.state.database import Database

_LISTS: Final = (
    # Read again from the horizon on: more than needed, and nothing is missed.
    "UPDATE lists SET discovered_at = CAST(strftime('%s', horizon) AS REAL)"
    " WHERE discovered_at > ?1",
    "UPDATE lists SET contacts_at = NULL, swept_at = NULL WHERE contacts_at > ?1 OR swept_at > ?1",
    "DELETE FROM met WHERE list_id IN"
    " (SELECT list_id FROM sound_contact_looks WHERE started_at > ?1)",
    "DELETE FROM contact_looks WHERE started_at > ?1",
    "UPDATE identify_runs SET started_at = ?1 WHERE started_at > ?1",
)
_MESSAGES: Final = (
    "DELETE FROM looks WHERE started_at > ?1",
    "UPDATE messages SET found_at = ?1 WHERE found_at > ?1",
    "UPDATE messages SET moved_at = ?1 WHERE moved_at > ?1",
    "UPDATE messages SET described_at = NULL WHERE described_at > ?1",
    # It is read in full; that nothing was missed is known of the time it was found, at least.
    "UPDATE messages SET looked_at = min(looked_at, found_at), asked = 1"
    " WHERE looked_at > ?1 AND NOT retired",
)


class FutureTimes:
    """The times of all tables that Listrak's clock is compared with."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def any_after(self, time: float) -> bool:
        """Tells whether any is later than a time (seconds since 1970)."""
        row = await self._db.one(
            "SELECT EXISTS (SELECT 1 FROM sound_lists WHERE max(ifnull(discovered_at, 0),"
            " ifnull(contacts_at, 0), ifnull(swept_at, 0)) > ?1)"
            " OR EXISTS (SELECT 1 FROM sound_looks WHERE started_at > ?1)"
            " OR EXISTS (SELECT 1 FROM sound_contact_looks WHERE started_at > ?1)"
            " OR EXISTS (SELECT 1 FROM sound_identify_runs WHERE started_at > ?1)"
            " OR EXISTS (SELECT 1 FROM sound_messages WHERE max(ifnull(looked_at, 0), found_at,"
            " ifnull(moved_at, 0), ifnull(described_at, 0)) > ?1 AND NOT retired)",
            time,
        )
        return bool(row[0])

    async def forget(self, time: float) -> None:
        """Replaces all that are later than a time by what is certain; what they hid is read again.

        The timestamps of identifies stay: a later one must still carry a later.
        """
        for statement in (*_LISTS, *_MESSAGES):
            await self._db.run(statement, time)

    async def lists_beginning_after(self, instant: str) -> list[int]:
        """The ids of lists whose start horizon is later than an instant."""
        rows = await self._db.all(
            "SELECT list_id FROM sound_lists WHERE horizon > ? ORDER BY list_id", instant
        )
        return [int(list_id) for (list_id,) in rows]

    async def lower_horizons(self, latest: str, horizon: str, tracked_from: str) -> None:
        """Replaces start horizons that are later than `latest`, all three instants.

        tracked_from: the earliest send that is tracked, where it is to be found yet.
        """
        await self._db.run(
            "UPDATE lists SET horizon = ?2, tracked_from = min(tracked_from, ?3)"
            " WHERE horizon > ?1",
            latest,
            horizon,
            tracked_from,
        )

    async def lower_floors(self) -> None:
        """Tracks again what is remembered below the floors: they were raised by a wrong time."""
        lowest = (
            "(SELECT min(bucket) FROM (SELECT bucket FROM sound_runs WHERE message = messages.id"
            " UNION ALL SELECT bucket FROM sound_totals WHERE message = messages.id))"
        )
        await self._db.run(
            f"UPDATE messages SET floor = {lowest}, asked = 1"
            f" WHERE NOT retired AND floor > {lowest}"
        )

    async def watermarks(self) -> list[tuple[int, str]]:
        """The watermarks (JSON) of each tracked message, by its row."""
        return await self._db.all(
            "SELECT id, watch FROM sound_messages WHERE watch != '' AND NOT retired"
        )

    async def replace_watermarks(self, message: int, watermarks: str) -> None:
        """Replaces the watermarks of a message, which is read in full once more."""
        await self._db.run(
            "UPDATE messages SET watch = ?, asked = 1 WHERE id = ?", watermarks, message
        )
