"""The numbers of all events so far, by outcome."""

from collections.abc import Mapping

from bridge.state.database import Database


class Counters:
    """The table of numbers of events by outcome."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, counts: Mapping[str, int]) -> None:
        """Adds to the numbers."""
        await self._db.many(
            "INSERT INTO counters VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, number) for name, number in counts.items() if number],
        )

    async def all(self) -> dict[str, int]:
        """All numbers by outcome, and how many events are `in_flight`."""
        counts = {
            str(name): int(value)
            for name, value in await self._db.all("SELECT name, value FROM sound_counters")
        }
        row = await self._db.one(
            "SELECT (SELECT coalesce(sum(events), 0) FROM sound_outbox)"
            " + (SELECT count(*) FROM sound_unsubscribes)"
        )
        return counts | {"in_flight": int(row[0])}
