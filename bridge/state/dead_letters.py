"""Dead letters: events that can't be sent, each kept with the reason."""

import json
from collections.abc import Iterable

from bridge.state.database import Database
from bridge.state.records import DeadLetter


class DeadLetters:
    """The table of dead letters."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, letters: Iterable[DeadLetter], at: float) -> None:
        """Keeps events that can't be sent, however many there are.

        at: seconds since 1970 by this machine's clock.
        """
        await self._db.many(
            "INSERT INTO dead_letters (at, event, message_id, reason, body) VALUES (?, ?, ?, ?, ?)",
            [(at, row.event, row.message_id, row.reason, row.body) for row in letters],
        )

    async def add_new(self, letters: Iterable[DeadLetter], at: float) -> list[DeadLetter]:
        """Keeps those whose messageId none has yet; returns them.

        at: seconds since 1970 by this machine's clock.
        """
        by_id = {row.message_id: row for row in letters}
        kept = await self._db.all(
            "SELECT message_id FROM sound_dead_letters"
            " WHERE message_id IN (SELECT value FROM json_each(?))",
            json.dumps(list(by_id)),
        )
        new = [by_id[message_id] for message_id in by_id.keys() - {each for (each,) in kept}]
        await self.add(new, at)
        return new

    async def all(self) -> list[tuple[int, float, str, str, str]]:
        """All dead letters: id, time, event, messageId, reason."""
        rows = await self._db.all(
            "SELECT id, at, event, message_id, reason FROM sound_dead_letters ORDER BY id"
        )
        return [tuple(row) for row in rows]

    async def count(self) -> int:
        """The number of dead letters."""
        row = await self._db.one("SELECT count(*) FROM dead_letters")
        return int(row[0])
