"""Reversals: starts at which the file was found to have gone back to an older state."""

from typing import NamedTuple

from bridge.state.database import Database


class Reversal(NamedTuple):
    """One reversal.

    found_at: seconds since 1970 by this machine's clock.
    behind: transactions that are missing, None where that isn't known.
    told: tells whether all contacts are being told again, or were.
    """

    found_at: float
    behind: int | None
    told: bool


class Reversals:
    """The table of reversals; opening the file adds to it (state/database.py)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def latest(self) -> Reversal | None:
        """The latest one, None if the file never went back."""
        row = await self._db.one(
            "SELECT found_at, behind, told FROM sound_reversals ORDER BY id DESC LIMIT 1"
        )
        return None if row is None else Reversal(row[0], row[1], bool(row[2]))

    async def set_told(self) -> None:
        """Notes that all contacts are being told again."""
        await self._db.run("UPDATE reversals SET told = 1 WHERE NOT told")
