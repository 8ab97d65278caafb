"""The state file, as the rest of the bridge uses it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bridge.state.backfills import Backfills
from bridge.state.contacts import Contacts
from bridge.state.database import Database, open_database
from bridge.state.event_counts import EventCounts
from bridge.state.looks import Looks
from bridge.state.messages import Messages
from bridge.state.outbox import DeadLetters, Outbox
from bridge.state.records import ListState
from bridge.state.unsubscribes import Unsubscribes


class Store:
    """Typed operations, table by table. All that write belong into a `transaction`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.path = database.path
        self.messages = Messages(database)
        self.looks = Looks(database)
        self.event_counts = EventCounts(database)
        self.contacts = Contacts(database)
        self.unsubscribes = Unsubscribes(database)
        self.outbox = Outbox(database)
        self.dead_letters = DeadLetters(database)
        self.backfills = Backfills(database)

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """All or nothing, on disk when it is left; see Database."""
        return self._db.transaction()

    async def version(self) -> int:
        """The format of the file; a file that was opened to be written has the newest."""
        return await self._db.version()

    async def remember(self, name: str, value: str) -> str:
        """The value first remembered under a name: a later one doesn't replace it."""
        await self._db.run("INSERT OR IGNORE INTO meta VALUES (?, ?)", name, value)
        row = await self._db.one("SELECT value FROM meta WHERE name = ?", name)
        return str(row[0])

    async def recall(self, name: str) -> str | None:
        """The value remembered under a name, None if there is none."""
        row = await self._db.one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else str(row[0])

    async def note(self, name: str, value: str) -> None:
        """Remembers a value under a name in place of the one before."""
        await self._db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    async def count(self, counts: Mapping[str, int]) -> None:
        """Adds to the counters."""
        await self._db.many(
            "INSERT INTO counters VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, number) for name, number in counts.items() if number],
        )

    async def counters(self) -> dict[str, int]:
        """What became of every event so far, and how many are in flight."""
        found = {
            str(name): int(value) for name, value in await self._db.all("SELECT * FROM counters")
        }
        row = await self._db.one(
            "SELECT (SELECT coalesce(sum(events), 0) FROM outbox)"
            " + (SELECT count(*) FROM unsubscribes)"
        )
        return found | {"in_flight": int(row[0])}

    async def list_state(self, list_id: int) -> ListState:
        """How far a list was read."""
        row = await self._db.one(
            "SELECT list_id, list_name, discovered_at, contacts_at, swept_at FROM lists"
            " WHERE list_id = ?",
            list_id,
        )
        return ListState(*row) if row else ListState(list_id, "", None, None, None)

    async def name_list(self, list_id: int, name: str) -> None:
        """Adds a list, or takes over its present name."""
        await self._db.run(
            "INSERT INTO lists (list_id, list_name) VALUES (?, ?)"
            " ON CONFLICT (list_id) DO UPDATE SET list_name = excluded.list_name",
            list_id,
            name,
        )

    async def discovered(self, list_id: int, at: float) -> None:
        """Notes a complete discovery of a list's messages, begun `at`."""
        await self._db.run("UPDATE lists SET discovered_at = ? WHERE list_id = ?", at, list_id)


@asynccontextmanager
async def open_store(path: Path, *, read_only: bool = False) -> AsyncIterator[Store]:
    """Opens the state file; see open_database."""
    async with open_database(path, read_only=read_only) as database:
        yield Store(database)
