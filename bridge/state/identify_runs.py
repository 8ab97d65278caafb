"""Runs of `identify --all`: how far each list's has come, and whom it need not tell any more."""

from bridge.state import cursors, keys
from bridge.state.cursors import ContactCursor
from bridge.state.database import Database
from bridge.state.keys import Keys
from bridge.state.records import IdentifyRun

_CLOCK_STEP = 0.001


class IdentifyRuns:
    """The tables of runs (identify_runs) and of whom was told since they began (identified)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, list_id: int) -> IdentifyRun | None:
        """The latest run of a list."""
        row = await self._db.one(
            "SELECT list_id, started_at, position, told, finished FROM sound_identify_runs"
            " WHERE list_id = ?",
            list_id,
        )
        if row is None:
            return None
        list_id, started_at, position, told, finished = row
        cursor = cursors.decode(position, ContactCursor)
        return IdentifyRun(list_id, started_at, cursor, told, bool(finished))

    async def open_one(self, list_id: int) -> IdentifyRun | None:
        """The run of a list that isn't finished."""
        run = await self.of(list_id)
        return None if run is None or run.finished else run

    async def begin(self, list_id: int, at: float) -> bool:
        """Begins a run; False if one is under way.

        at: seconds since 1970; a later run always has a later start.
        """
        if await self.open_one(list_id) is not None:
            return False
        await self.restart(list_id, at)
        return True

    async def restart(self, list_id: int, at: float) -> None:
        """Begins a run, from the start where one is under way.

        at: seconds since 1970; a later run always has a later start.
        """
        before = await self.of(list_id)
        await self._start(list_id, max(at, before.started_at + _CLOCK_STEP) if before else at)

    async def begin_anew(self, at: float) -> None:
        """Begins the runs under way from the start: whom they have told isn't where it is wanted.

        at: seconds since 1970.
        """
        rows = await self._db.all("SELECT list_id FROM sound_identify_runs WHERE NOT finished")
        for (list_id,) in rows:
            await self._start(list_id, at)

    async def _start(self, list_id: int, at: float) -> None:
        await self._db.run("DELETE FROM identified WHERE list_id = ?", list_id)
        await self._db.run(
            "INSERT OR REPLACE INTO identify_runs (list_id, started_at, position) VALUES (?, ?, ?)",
            list_id,
            at,
            cursors.BEGUN,
        )
        # Each contact gets an id of its own, also where the file doesn't know all that were used:
        # they count changes, of which there are fewer than milliseconds.
        await self._db.run(
            "UPDATE lists SET revision_floor = max(revision_floor, ?) WHERE list_id = ?",
            round(at * 1000),
            list_id,
        )

    async def advance(self, list_id: int, cursor: ContactCursor, told: Keys, number: int) -> None:
        """Saves where a run goes on, and whom it has told.

        number: events made for that.
        """
        await self._db.run(
            "UPDATE identify_runs SET position = ?, told = told + ? WHERE list_id = ?",
            cursors.encode(cursor),
            number,
            list_id,
        )
        await self.add_told(list_id, told)

    async def add_told(self, list_id: int, told: Keys) -> None:
        """Remembers contacts that are told, by a run under way or beside it."""
        await self._db.run(
            "INSERT INTO identified (list_id, keys) SELECT ?1, ?2 WHERE EXISTS"
            " (SELECT 1 FROM sound_identify_runs WHERE list_id = ?1 AND NOT finished)",
            list_id,
            keys.to_bytes(told),
        )

    async def told(self, list_id: int) -> list[Keys]:
        """All contacts that were told since the run under way began, as runs of keys."""
        rows = await self._db.all("SELECT keys FROM sound_identified WHERE list_id = ?", list_id)
        return [keys.from_bytes(blob) for (blob,) in rows]

    async def finish(self, list_id: int) -> None:
        """Notes that a run is complete; its cursor, which may hold an address, is forgotten."""
        await self._db.run(
            "UPDATE identify_runs SET finished = 1, position = ? WHERE list_id = ?",
            cursors.BEGUN,
            list_id,
        )
        await self._db.run("DELETE FROM identified WHERE list_id = ?", list_id)
