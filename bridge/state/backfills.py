"""Backfills: how far each list's goes, and which messages are still to be read for it."""

from collections.abc import Collection, Mapping, Sequence

from bridge.state import cursors
from bridge.state.cursors import PollCursor
from bridge.state.database import Database
from bridge.state.records import (
    BACKFILL_KINDS,
    Backfill,
    BackfillKind,
    BackfillMessage,
    MessageRef,
)


class Backfills:
    """The tables of backfills and of their messages."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, list_id: int, kind: BackfillKind = "history") -> Backfill | None:
        """The latest backfill of a kind of a list."""
        row = await self._db.one(
            "SELECT list_id, since, before, listed, finished, left_out, messages, sent,"
            " (SELECT count(*) FROM backfill_messages WHERE list_id = backfills.list_id"
            " AND (part = 'unwanted') = (backfills.kind = 'events')), kind, warehouse_only,"
            " missing, events, dropped FROM sound_backfills AS backfills WHERE list_id = ?"
            " AND kind = ?",
            list_id,
            kind,
        )
        return Backfill(*row) if row else None

    async def open_one(self, list_id: int) -> Backfill | None:
        """A backfill of a list that isn't finished."""
        for kind in BACKFILL_KINDS:
            backfill = await self.of(list_id, kind)
            if backfill is not None and not backfill.finished:
                return backfill
        return None

    async def begin_events(self, list_id: int, since: str, *, warehouse_only: bool) -> bool:
        """Queues a backfill of what was withheld by BRIDGE_EVENTS; False if one is under way."""
        last = await self.of(list_id, "events")
        if last is not None and not last.finished:
            return False
        await self._db.run(
            "INSERT OR REPLACE INTO backfills (list_id, kind, since, before, warehouse_only)"
            " VALUES (?, 'events', ?, '', ?)",
            list_id,
            since,
            warehouse_only,
        )
        return True

    async def begin(
        self,
        list_id: int,
        since: str,
        ends: Mapping[str, str],
        *,
        warehouse_only: bool = False,
    ) -> bool:
        """Queues a backfill of the history since an instant; False for nothing, or one under way.

        ends: by the name of an event that it is to bring, until when (see `ends`).
        """
        last = await self.of(list_id)
        events = [event for event, end in sorted(ends.items()) if since < end]
        if last is not None and (not events or not last.finished):
            return False
        await self._db.run(
            "INSERT OR REPLACE INTO backfills (list_id, kind, since, before, warehouse_only,"
            " events, dropped, finished) VALUES (?, 'history', ?, ?, ?, ?, ?, ?)",
            list_id,
            since,
            max((ends[event] for event in events), default=since),
            warehouse_only,
            ",".join(events),
            # That these are missing stays true.
            "" if last is None else last.dropped,
            # Where there is nothing to bring, whoever waits for it has an answer.
            not events,
        )
        return bool(events)

    async def ends(self, list_id: int, horizon: str, events: Collection[str]) -> dict[str, str]:
        """The instants up to which the history is still to be sent, by event.

        horizon: the list's start horizon, which is it where no backfill has sent any yet.
        """
        rows = await self._db.all(
            "SELECT event, since FROM sound_backfilled WHERE list_id = ?", list_id
        )
        sent_since = dict(rows)
        return {event: min(horizon, sent_since.get(event, horizon)) for event in events}

    async def drop_events(self, backfill: Backfill, events: Collection[str]) -> None:
        """Takes events out of a backfill that is under way.

        Once its messages are listed, some of these events may be sent: how many, nobody knows.
        """
        dropped = backfill.dropped_names.union(events if backfill.listed else ())
        await self._db.run(
            "UPDATE backfills SET events = ?, dropped = ? WHERE list_id = ? AND kind = ?",
            ",".join(sorted(backfill.names.difference(events))),
            ",".join(sorted(dropped)),
            backfill.list_id,
            backfill.kind,
        )

    async def queue(
        self, backfill: Backfill, messages: Sequence[tuple[str, int, MessageRef]], left_out: int
    ) -> None:
        """Queues the messages to be read: part, row of the tracked message (0 for none), message.

        left_out: number of others, which can't be told apart from what was sent.
        """
        await self._db.many(
            "INSERT INTO backfill_messages (part, tracked, list_id, kind, message_id,"
            " conversation_id, campaign_id, sent_at) VALUES (?, ?, ?, ?, ?, ?, ifnull(?, 0), ?)",
            # Its subject is read again when its turn comes.
            [(part, tracked, *ref[:-1]) for part, tracked, ref in messages],
        )
        await self._db.run(
            "UPDATE backfills SET listed = 1, left_out = ? WHERE list_id = ? AND kind = ?",
            left_out,
            backfill.list_id,
            backfill.kind,
        )

    async def next(self, backfill: Backfill, after: int = 0) -> BackfillMessage | None:
        """The message of a backfill to be read next, of those behind a row of its queue."""
        row = await self._db.one(
            "SELECT id, part, tracked, properties, position,"
            " list_id, kind, message_id, conversation_id, campaign_id, sent_at"
            " FROM sound_backfill_messages WHERE list_id = ?"
            " AND (part = 'unwanted') = (? = 'events') AND id > ? ORDER BY id LIMIT 1",
            backfill.list_id,
            backfill.kind,
            after,
        )
        if row is None:
            return None
        row_id, part, tracked, properties, cursor, *ref = row
        resume = cursors.decode(cursor, PollCursor)
        return BackfillMessage(
            row_id,
            part,
            tracked,
            MessageRef(*ref),
            properties,
            resume,
            backfill.warehouse_only,
        )

    async def set_properties(self, message: BackfillMessage, properties: str, sent_at: str) -> None:
        """Saves a message's properties (JSON object) and date, once: those it begins with stay."""
        await self._db.run(
            "UPDATE backfill_messages SET properties = ?, sent_at = ?"
            " WHERE id = ? AND properties IS NULL",
            properties,
            sent_at,
            message.id,
        )

    async def save_cursor(self, message: BackfillMessage, cursor: PollCursor, sent: int) -> None:
        """Saves where reading goes on after a page, and adds how many events it came to."""
        await self._db.run(
            "UPDATE backfill_messages SET position = ? WHERE id = ?",
            cursors.encode(cursor),
            message.id,
        )
        await self._db.run(
            "UPDATE backfills SET sent = sent + ? WHERE list_id = ? AND kind = ?",
            sent,
            message.ref.list_id,
            message.kind,
        )

    async def complete(self, message: BackfillMessage, *, missing: bool = False) -> None:
        """Ends a message that was read to its end, or that Listrak doesn't have any more."""
        await self._db.run("DELETE FROM backfill_messages WHERE id = ?", message.id)
        await self._db.run(
            "UPDATE backfills SET messages = messages + ?, missing = missing + ?"
            " WHERE list_id = ? AND kind = ?",
            not missing,
            missing,
            message.ref.list_id,
            message.kind,
        )

    async def add_sent(self, backfill: Backfill, number: int) -> None:
        """Adds to the number of events that a backfill has sent."""
        await self._db.run(
            "UPDATE backfills SET sent = sent + ? WHERE list_id = ? AND kind = ?",
            number,
            backfill.list_id,
            backfill.kind,
        )

    async def finish(self, backfill: Backfill) -> None:
        """Ends the backfill: all messages were read.

        What it has dropped counts as sent: a part may be, and nothing is sent twice.
        """
        await self._db.many(
            "INSERT INTO backfilled VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " since = min(since, excluded.since)",
            [
                (backfill.list_id, event, backfill.since)
                for event in backfill.names | backfill.dropped_names
            ],
        )
        await self._db.run(
            "UPDATE backfills SET finished = 1 WHERE list_id = ? AND kind = ?",
            backfill.list_id,
            backfill.kind,
        )
