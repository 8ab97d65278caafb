"""The numbers seen of each message, event by event, to be compared with Listrak's own."""

from collections.abc import Mapping

from bridge.state.database import Database
from bridge.state.records import EventCount


class EventCounts:
    """The table of numbers by message and event."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, message: int, counts: Mapping[str, EventCount]) -> None:
        """Adds to a message's numbers, event by event."""
        await self._db.many(
            "INSERT INTO event_counts (message, event, seen, unsent, dead, amount,"
            " unsent_amount) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " seen = seen + excluded.seen, unsent = unsent + excluded.unsent,"
            " dead = dead + excluded.dead, amount = amount + excluded.amount,"
            " unsent_amount = unsent_amount + excluded.unsent_amount",
            [
                (
                    message,
                    event,
                    count.seen,
                    count.unsent,
                    count.dead,
                    count.amount,
                    count.unsent_amount,
                )
                for event, count in counts.items()
            ],
        )

    async def of(self, message: int) -> dict[str, EventCount]:
        """A message's numbers by event."""
        rows = await self._db.all(
            "SELECT event, seen, unsent, dead, amount, unsent_amount FROM sound_event_counts"
            " WHERE message = ?",
            message,
        )
        return {event: EventCount(*rest) for event, *rest in rows}
