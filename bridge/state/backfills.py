"""Backfills: how far each list's history goes, and which messages are still to be read for it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.state.database import Database
from bridge.state.records import Backfill, Past, Position


class Backfills:
    """The tables of backfills and of their messages."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, list_id: int) -> Backfill | None:
        """The latest backfill of a list."""
        row = await self._db.one(
            "SELECT list_id, since, before, listed, finished, left_out, messages, sent,"
            " (SELECT count(*) FROM backfill_messages WHERE list_id = backfills.list_id)"
            " FROM backfills WHERE list_id = ?",
            list_id,
        )
        return Backfill(*row) if row else None

    async def begin(self, list_id: int, since: str, horizon: str) -> bool:
        """Queues a backfill of what lies before the earliest instant that was covered so far.

        False where nothing lies between, or another one is under way.
        """
        last = await self.of(list_id)
        before = horizon if last is None else min(horizon, last.since)
        if since >= before or (last is not None and not last.finished):
            return False
        await self._db.run(
            "INSERT OR REPLACE INTO backfills (list_id, since, before) VALUES (?, ?, ?)",
            list_id,
            since,
            before,
        )
        return True

    async def queue(
        self, list_id: int, messages: Sequence[tuple[Any, ...]], *, left_out: int
    ) -> None:
        """The messages to be read.

        Each is (part, tracked row, kind, message id, conversation id, campaign id, sent at);
        `left_out` others can't be told apart from what was sent.
        """
        await self._db.many(
            "INSERT INTO backfill_messages (list_id, part, tracked, kind, message_id,"
            " conversation_id, campaign_id, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(list_id, *message) for message in messages],
        )
        await self._db.run(
            "UPDATE backfills SET listed = 1, left_out = ? WHERE list_id = ?", left_out, list_id
        )

    async def next(self, list_id: int) -> Past | None:
        """The message to be read next."""
        row = await self._db.one(
            "SELECT id, list_id, part, tracked, kind, message_id, conversation_id, campaign_id,"
            " sent_at, properties, position FROM backfill_messages WHERE list_id = ?"
            " ORDER BY id LIMIT 1",
            list_id,
        )
        if row is None:
            return None
        values = [*row[:-1], msgspec.json.decode(row[-1], type=Position)]
        return Past(*values)

    async def take_over(self, past: int, properties: str, sent_at: str) -> None:
        """Fixes a message's properties (JSON object) and date, once."""
        await self._db.run(
            "UPDATE backfill_messages SET properties = ?, sent_at = ?"
            " WHERE id = ? AND properties IS NULL",
            properties,
            sent_at,
            past,
        )

    async def move(self, past: Past, position: Position, sent: int) -> None:
        """A page was delivered: where reading goes on, and how many events it came to."""
        await self._db.run(
            "UPDATE backfill_messages SET position = ? WHERE id = ?",
            msgspec.json.encode(position).decode(),
            past.id,
        )
        await self._db.run(
            "UPDATE backfills SET sent = sent + ? WHERE list_id = ?", sent, past.list_id
        )

    async def complete(self, past: Past) -> None:
        """A message was read to its end."""
        await self._db.run("DELETE FROM backfill_messages WHERE id = ?", past.id)
        await self._db.run(
            "UPDATE backfills SET messages = messages + 1 WHERE list_id = ?", past.list_id
        )

    async def finish(self, list_id: int) -> None:
        """All messages were read."""
        await self._db.run("UPDATE backfills SET finished = 1 WHERE list_id = ?", list_id)
