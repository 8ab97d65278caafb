"""Parts of lists that are set aside, as they can't be read for now."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from bridge.errors import StateDamagedError
from bridge.state.database import Database
from bridge.state.inspection import damaged

ListingKind = Literal[
    "broadcasts",
    "split tests",
    "split test",
    "split test message",
    "conversations",
    "conversation",
    "transactional messages",
]
PartKind = Literal[
    ListingKind,
    "campaigns",
    "profile fields",
    "message",
    "summary",
    "details",
    "links",
    "link",
    "contacts",
    "contact look-ups",
    "discovery",
    "unsubscribes",
    "backfill",
    "backfill message",
    "identify",
]
PART_KINDS: Final[tuple[PartKind, ...]] = get_args(PartKind)
LISTING_KINDS: Final[tuple[PartKind, ...]] = get_args(ListingKind)
"""The kinds that messages are discovered by."""

MESSAGE_KINDS: Final[tuple[PartKind, ...]] = ("message", "summary", "links", "link")
"""The kinds without which events of a message may show late; names alone show none."""

WHOLE_KINDS: Final[tuple[PartKind, ...]] = (
    *("contacts", "discovery", "unsubscribes"),
    *("broadcasts", "split tests", "conversations", "transactional messages"),
)
"""The kinds without which a whole kind of reading of a list isn't complete."""


class Part(NamedTuple):
    """A part of a list that is read by itself.

    subject: the id or the path of what it is, "" for the only one of its kind.
    """

    list_id: int
    kind: PartKind
    subject: str = ""

    @property
    def name(self) -> str:
        """The name of it, for people."""
        return f"{self.kind} {self.subject}".rstrip()


@dataclass(frozen=True, slots=True)
class PartSetAside:
    """A part that is set aside.

    since: seconds since 1970.
    reason: why, as last told; "" for what Listrak says it doesn't have.
    complete_until: start of its latest complete reading in seconds since 1970; None for none.
    """

    part: Part
    since: float
    reason: str
    complete_until: float | None


class SetAsideParts:
    """The table of parts that are set aside."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self, list_id: int | None = None) -> list[PartSetAside]:
        """The parts of one list or of all, those that have failed for longest first."""
        rows = await self._db.all(
            "SELECT list_id, kind, subject, since, reason, complete_until FROM sound_set_aside"
            " WHERE list_id = ifnull(?, list_id) ORDER BY since, list_id, kind, subject",
            list_id,
        )
        if any(row[1] not in PART_KINDS for row in rows):
            reason = "its table set_aside has parts of a kind that this version doesn't know"
            raise StateDamagedError(damaged(self._db.path, reason, untouched=False))
        return [PartSetAside(Part(*row[:3]), *row[3:]) for row in rows]

    async def put(self, one: PartSetAside) -> None:
        """Sets a part aside; of one that is, only the reason is taken over."""
        await self._db.run(
            "INSERT INTO set_aside (list_id, kind, subject, since, reason, complete_until)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
            *one.part,
            one.since,
            one.reason,
            one.complete_until,
        )

    async def remove(self, parts: Iterable[Part]) -> None:
        """Takes parts out again."""
        await self._db.many(
            "DELETE FROM set_aside WHERE list_id = ? AND kind = ? AND subject = ?", list(parts)
        )
