"""Events seen of a message's rows: runs of keys, and the last value of totals."""

from collections.abc import Mapping
from dataclasses import astuple
from itertools import groupby
from operator import itemgetter

from bridge.state import keys
from bridge.state.database import Database
from bridge.state.keys import Keys
from bridge.state.records import Total


class SeenEvents:
    """The tables of runs and totals."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_run(
        self, message: int, bucket: int, run: Keys, *, withheld: bool = False
    ) -> None:
        """Remembers keys of a message; `withheld`: of events that were not sent."""
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
            "INSERT OR REPLACE INTO totals (message, key, bucket, order_total, rises, clicks,"
            " withheld, withheld_clicks) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
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
                blobs = await self._db.all(f"SELECT keys FROM runs WHERE id IN ({marks})", *group)
                merged = keys.merged(keys.from_bytes(blob) for (blob,) in blobs)
                await self._db.run(f"DELETE FROM runs WHERE id IN ({marks})", *group)
                await self.add_run(message, bucket, merged, withheld=bool(withheld))


def _signed(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key


def _unsigned(key: int) -> int:
    return key + 2**64 if key < 0 else key
