"""The state file, as the rest of the bridge uses it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bridge.clock import WaitingClock
from bridge.state.backfills import Backfills
from bridge.state.contact_polls import ContactPolls
from bridge.state.contacts import Contacts
from bridge.state.counters import Counters
from bridge.state.database import Database
from bridge.state.dead_letters import DeadLetters
from bridge.state.erasures import Erasures
from bridge.state.event_counts import EventCounts
from bridge.state.future_times import FutureTimes
from bridge.state.identify_runs import IdentifyRuns
from bridge.state.lists import Lists
from bridge.state.messages import Messages
from bridge.state.meta import Meta
from bridge.state.opening import open_database
from bridge.state.outbox import Outbox
from bridge.state.polls import Polls
from bridge.state.reversals import Reversals
from bridge.state.seen_events import SeenEvents
from bridge.state.set_aside import SetAsideParts
from bridge.state.unsubscribes import Unsubscribes


class Store:
    """Typed operations, table by table. All that write belong into a `transaction`.

    waiting: times what waits in the file.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.path = database.path
        self.copied = database.copied
        self.went_back = database.went_back
        self.is_untraced = database.is_untraced
        self.waiting = WaitingClock()
        self.meta = Meta(database)
        self.counters = Counters(database)
        self.lists = Lists(database)
        self.messages = Messages(database)
        self.polls = Polls(database)
        self.seen_events = SeenEvents(database)
        self.event_counts = EventCounts(database)
        self.contacts = Contacts(database)
        self.contact_polls = ContactPolls(database)
        self.identify_runs = IdentifyRuns(database)
        self.unsubscribes = Unsubscribes(database)
        self.outbox = Outbox(database)
        self.dead_letters = DeadLetters(database)
        self.backfills = Backfills(database)
        self.erasures = Erasures(database)
        self.reversals = Reversals(database)
        self.future_times = FutureTimes(database)
        self.set_aside = SetAsideParts(database)

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """A transaction, on disk when it is left; see Database."""
        return self._db.transaction()

    async def checkpoint(self) -> None:
        """Brings all that was committed into the file itself; see Database."""
        await self._db.checkpoint()

    async def rewrite(self) -> None:
        """Writes the whole file anew, without what was deleted of it; see Database."""
        await self._db.rewrite()

    async def empty_wal(self) -> bool:
        """Empties the -wal, into the file; see Database."""
        return await self._db.empty_wal()

    async def watch(self) -> None:
        """Looks again and again whether it still is the file of its name; see Database."""
        await self._db.watch()

    async def make_room(self) -> bool:
        """Frees what the -wal takes of a full disk; see Database."""
        return await self._db.make_room()

    async def version(self) -> int:
        """The format of the file; a file that was opened to be written has the newest."""
        return await self._db.version()


@asynccontextmanager
async def open_store(path: Path, *, read_only: bool = False) -> AsyncIterator[Store]:
    """Opens the state file; see open_database."""
    async with open_database(path, read_only=read_only) as database:
        yield Store(database)
