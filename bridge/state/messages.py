"""Tracked messages."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from bridge.state.database import Database
from bridge.state.records import Message

_COLUMNS = ", ".join(field.name for field in fields(Message))


class Messages:
    """The table of tracked messages."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, found: Sequence[tuple[Any, ...]], at: float) -> None:
        """Tracks messages: (list id, kind, message id, conversation id, campaign id, sent at).

        One already tracked keeps what is known; until it is taken over, its dates follow Listrak.
        """
        await self._db.many(
            "INSERT INTO messages (list_id, kind, message_id, conversation_id, campaign_id,"
            " sent_at, found_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " sent_at = excluded.sent_at, campaign_id = excluded.campaign_id"
            " WHERE properties IS NULL AND retired = 0",
            [(*row, at) for row in found],
        )

    async def tracked(self, list_id: int | None = None) -> list[Message]:
        """Messages still tracked, of one list or of all."""
        rows = await self._db.all(
            f"SELECT {_COLUMNS} FROM messages WHERE retired = 0 AND list_id = ifnull(?, list_id)"
            " ORDER BY id",
            list_id,
        )
        return [Message(*row) for row in rows]

    async def all_of(self, list_id: int) -> list[Message]:
        """Every message of a list that is or was tracked."""
        rows = await self._db.all(f"SELECT {_COLUMNS} FROM messages WHERE list_id = ?", list_id)
        return [Message(*row) for row in rows]

    async def get(self, row_id: int) -> Message:
        """One message by the id of its row."""
        row = await self._db.one(f"SELECT {_COLUMNS} FROM messages WHERE id = ?", row_id)
        return Message(*row)

    async def take_over(self, message: int, properties: str, sent_at: str) -> None:
        """Fixes a message's properties (JSON object) and date, once."""
        await self._db.run(
            "UPDATE messages SET properties = ?, sent_at = ? WHERE id = ? AND properties IS NULL",
            properties,
            sent_at,
            message,
        )

    async def ask(self, messages: Iterable[int]) -> None:
        """Has messages read again, whatever their counters say."""
        await self._db.many(
            "UPDATE messages SET asked = 1 WHERE id = ? AND retired = 0",
            [(message,) for message in messages],
        )

    async def watch(self, message: int, watch: str, summary: str) -> None:
        """Remembers what a look leaves for the next one, and the counters it began with (JSON)."""
        await self._db.run(
            "UPDATE messages SET watch = ?, summary = ? WHERE id = ?", watch, summary, message
        )

    async def retire(self, message: int) -> None:
        """Stops tracking a message and drops what was remembered of it, but that it was there."""
        await self._db.run(
            "UPDATE messages SET retired = 1, properties = NULL, summary = '', watch = ''"
            " WHERE id = ?",
            message,
        )
        for table in ("runs", "totals", "causes", "looks", "event_counts"):
            await self._db.run(f"DELETE FROM {table} WHERE message = ?", message)
