"""Looks at messages: how far each has come, and what is known of a message's rows."""

from collections.abc import Mapping
from dataclasses import astuple
from itertools import groupby
from operator import itemgetter

import msgspec

from bridge.state import keys
from bridge.state.database import Database
from bridge.state.keys import Keys
from bridge.state.records import Position, Total


class Looks:
    """The tables of looks, runs and totals."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def open_one(self, message: int) -> tuple[float, str, Position] | None:
        """The look that has begun and isn't complete: started at, summary, position."""
        row = await self._db.one(
            "SELECT started_at, summary, position FROM looks WHERE message = ?", message
        )
        return (row[0], row[1], msgspec.json.decode(row[2], type=Position)) if row else None

    async def begin(self, message: int, started_at: float, summary: str) -> None:
        """Begins a look from the start."""
        await self._db.run(
            "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)",
            message,
            started_at,
            summary,
            "[]",
        )
        await self._db.run("UPDATE messages SET asked = 0 WHERE id = ?", message)

    async def move(self, message: int, position: Position) -> None:
        """Where the look goes on."""
        text = msgspec.json.encode(position).decode()
        await self._db.run("UPDATE looks SET position = ? WHERE message = ?", text, message)

    async def glimpse(self, message: int, started_at: float, floor: int, *, found: bool) -> None:
        """Ends a look that didn't read everything; of what is below `floor`, see `complete`."""
        if found:
            await self._db.run("UPDATE messages SET moved_at = ? WHERE id = ?", started_at, message)
            await self._tidy(message, floor)

    async def complete(self, message: int, floor: int, *, found: bool) -> None:
        """Ends a whole look, and forgets the buckets below `floor`, which are no longer tracked."""
        await self._db.run(
            "UPDATE messages SET (looked_at, summary, moved_at) ="
            " (SELECT started_at, summary, iif(?, started_at, moved_at) FROM looks"
            " WHERE message = messages.id) WHERE id = ?",
            found,
            message,
        )
        await self._db.run("DELETE FROM looks WHERE message = ?", message)
        await self._tidy(message, floor)

    async def _tidy(self, message: int, floor: int) -> None:
        """Forgets what is no longer tracked, and merges a bucket's runs of like size.

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
                blobs = await self._db.all(f"SELECT keys FROM runs WHERE id IN ({marks})", *group)
                merged = keys.merged(keys.from_bytes(blob) for (blob,) in blobs)
                await self._db.run(f"DELETE FROM runs WHERE id IN ({marks})", *group)
                await self.add_run(message, bucket, merged, withheld=bool(withheld))

    async def add_run(
        self, message: int, bucket: int, run: Keys, *, withheld: bool = False
    ) -> None:
        """Remembers keys of a message; of what was `withheld` as well."""
        await self._db.run(
            "INSERT INTO runs (message, bucket, keys, withheld) VALUES (?, ?, ?, ?)",
            message,
            bucket,
            keys.to_bytes(run),
            withheld,
        )

    async def runs(self, message: int, *, withheld: bool = False) -> list[Keys]:
        """All runs of a message, or those of what was withheld."""
        rows = await self._db.all(
            "SELECT keys FROM runs WHERE message = ? AND withheld >= ?", message, withheld
        )
        return [keys.from_bytes(blob) for (blob,) in rows]

    async def set_totals(self, message: int, totals: Mapping[int, tuple[int, Total]]) -> None:
        """Remembers cumulative values: key -> (bucket, total)."""
        await self._db.many(
            "INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (message, _signed(key), bucket, *astuple(total))
                for key, (bucket, total) in totals.items()
            ],
        )

    async def totals(self, message: int) -> dict[int, Total]:
        """Cumulative values of a message's rows by key."""
        rows = await self._db.all(
            "SELECT key, order_total, rises, clicks, withheld, withheld_clicks FROM totals"
            " WHERE message = ?",
            message,
        )
        return {_unsigned(key): Total(*rest) for key, *rest in rows}


def _signed(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key


def _unsigned(key: int) -> int:
    return key + 2**64 if key < 0 else key
