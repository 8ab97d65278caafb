"""The mapping of one page of a poll: many rows at once where that can be."""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from bridge.delays import Moments, moments
from bridge.event_types import TRACKS, UNSUBSCRIBED
from bridge.flow.mapping.dated_events import DatedEvents
from bridge.flow.mapping.mapped_page import EventSet, MappedPage
from bridge.flow.message_poll import MessagePoll
from bridge.listrak import wire
from bridge.listrak.origin import Origin
from bridge.listrak.pages import UnreadRow
from bridge.listrak.times import Instant, Zone
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state import keys
from bridge.state.records import DeadLetter

_FROM_ROWS: Final = frozenset(TRACKS) - {UNSUBSCRIBED}
"""Events that are made of rows; an unsubscribe's row only attributes it to a message."""

Row = TypeVar("Row", bound=wire.Activity | wire.Clicker)

MakeLetter = Callable[[Mapping[str, str], Any], DeadLetter]
"""A maker of dead letters, of what is wrong with which field, and of the row as it came."""


class RowEvent(NamedTuple):
    """An event that a row shows.

    name: of the event.
    number: of the row on its page.
    fingerprint: of what happened.
    """

    name: str
    number: int
    fingerprint: Fingerprint


class _Unread(NamedTuple):
    """The part of a row that can't be read.

    names: of events that depend on it.
    fields: what is wrong with each.
    """

    names: set[str]
    fields: dict[str, str]


class PageMapping(Generic[Row]):
    """The mapping of a page's rows, which go by their numbers.

    first_read: rows that are read the first time, where an earlier poll could not read all.
    dates: one a row, canonical; with the address it tells rows apart.
    origins: one a row, None where no row tells.
    wanted: names of the events to send.
    properties: JSON text, the same for all events of the page.
    """

    def __init__(
        self,
        poll: MessagePoll,
        rows: list[Row],
        dates: Sequence[str],
        origins: Sequence[Origin] | None,
        *,
        zone: Zone,
        wanted: frozenset[str],
        properties: str,
    ) -> None:
        self.poll = poll
        self.rows = rows
        self.zone = zone
        self.mapped = MappedPage()
        self.first_read: Collection[int] = ()
        self._unread: dict[int, _Unread] = {}
        self._wanted = wanted
        self._unwanted = _FROM_ROWS - wanted
        self._origins = origins
        self._properties = properties
        self._buckets = poll.buckets(dates)
        self._tails = [
            f"{date}\x1f{row.email_address or ''}".encode()
            for date, row in zip(dates, rows, strict=True)
        ]
        window = poll.window
        self.tracked = [
            number
            for number, bucket in enumerate(self._buckets)
            if window.floor <= bucket < window.ceiling
        ]
        self.mapped.filtered += len(rows) - len(self.tracked)

    def number_alike(self, ordinals: Sequence[int]) -> None:
        """Tells rows apart that look the same, by the number of each; the first keeps its id."""
        self._tails = [
            tail if ordinal == 1 else tail + f"\x1f{ordinal}".encode()
            for tail, ordinal in zip(self._tails, ordinals, strict=True)
        ]

    def bucket(self, number: int) -> int:
        """The bucket of a row; what is known of a bucket's rows is dropped together."""
        return self._buckets[number]

    def fingerprint(self, head: str, number: int) -> Fingerprint:
        """The fingerprint of an event that a row shows; `head` begins its identity."""
        return events.digest(head.encode() + self._tails[number])

    def unseen(self, head: str, numbers: Sequence[int]) -> tuple[list[int], list[Fingerprint]]:
        """The numbers of rows whose event wasn't seen before, with its fingerprints."""
        start, tails = head.encode(), self._tails
        fingerprints = [events.digest(start + tails[number]) for number in numbers]
        new = self.poll.seen.unseen(keys.heads(fingerprints))
        if len(new) == len(numbers):
            return list(numbers), fingerprints
        return [numbers[place] for place in new], [fingerprints[place] for place in new]

    def remember(self, event: RowEvent, *, journaled: bool = False, early: bool = False) -> None:
        """Makes an event count as seen: with the page's checkpoint, or with the journal."""
        saved = self._saved_with(journaled)
        by_bucket = self._keys_of(saved, event.name, early=early)
        by_bucket[self._buckets[event.number]].append(event.fingerprint)
        saved.seen[event.name] += 1

    def count_journaled(self, name: str) -> None:
        """Counts one more journaled event that has no key."""
        self._saved_with(True).seen[name] += 1

    def emit_dated(
        self,
        name: str,
        numbers: list[int],
        fingerprints: list[Fingerprint],
        dates: Sequence[str | None],
        *,
        own: bool,
    ) -> list[RowEvent]:
        """Makes events that have dates in their rows; early ones are filtered out.

        own: the date is the event's own, and not perhaps that of another activity.

        Returns the odd ones, to be mapped one at a time; nothing is done for them yet.
        """
        if self._origins or self.first_read or not numbers:
            return list(map(RowEvent, repeat(name), numbers, fingerprints))
        emails = [self.rows[number].email_address or "" for number in numbers]
        instants = self.zone.instants(dates)
        dated = DatedEvents(numbers, fingerprints, emails, instants)
        closer: list[RowEvent] = []
        if "" in instants or not all(emails) or any(map(str.isspace, emails)):
            usual = [
                bool(instant and email.strip())
                for instant, email in zip(instants, emails, strict=True)
            ]
            odd = dated.those([not one for one in usual])
            closer = list(map(RowEvent, repeat(name), odd.numbers, odd.fingerprints))
            dated = dated.those(usual)
        window, happened = self.poll.window, dated.moments()
        first, end = window.horizon, window.end_of(name)
        counts = own or not window.previous
        if counts and not dated.are_between(happened, first, end):
            due = [first <= instant < end for instant in dated.instants]
            early = dated.those([not one for one in due])
            self._remember_all(name, early, early=True)
            self._leave_out(name, len(early.numbers))
            dated, happened = dated.those(due), happened[due]
        self._remember_all(name, dated)
        self._emit_all(name, dated, happened)
        return closer

    def _remember_all(self, name: str, dated: DatedEvents, *, early: bool = False) -> None:
        if dated.fingerprints and self.poll.message.kind == "broadcast":
            saved = self.mapped.reproducible
            by_bucket = self._keys_of(saved, name, early=early)
            by_bucket[0] += dated.fingerprints
            saved.seen[name] += len(dated.fingerprints)
            return
        for number, fingerprint in zip(dated.numbers, dated.fingerprints, strict=True):
            self.remember(RowEvent(name, number, fingerprint), early=early)

    def _emit_all(self, name: str, dated: DatedEvents, happened: Moments) -> None:
        numbers, fingerprints, emails, instants = dated
        if name not in self._wanted:
            self._leave_out(name, len(fingerprints))
            return
        if not fingerprints:
            return
        encoded = events.tracks(name, fingerprints, emails, instants, self._properties)
        if max(map(len, encoded)) > events.LARGEST_EVENT:
            fit = [
                self._put(name, email, fingerprint, event)
                for fingerprint, email, event in zip(fingerprints, emails, encoded, strict=True)
            ]
            self.mapped.dates.add(name, dated.those(fit).numbers, happened[fit])
            return
        self.mapped.reproducible.events += encoded
        self.mapped.names[name] += len(encoded)
        self.mapped.dates.add(name, numbers, happened)

    def emit(
        self,
        event: RowEvent,
        instant: Instant,
        *,
        early: bool,
        journaled: bool,
        properties: str | None = None,
    ) -> bool:
        """Makes one event; tells whether it can be sent.

        early: it is filtered out.
        journaled: it can't be made again, as it has no date of its own.
        properties: JSON text, where they aren't those of the page.
        """
        if early or event.name not in self._wanted:
            self._leave_out(event.name, 1, journaled=journaled)
            return False
        email = self.rows[event.number].email_address
        encoded = events.Track(
            event.name,
            event.fingerprint,
            events.literal(email or ""),
            instant,
            properties or self._properties,
            self._origins[event.number] if self._origins else None,
        ).encode()
        can_be_sent = self._put(event.name, email, event.fingerprint, encoded, journaled=journaled)
        if can_be_sent and not journaled:
            self.mapped.dates.add(event.name, [event.number], moments([instant]))
        return can_be_sent

    def is_wanted(self, name: str) -> bool:
        """Tells whether events of a name are to be sent."""
        return name in self._wanted

    def note_unread(self, name: str, number: int, field: str, what: str) -> None:
        """Notes that a row's event can't be made, as a field that it depends on can't be read.

        It doesn't count as seen.
        """
        noted = self._unread.setdefault(number, _Unread(set(), {}))
        noted.names.add(name)
        noted.fields.setdefault(field, what)

    def leave_unread_rows(self) -> None:
        """Leaves out the rows that were noted so far, with all that they show."""
        if self._unread:
            for noted in self._unread.values():
                noted.names.update(_FROM_ROWS)
            self.tracked = [number for number in self.tracked if number not in self._unread]

    def close(self, unread: Sequence[UnreadRow], letter_of: MakeLetter) -> MappedPage:
        """The result: with a dead letter for each row that was noted, or can't be read at all.

        unread: rows that were not read as they should be.
        """
        by_number = {row.number: row for row in unread}
        for number, (names, fields) in self._unread.items():
            if not names & self._wanted:
                self.mapped.filtered += 1
                continue
            row = by_number.get(number)
            if row is None:
                raw = msgspec.to_builtins(self.rows[number])
            else:
                raw = row.raw
                fields.update(row.fields)
            self.mapped.unread.append(letter_of(fields, raw))
        lost = [row for row in unread if row.number is None]
        self.mapped.unread += [letter_of(row.fields, row.raw) for row in lost]
        return self.mapped

    def reject(self, event: RowEvent, reason: str, *, journaled: bool = False) -> None:
        """Makes a dead letter of an event that can't be made: its row is kept, with the reason."""
        if event.name not in self._wanted:
            self._leave_out(event.name, 1, journaled=journaled)
            return
        body = msgspec.json.encode(self.rows[event.number])
        letter = DeadLetter(event.name, events.message_id(event.fingerprint), reason, body)
        self._saved_with(journaled).dead.append(letter)

    def carrying(self, more: Mapping[str, str | None]) -> "PageMapping[Row]":
        """A mapping of the same page, into the same result, whose events carry more properties."""
        other = copy.copy(self)
        other._properties = events.merged(self._properties, more)
        return other

    def with_properties(self, more: Mapping[str, float]) -> str:
        """The page's properties with more of them."""
        return events.merged(self._properties, more)

    def _put(
        self,
        name: str,
        email: str | None,
        fingerprint: Fingerprint,
        event: bytes,
        *,
        journaled: bool = False,
    ) -> bool:
        if reason := events.problem(email, event):
            letter = DeadLetter(name, events.message_id(fingerprint), reason, event)
            self._saved_with(journaled).dead.append(letter)
            return False
        self._saved_with(journaled).events.append(event)
        self.mapped.names[name] += 1
        return True

    def _keys_of(self, saved: EventSet, name: str, *, early: bool) -> dict[int, list[Fingerprint]]:
        """The keys that those of an event belong to."""
        if early:
            return saved.withheld
        return saved.unwanted if name in self._unwanted else saved.keys

    def _leave_out(self, name: str, number: int, *, journaled: bool = False) -> None:
        """Counts events that are not to be sent."""
        self.mapped.filtered += number
        self._saved_with(journaled).unsent[name] += number

    def _saved_with(self, journaled: bool) -> EventSet:
        # A backfill's events are reproducible: they need not be journaled.
        reproducible = not journaled or self.poll.backfill is not None
        return self.mapped.reproducible if reproducible else self.mapped.journaled
