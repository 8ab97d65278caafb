"""Erasures: all that is kept of an address, table by table.

Keys of seen events are not among it: they are hashes, and without them everything that Listrak
still shows would be sent again.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from bridge.clock import DAY
from bridge.compression import compressed, decompressed
from bridge.event_types import CONVERTED, UNSUBSCRIBED
from bridge.state import cursors, keys
from bridge.state.contacts import Contacts
from bridge.state.database import Database
from bridge.state.keys import Keys

ERASED: Final = "(erased)"
"""The text that takes the place of an address in a longer one."""

_REMEMBERED: Final = 90 * DAY
_CHUNK: Final = 1000

# Open polls and runs, each with the columns that tell its row, and where its contacts are read.
CURSORS: Final = (
    ("contact_looks", "list_id"),
    ("identify_runs", "list_id"),
    ("looks", "message"),
    ("backfill_messages", "id"),
)
TEXTS: Final = (
    ("lists", "list_name"),
    ("messages", "subject"),
    ("messages", "properties"),
    ("backfill_messages", "properties"),
    ("withheld_unsubscribes", "properties"),
    ("set_aside", "subject"),
    ("set_aside", "reason"),
)


class Removed(msgspec.Struct):
    """Numbers of what was erased of an address.

    contacts: entries of it in lists.
    user_ids: contacts whose userId it was; they have none until the next sweep.
    pending_unsubscribes: those not sent yet.
    withheld_unsubscribes: those that were not in BRIDGE_EVENTS.
    attributions: messages through which it unsubscribed.
    outbox_events: events that were saved and not acknowledged yet.
    dead_letters: events that couldn't be sent.
    marks: keys of it in open sweeps and in runs of `identify --all`.
    cursors: places where a reading goes on, which named it.
    texts: names and subjects that held it.
    contact_of: ids of the lists that had it as a contact when they were last read.
    """

    contacts: int = 0
    user_ids: int = 0
    pending_unsubscribes: int = 0
    withheld_unsubscribes: int = 0
    attributions: int = 0
    outbox_events: int = 0
    dead_letters: int = 0
    marks: int = 0
    cursors: int = 0
    texts: int = 0
    contact_of: list[int] = []

    @property
    def no_longer_in_flight(self) -> int:
        """The number of events that would have been sent."""
        return self.pending_unsubscribes + self.outbox_events


class Erasure(NamedTuple):
    """The outcome of a request.

    overwritten: no byte of what was removed is left in the file, nor in its -wal.
    """

    removed: Removed
    overwritten: bool


class Erasures:
    """The table of what was erased, and the walk through all others."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, request: str) -> Erasure | None:
        """The outcome of a request, None while there is none."""
        row = await self._db.one(
            "SELECT removed, overwritten FROM sound_erasures WHERE request = ?", request
        )
        if row is None:
            return None
        return Erasure(msgspec.json.decode(row[0], type=Removed), bool(row[1]))

    async def note(self, request: str, removed: Removed, at: float) -> None:
        """Notes what was removed for a request; what was noted long ago is forgotten.

        at: present time, seconds since 1970 by this machine's clock.
        """
        await self._db.run("DELETE FROM erasures WHERE at < ?", at - _REMEMBERED)
        await self._db.run(
            "INSERT INTO erasures (request, at, removed) VALUES (?, ?, ?)",
            request,
            at,
            msgspec.json.encode(removed).decode(),
        )

    async def unfinished(self) -> bool:
        """Tells whether bytes of what was removed may be left."""
        row = await self._db.one(
            "SELECT EXISTS (SELECT 1 FROM sound_erasures WHERE NOT overwritten)"
        )
        return bool(row[0])

    async def set_overwritten(self) -> None:
        """Notes that the bytes of all that was removed so far are gone."""
        await self._db.run("UPDATE erasures SET overwritten = 1 WHERE NOT overwritten")

    async def erase(self, address: str, marks: Keys) -> Removed:
        """Removes all that is kept of an address; it belongs into a transaction.

        address: in lower case.
        marks: its key.
        """
        removed = Removed()
        await self._contacts(address, removed)
        removed.pending_unsubscribes = await self._delete(
            "unsubscribes WHERE lower_case(email) = ?", address
        )
        removed.withheld_unsubscribes = await self._delete(
            "withheld_unsubscribes WHERE lower_case(email) = ?", address
        )
        removed.attributions = await self._delete("causes WHERE email = ?", address)
        removed.outbox_events = await self._outbox(address)
        removed.dead_letters = await self._dead_letters(address)
        for table in ("met", "identified"):
            removed.marks += await self._marks(table, marks)
        await self._cursors(address, removed)
        await self._texts(address, removed)
        return removed

    async def _delete(self, rows: str, *values: object) -> int:
        number = (await self._db.one(f"SELECT count(*) FROM sound_{rows}", *values))[0]
        if number:
            await self._db.run(f"DELETE FROM {rows}", *values)
        return int(number)

    async def _contacts(self, address: str, removed: Removed) -> None:
        rows = await self._db.all(
            "SELECT list_id, revision, deleted_at IS NULL FROM sound_contacts WHERE email = ?",
            address,
        )
        removed.contacts = len(rows)
        removed.contact_of = [list_id for list_id, _, is_there in rows if is_there]
        for list_id, revision, _ in rows:
            # Should it come back, its identifies have ids that none before had.
            await self._db.run(
                "UPDATE lists SET forgotten_revision = max(forgotten_revision, ?)"
                " WHERE list_id = ?",
                revision,
                list_id,
            )
        await self._db.run("DELETE FROM contacts WHERE email = ?", address)
        await self._db.run("DELETE FROM contact_twins WHERE email = ?", address)
        removed.user_ids = await Contacts(self._db).remove_user_id(address)

    async def _outbox(self, address: str) -> int:
        """Removes its events from the journaled pages; they count as unsent from now on."""
        number = 0
        for page, body in await self._db.all("SELECT id, body FROM sound_outbox"):
            events = msgspec.json.decode(decompressed(body), type=list[msgspec.Raw])
            decoded = [msgspec.json.decode(event) for event in events]
            own = [address in _leaves(event) for event in decoded]
            if not any(own):
                continue
            left = [bytes(event) for event, is_own in zip(events, own, strict=True) if not is_own]
            number += sum(own)
            for event, is_own in zip(decoded, own, strict=True):
                if is_own:
                    await self._count_unsent(event)
            if left:
                await self._db.run(
                    "UPDATE outbox SET events = ?, body = ? WHERE id = ?",
                    len(left),
                    compressed(b"[" + b",".join(left) + b"]"),
                    page,
                )
            else:
                await self._db.run("DELETE FROM outbox WHERE id = ?", page)
        return number

    async def _count_unsent(self, event: dict[str, Any]) -> None:
        """Notes in the numbers of its message that an event that was seen isn't sent."""
        name, properties = event.get("event"), event.get("properties", {})
        if name is None or name == UNSUBSCRIBED or "email_id" not in properties:
            return
        await self._db.run(
            "UPDATE event_counts SET unsent = unsent + 1, unsent_amount = unsent_amount + ?4"
            " WHERE event = ?1 AND message = (SELECT id FROM sound_messages"
            " JOIN sound_event_counts AS own ON own.message = id AND own.event = ?1"
            " WHERE list_id = ?2 AND message_id = ?3 LIMIT 1)",
            name,
            int(properties["list_id"]),
            int(properties["email_id"]),
            properties.get("order_total", 0.0) if name == CONVERTED else 0.0,
        )

    async def _dead_letters(self, address: str) -> int:
        number, last, pattern = 0, 0, _pattern(address)
        while rows := await self._db.all(
            "SELECT id, reason, body FROM sound_dead_letters WHERE id > ? ORDER BY id LIMIT ?",
            last,
            _CHUNK,
        ):
            own = [
                (row_id,)
                for row_id, reason, body in rows
                if pattern.search(reason) or _is_in(body, pattern)
            ]
            await self._db.many("DELETE FROM dead_letters WHERE id = ?", own)
            number, last = number + len(own), rows[-1][0]
        return number

    async def _marks(self, table: str, marks: Keys) -> int:
        number = 0
        for seq, blob in await self._db.all(f"SELECT seq, keys FROM sound_{table}"):
            run = keys.from_bytes(blob)
            left = keys.without(run, marks)
            if len(left) < len(run):
                number += len(run) - len(left)
                await self._db.run(
                    f"UPDATE {table} SET keys = ? WHERE seq = ?", keys.to_bytes(left), seq
                )
        return number

    async def _cursors(self, address: str, removed: Removed) -> None:
        """Replaces cursors that name it; called once its contacts are gone."""
        pattern = _pattern(address)
        for table, key in CURSORS:
            for row_id, position in await self._db.all(
                f"SELECT {key}, position FROM sound_{table} WHERE instr(lower_case(position), ?)",
                address,
            ):
                if not pattern.search(position):
                    continue
                removed.cursors += 1
                await self._db.run(
                    f"UPDATE {table} SET position = ? WHERE {key} = ?",
                    await self._without(address, row_id, position),
                    row_id,
                )

    async def _without(self, address: str, list_id: int, position: str) -> str:
        """A cursor for the same place; where Listrak made it, the first one."""
        cursor = msgspec.json.decode(position)
        if cursor != ["lost", address]:
            return cursors.BEGUN
        row = await self._db.one(
            "SELECT ifnull(max(email), '') FROM sound_contacts WHERE list_id = ? AND email < ?",
            list_id,
            address,
        )
        return cursors.encode(cursors.ContactCursor("lost", row[0]))

    async def _texts(self, address: str, removed: Removed) -> None:
        """Takes it out of names, subjects and reasons, which are read again from Listrak."""
        pattern = _pattern(address)
        for table, column in TEXTS:
            for text, number in await self._db.all(
                f"SELECT {column}, count(*) FROM sound_{table}"
                f" WHERE instr(lower_case(ifnull({column}, '')), ?) GROUP BY {column}",
                address,
            ):
                without = pattern.sub(ERASED, text)
                if without != text:
                    removed.texts += number
                    await self._db.run(
                        f"UPDATE OR REPLACE {table} SET {column} = ?1 WHERE {column} = ?2",
                        without,
                        text,
                    )


def _pattern(address: str) -> re.Pattern[str]:
    """A pattern of the address in a longer text, but not as a part of another one."""
    return re.compile(rf"(?<![\w.+%'-]){re.escape(address)}(?![\w-]|\.\w)", re.IGNORECASE)


def _is_in(body: bytes, pattern: re.Pattern[str]) -> bool:
    """Tells whether the body of a dead letter, which may be anything, names an address."""
    text = body.decode(errors="replace")
    if pattern.search(text):
        return True
    try:
        # Escaped in the body. It takes halves of characters, too.
        return any(pattern.search(leaf) for leaf in _texts_of(json.loads(text)))
    except (ValueError, RecursionError):
        return False


def _leaves(value: Any) -> frozenset[str]:
    """All texts of a decoded event or row, in lower case."""
    return frozenset(_texts_of(value))


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.lower()
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key.lower()
            yield from _texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_of(inner)
