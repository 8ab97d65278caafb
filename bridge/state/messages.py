"""Tracked messages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bridge.event_types import UNSUBSCRIBED
from bridge.state.database import Database
from bridge.state.records import Message, MessageRef

# In the order of Message's fields.
_COLUMNS = (
    "id, list_id, kind, message_id, conversation_id, campaign_id, sent_at, properties, found_at,"
    " looked_at, moved_at, summary, retired, asked, watch, floor, first_floor, subject,"
    " described_at, properties_used"
)


SUSPENDED: Final = 2
"""Value of `retired`: it is over by a time that nothing bears out, so it isn't forgotten yet."""


class Messages:
    """The table of tracked messages."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, refs: Sequence[MessageRef], at: float) -> None:
        """Tracks messages, discovered `at` (seconds since 1970).

        The campaign and the subject of one already tracked follow Listrak where it tells them, and
        until rows of it were seen, its date. Only rows that change are written.
        """
        await self._db.many(
            "INSERT INTO messages (list_id, kind, message_id, conversation_id, campaign_id,"
            " sent_at, subject, found_at) VALUES (?1, ?2, ?3, ?4, ifnull(?5, 0), ?6, ?7, ?8)"
            " ON CONFLICT DO UPDATE SET"
            " campaign_id = ifnull(?5, campaign_id), subject = ifnull(excluded.subject, subject),"
            " sent_at = iif(properties IS NULL, excluded.sent_at, sent_at)"
            " WHERE retired = 0 AND (campaign_id != ifnull(?5, campaign_id)"
            " OR subject IS NOT ifnull(excluded.subject, subject)"
            " OR (properties IS NULL AND sent_at != excluded.sent_at))",
            [(*ref, at) for ref in refs],
        )

    async def tracked(self, list_id: int | None = None) -> list[Message]:
        """Messages still tracked, of one list or of all."""
        rows = await self._db.all(
            f"SELECT {_COLUMNS} FROM sound_messages WHERE retired = 0"
            " AND list_id = ifnull(?, list_id) ORDER BY id",
            list_id,
        )
        return [Message(*row) for row in rows]

    async def all_of(self, list_id: int) -> list[Message]:
        """Every message of a list that is or was tracked."""
        rows = await self._db.all(
            f"SELECT {_COLUMNS} FROM sound_messages WHERE list_id = ?", list_id
        )
        return [Message(*row) for row in rows]

    async def untracked(self, list_id: int) -> tuple[int, str]:
        """The number of messages that are no longer tracked, and the instant of the latest send.

        The instant is "" for none.
        """
        row = await self._db.one(
            "SELECT count(*), ifnull(max(sent_at), '') FROM sound_messages"
            " WHERE list_id = ? AND retired",
            list_id,
        )
        return int(row[0]), str(row[1])

    async def get(self, row_id: int) -> Message:
        """One message by the id of its row."""
        row = await self._db.one(f"SELECT {_COLUMNS} FROM sound_messages WHERE id = ?", row_id)
        return Message(*row)

    async def use_properties(self, message: int, properties: str, sent_at: str) -> None:
        """Saves what the next events of a message carry (JSON object), and its date.

        They count as used until `release_properties`.
        """
        await self._db.run(
            "UPDATE messages SET properties = ?, sent_at = ?, properties_used = 1 WHERE id = ?",
            properties,
            sent_at,
            message,
        )

    async def move_dates(self, moved: Callable[[str], str]) -> None:
        """Replaces the dates of all messages: they were read from texts without a zone."""
        for table in ("messages", "backfill_messages"):
            rows = await self._db.all(f"SELECT id, sent_at FROM sound_{table} WHERE sent_at != ''")
            await self._db.many(
                f"UPDATE {table} SET sent_at = ? WHERE id = ?",
                [(moved(date), row) for row, date in rows],
            )

    async def release_properties(self, message: int) -> None:
        """Notes that no events of a message are on their way: its properties may change again."""
        await self._db.run("UPDATE messages SET properties_used = 0 WHERE id = ?", message)

    async def set_details(self, message: int, subject: str, campaign_id: int, at: float) -> None:
        """Saves what was read of a message when it was asked for by itself, `at` that time."""
        await self._db.run(
            "UPDATE messages SET subject = ?, campaign_id = ?, described_at = ? WHERE id = ?",
            subject,
            campaign_id,
            at,
            message,
        )

    async def set_first_floor(self, message: int, floor: int) -> None:
        """Fixes the floor of a message's first poll; of a later one nothing changes."""
        await self._db.run(
            "UPDATE messages SET floor = ?1, first_floor = ?1 WHERE id = ?2 AND floor IS NULL",
            floor,
            message,
        )

    async def raise_floor(self, message: int, floor: int) -> None:
        """Raises the floor of a message, below which nothing is looked at any more."""
        await self._db.run(
            "UPDATE messages SET floor = max(ifnull(floor, 0), ?) WHERE id = ?", floor, message
        )

    async def request_rescan(self, messages: Iterable[int]) -> None:
        """Has messages polled in full, whatever their counters say."""
        await self._db.many(
            "UPDATE messages SET asked = 1 WHERE id = ? AND retired = 0",
            [(message,) for message in messages],
        )

    async def save_watermarks(self, message: int, watermarks: str, summary: str) -> None:
        """Saves the watermarks after a poll, and the counters it began with (both JSON)."""
        await self._db.run(
            "UPDATE messages SET watch = ?, summary = ? WHERE id = ?", watermarks, summary, message
        )

    async def suspend(self, message: int) -> None:
        """Stops tracking a message, and keeps all that is remembered of it."""
        await self._db.run("UPDATE messages SET retired = ? WHERE id = ?", SUSPENDED, message)

    async def resume(self, message: int) -> None:
        """Tracks a suspended message again; it is read in full, as if not since it was found."""
        await self._db.run(
            "UPDATE messages SET retired = 0, asked = 1, looked_at = min(looked_at, found_at)"
            " WHERE id = ? AND retired = ?",
            message,
            SUSPENDED,
        )

    async def suspended(self) -> list[Message]:
        """The messages that are suspended."""
        rows = await self._db.all(
            f"SELECT {_COLUMNS} FROM sound_messages WHERE retired = ?", SUSPENDED
        )
        return [Message(*row) for row in rows]

    async def untrack(self, message: int) -> None:
        """Stops tracking a message and drops what was remembered of it, but that it was there.

        Its floor stays only where anything of it was sent. Who unsubscribed through it is
        remembered, with its properties, until the contacts have shown those unsubscribes.
        """
        await self._db.run(
            "UPDATE messages SET retired = 1, summary = '', watch = '',"
            " properties = iif(EXISTS (SELECT 1 FROM sound_causes WHERE message = messages.id),"
            " properties, NULL),"
            " floor = iif(EXISTS (SELECT 1 FROM sound_event_counts WHERE message = messages.id"
            " AND event != ? AND seen > unsent), floor, NULL) WHERE id = ?",
            UNSUBSCRIBED,
            message,
        )
        for table in ("runs", "totals", "looks", "event_counts"):
            await self._db.run(f"DELETE FROM {table} WHERE message = ?", message)
