"""Events seen of a message's rows: runs of keys, and the last value of totals."""

from collections.abc import Mapping
from dataclasses import astuple
from itertools import groupby
from operator import itemgetter
from typing import Final

from bridge.state import keys
from bridge.state.database import Database
from bridge.state.keys import Keys
from bridge.state.records import Total

SENT: Final = 0
EARLY: Final = 1
UNWANTED: Final = 2
"""Reasons why events that were seen were not sent: from before the start horizon; not in
BRIDGE_EVENTS."""


class SeenEvents:
    """The tables of runs and totals."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_run(self, message: int, bucket: int, run: Keys, *, withheld: int = SENT) -> None:
        """Remembers keys of a message; `withheld`: why the events were not sent."""
        await self._db.run(
            "INSERT INTO runs (message, bucket, keys, withheld) VALUES (?, ?, ?, ?)",
            message,
            bucket,
            keys.to_bytes(run),
            withheld,
        )

    async def release(self, message: int, bucket: int, run: Keys) -> None:
        """Notes that events that were withheld as unwanted are sent now."""
        rows = await self._db.all(
            "SELECT keys FROM sound_runs WHERE message = ? AND bucket = ? AND withheld = ?",
            message,
            bucket,
            UNWANTED,
        )
        left = keys.without(keys.merged(keys.from_bytes(blob) for (blob,) in rows), run)
        await self._db.run(
            "DELETE FROM runs WHERE message = ? AND bucket = ? AND withheld = ?",
            message,
            bucket,
            UNWANTED,
        )
        if len(left):
            await self.add_run(message, bucket, left, withheld=UNWANTED)
        await self.add_run(message, bucket, run)

    async def release_totals(self, message: int, totals: Mapping[int, Total]) -> None:
        """Notes how much of what was withheld as unwanted is sent by now, by key."""
        await self._db.many(
            "UPDATE totals SET unwanted_sent = ?, unwanted_clicks_sent = ?"
            " WHERE message = ? AND key = ?",
            [
                (total.unwanted_sent, total.unwanted_clicks_sent, message, _signed(key))
                for key, total in totals.items()
            ],
        )

    async def runs(self, message: int, *, withheld: int | None = None) -> list[Keys]:
        """All runs of a message, or those of what was withheld for a reason."""
        rows = await self._db.all(
            "SELECT keys FROM sound_runs WHERE message = ?1 AND withheld = ifnull(?2, withheld)",
            message,
            withheld,
        )
        return [keys.from_bytes(blob) for (blob,) in rows]

    async def set_totals(self, message: int, totals: Mapping[int, tuple[int, Total]]) -> None:
        """Remembers cumulative values: key -> (bucket, total)."""
        await self._db.many(
            "INSERT INTO totals (message, key, bucket, order_total, rises, clicks, withheld,"
            " withheld_clicks, unwanted, unwanted_clicks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            # What a backfill has sent since is only its own to note.
            " ON CONFLICT DO UPDATE SET bucket = excluded.bucket,"
            " order_total = excluded.order_total, rises = excluded.rises,"
            " clicks = excluded.clicks, withheld = excluded.withheld,"
            " withheld_clicks = excluded.withheld_clicks, unwanted = excluded.unwanted,"
            " unwanted_clicks = excluded.unwanted_clicks",
            [
                (message, _signed(key), bucket, *astuple(total)[:-2])
                for key, (bucket, total) in totals.items()
            ],
        )

    async def totals(self, message: int) -> dict[int, Total]:
        """Cumulative values of a message's rows by key."""
        rows = await self._db.all(
            "SELECT key, order_total, rises, clicks, withheld, withheld_clicks, unwanted,"
            " unwanted_clicks, unwanted_sent, unwanted_clicks_sent FROM sound_totals"
            " WHERE message = ?",
            message,
        )
        return {_unsigned(key): Total(*rest) for key, *rest in rows}

    async def with_unwanted(self, list_id: int) -> list[int]:
        """The rows of a list's tracked messages of which events were withheld as unwanted."""
        rows = await self._db.all(
            "SELECT id FROM sound_messages AS messages WHERE list_id = ? AND NOT retired AND ("
            " EXISTS (SELECT 1 FROM sound_runs WHERE message = messages.id AND withheld = ?)"
            " OR EXISTS (SELECT 1 FROM sound_totals WHERE message = messages.id AND"
            " (unwanted > unwanted_sent OR unwanted_clicks > unwanted_clicks_sent))) ORDER BY id",
            list_id,
            UNWANTED,
        )
        return [row[0] for row in rows]

    async def compact(self, message: int, floor: int) -> None:
        """Forgets the buckets below `floor`, and merges a bucket's runs of like size.

        So there are few runs, and each is rewritten rarely.
        """
        for table in ("runs", "totals"):
            await self._db.run(
                f"DELETE FROM {table} WHERE message = ? AND bucket < ?", message, floor
            )
        rows = await self._db.all(
            "SELECT bucket, withheld, id, length(keys) FROM runs WHERE message = ?"
            " ORDER BY bucket, withheld, id",
            message,
        )
        for (bucket, withheld), runs in groupby(rows, key=itemgetter(0, 1)):
            for group in keys.to_merge((row_id, size) for *_, row_id, size in runs):
                marks = ", ".join("?" * len(group))
                blobs = await self._db.all(
                    f"SELECT keys FROM sound_runs WHERE id IN ({marks})", *group
                )
                merged = keys.merged(keys.from_bytes(blob) for (blob,) in blobs)
                await self._db.run(f"DELETE FROM runs WHERE id IN ({marks})", *group)
                await self.add_run(message, bucket, merged, withheld=withheld)


def _signed(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key


def _unsigned(key: int) -> int:
    return key + 2**64 if key < 0 else key
