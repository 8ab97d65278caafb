"""What travels: pages from the poller to the mapper, parcels from the mapper to the sender."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import msgspec

from bridge.flow.look import Look
from bridge.listrak import wire
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, DeadLetter, EventCount, Position, Total, Unsubscribe


class Tally:
    """Counts what is on its way, and tells when nothing is."""

    def __init__(self) -> None:
        self.open = 0
        self._empty = anyio.Event()

    def enter(self) -> None:
        """One more."""
        self.open += 1

    def leave(self) -> None:
        """One less."""
        self.open -= 1
        if self.open == 0:
            self._empty.set()
            self._empty = anyio.Event()

    async def empty(self) -> None:
        """Waits until nothing is on its way."""
        while self.open:
            await self._empty.wait()


@dataclass(eq=False)
class ActivityPage:
    """Activity rows of a message. `position` is where the look goes on after this page."""

    look: Look
    number: int
    position: Position
    rows: list[wire.Activity]
    origins: list[wire.Origin] | None


@dataclass(eq=False)
class ClickPage:
    """Clicks on a link of a message."""

    look: Look
    number: int
    position: Position
    link: wire.Link
    rows: list[wire.Clicker]
    origins: list[wire.Origin] | None


@dataclass(eq=False)
class LastPage:
    """The end of a look."""

    look: Look
    number: int


@dataclass(eq=False)
class ContactPage:
    """Contacts of a list, in the state that was asked for, and those that the list lost."""

    list_id: int
    tally: Tally
    horizon: str
    previous: str
    position: Position
    rows: list[wire.Contact]
    lost: list[str] = field(default_factory=list)
    field_id: int | None = None
    subscribed: bool = True
    sweep: bool = False


@dataclass(eq=False)
class HeldPage:
    """Unsubscribes whose possible causes were all asked."""

    list_id: int
    tally: Tally
    list_name: str
    rows: list[Unsubscribe]


@dataclass(eq=False)
class OutboxPage:
    """Events that were written down before a restart."""

    outbox_id: int
    tally: Tally
    body: bytes


@dataclass(eq=False)
class Flush:
    """Somebody waits for the pages before this: their events need not wait for a full batch."""


Page = ActivityPage | ClickPage | LastPage | ContactPage | HeldPage | OutboxPage | Flush


def _by_bucket() -> dict[int, list[Fingerprint]]:
    return defaultdict(list)


@dataclass
class Share:
    """The part of a page that is saved at one time.

    `keys` by bucket; apart from them those of what is `withheld`, as it is from before the start
    horizon. `seen` and `unsent` are numbers by event: what was told apart, and what of it is not to
    be sent (from before the start horizon, or not asked for); `amounts`: by how much totals rose or
    fell.
    """

    events: list[bytes] = field(default_factory=list)
    keys: dict[int, list[Fingerprint]] = field(default_factory=_by_bucket)
    withheld: dict[int, list[Fingerprint]] = field(default_factory=_by_bucket)
    seen: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)
    dead: list[DeadLetter] = field(default_factory=list)
    amounts: dict[str, float] = field(default_factory=dict)

    def tally(self) -> dict[str, EventCount]:
        """What is to be added to the numbers of its message."""
        dead = Counter(letter.event for letter in self.dead)
        return {
            event: EventCount(
                self.seen[event], self.unsent[event], dead[event], self.amounts.get(event, 0.0)
            )
            for event in self.seen.keys() | self.amounts.keys()
        }


@dataclass
class Mapped:
    """What a page comes to, decided without I/O.

    `derived` events can be made again from the same page; `planned` ones depend on what was known
    before, and are written down, with all that follows from them, before they are sent.
    `old_causes` may be of unsubscribes from before the horizon.
    """

    derived: Share = field(default_factory=Share)
    planned: Share = field(default_factory=Share)
    totals: dict[int, tuple[int, Total]] = field(default_factory=dict)
    causes: list[str] = field(default_factory=list)
    old_causes: list[str] = field(default_factory=list)
    contacts: dict[str, Contact] = field(default_factory=dict)
    resubscribed: list[str] = field(default_factory=list)
    unsubscribes: list[Unsubscribe] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    known: int = 0
    filtered: int = 0


@dataclass(eq=False)
class Parcel:
    """Events on their way, with what to do once every one of them is accepted or dead.

    `flush`: none, but what came before is not to wait any longer.
    """

    events: list[bytes]
    names: Counter[str]
    settle: Callable[["Parcel"], None]
    dead: list[DeadLetter] = field(default_factory=list)
    flush: bool = False
    remaining: int = -1

    def __post_init__(self) -> None:
        self.remaining = len(self.events)

    def accept(self, count: int) -> None:
        """So many of its events need no more care."""
        self.remaining -= count
        if self.remaining == 0:
            self.settle(self)

    def refuse(self, event: bytes, reason: str) -> None:
        """One of its events can't be sent: it is kept as a dead letter."""
        what = msgspec.json.decode(event, type=_Envelope)
        self.dead.append(DeadLetter(what.event or what.type, what.message_id, reason, event))
        self.accept(1)


class _Envelope(msgspec.Struct, rename="camel"):
    type: str
    message_id: str
    event: str | None = None


def name_of(event: bytes) -> str:
    """An encoded event's name; `identify` for an identify."""
    what = msgspec.json.decode(event, type=_Envelope)
    return what.event or what.type
