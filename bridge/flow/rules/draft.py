"""What a page of a look comes to, while it is filled in: many rows at once where that can be."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Generic, TypeVar

import msgspec

from bridge.flow.look import Look
from bridge.flow.page import Mapped, Share
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state import keys
from bridge.state.records import DeadLetter

Row = TypeVar("Row", bound=wire.Activity | wire.Clicker)


Item = TypeVar("Item")


def _between(least: Instant, instants: Sequence[Instant], bound: Instant) -> bool:
    return not instants or (least <= min(instants) and max(instants) < bound)


def _those(chosen: list[bool], items: list[Item]) -> list[Item]:
    return list(compress(items, chosen))


class Draft(Generic[Row]):
    """A page's rows, which dates and addresses tell apart, and what was found in them so far.

    `dates`: one a row, canonical. `wanted`: names of the events to send. `properties`: JSON text,
    the same for all events of the page. Rows go by their numbers.
    """

    def __init__(
        self,
        look: Look,
        rows: list[Row],
        dates: Sequence[str],
        origins: Sequence[wire.Origin] | None,
        *,
        zone: Zone,
        wanted: frozenset[str],
        properties: str,
    ) -> None:
        self.look = look
        self.rows = rows
        self.zone = zone
        self.mapped = Mapped()
        self._wanted = wanted
        self._origins = origins
        self._properties = properties
        self._buckets = look.buckets(dates)
        self._tails = [
            f"{date}\x1f{row.email_address or ''}".encode()
            for date, row in zip(dates, rows, strict=True)
        ]
        self.tracked = [
            number
            for number, bucket in enumerate(self._buckets)
            if look.floor <= bucket < look.ceiling
        ]
        self.mapped.filtered += len(rows) - len(self.tracked)

    def bucket(self, number: int) -> int:
        """What is known of a row is dropped together with what else is in its bucket."""
        return self._buckets[number]

    def fingerprint(self, head: str, number: int) -> Fingerprint:
        """Of what a row shows: `head` says what that is."""
        return events.digest(head.encode() + self._tails[number])

    def unknown(self, head: str, numbers: Sequence[int]) -> tuple[list[int], list[Fingerprint]]:
        """Those of the rows that show what wasn't known, with the fingerprints of it."""
        start, tails = head.encode(), self._tails
        found = [events.digest(start + tails[number]) for number in numbers]
        new = self.look.known.unknown(keys.heads(found))
        if len(new) == len(numbers):
            return list(numbers), found
        return [numbers[place] for place in new], [found[place] for place in new]

    def remember(
        self,
        name: str,
        number: int,
        fingerprint: Fingerprint,
        *,
        planned: bool = False,
        early: bool = False,
    ) -> None:
        """Known from now on: with the page's progress or, `planned`, before anything is sent."""
        share = self._share(planned)
        keys = share.withheld if early else share.keys
        keys[self._buckets[number]].append(fingerprint)
        share.seen[name] += 1

    def count_planned(self, name: str) -> None:
        """One more was seen of what is not remembered by a key."""
        self._share(True).seen[name] += 1

    def emit_dated(
        self,
        name: str,
        numbers: list[int],
        fingerprints: list[Fingerprint],
        dates: Sequence[str | None],
        *,
        own: bool,
    ) -> list[tuple[int, Fingerprint]]:
        """Events with dates in their rows, perhaps their `own`; what is early is filtered out.

        Returns what needs a closer look, one at a time; of that nothing is done yet.
        """
        if self._origins or not numbers:
            return list(zip(numbers, fingerprints, strict=True))
        emails = [self.rows[number].email_address or "" for number in numbers]
        instants = self.zone.instants(dates)
        closer: list[tuple[int, Fingerprint]] = []
        if "" in instants or not all(emails) or any(map(str.isspace, emails)):
            usual = [
                bool(instant and email.strip())
                for instant, email in zip(instants, emails, strict=True)
            ]
            odd = [not one for one in usual]
            closer = list(compress(zip(numbers, fingerprints, strict=True), odd))
            numbers, fingerprints = _those(usual, numbers), _those(usual, fingerprints)
            emails, instants = _those(usual, emails), _those(usual, instants)
        look = self.look
        dated = own or not look.previous
        if dated and not _between(look.horizon, instants, look.before):
            due = [look.horizon <= instant < look.before for instant in instants]
            early = [not one for one in due]
            kept = _those(early, fingerprints)
            self._remember_all(name, _those(early, numbers), kept, early=True)
            self._leave_out(name, len(kept))
            numbers, fingerprints = _those(due, numbers), _those(due, fingerprints)
            emails, instants = _those(due, emails), _those(due, instants)
        self._remember_all(name, numbers, fingerprints)
        self._emit_all(name, fingerprints, emails, instants)
        return closer

    def _remember_all(
        self,
        name: str,
        numbers: list[int],
        fingerprints: list[Fingerprint],
        *,
        early: bool = False,
    ) -> None:
        if fingerprints and self.look.message.kind == "broadcast":
            share = self.mapped.derived
            keys = share.withheld if early else share.keys
            keys[0] += fingerprints
            share.seen[name] += len(fingerprints)
            return
        for number, fingerprint in zip(numbers, fingerprints, strict=True):
            self.remember(name, number, fingerprint, early=early)

    def _emit_all(
        self,
        name: str,
        fingerprints: list[Fingerprint],
        emails: list[str],
        instants: list[Instant],
    ) -> None:
        if name not in self._wanted:
            self._leave_out(name, len(fingerprints))
            return
        if not fingerprints:
            return
        encoded = events.tracks(name, fingerprints, emails, instants, self._properties)
        if max(map(len, encoded)) > events.LARGEST_EVENT:
            for fingerprint, email, event in zip(fingerprints, emails, encoded, strict=True):
                self._put(name, email, fingerprint, event)
            return
        self.mapped.derived.events += encoded
        self.mapped.names[name] += len(encoded)

    def emit(
        self,
        name: str,
        number: int,
        fingerprint: Fingerprint,
        instant: Instant,
        *,
        early: bool,
        planned: bool,
        properties: str | None = None,
    ) -> None:
        """One event; an `early` one is filtered out, a `planned` one can't be made again."""
        if early or name not in self._wanted:
            self._leave_out(name, 1, planned=planned)
            return
        email = self.rows[number].email_address
        event = events.track(
            name,
            fingerprint,
            events.literal(email or ""),
            instant,
            properties or self._properties,
            self._origins[number] if self._origins else None,
        )
        self._put(name, email, fingerprint, event, planned=planned)

    def bury(
        self,
        name: str,
        number: int,
        fingerprint: Fingerprint,
        reason: str,
        *,
        planned: bool = False,
    ) -> None:
        """An event that can't be made: its row is kept, with the reason."""
        if name not in self._wanted:
            self._leave_out(name, 1, planned=planned)
            return
        body = msgspec.json.encode(self.rows[number])
        letter = DeadLetter(name, events.message_id(fingerprint), reason, body)
        self._share(planned).dead.append(letter)

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
        planned: bool = False,
    ) -> None:
        if reason := events.problem(email, event):
            letter = DeadLetter(name, events.message_id(fingerprint), reason, event)
            self._share(planned).dead.append(letter)
            return
        self._share(planned).events.append(event)
        self.mapped.names[name] += 1

    def _leave_out(self, name: str, number: int, *, planned: bool = False) -> None:
        """Events that are not to be sent."""
        self.mapped.filtered += number
        self._share(planned).unsent[name] += number

    def _share(self, planned: bool) -> Share:
        # What is looked up in the past comes out the same again: it need not be written down.
        return self.mapped.planned if planned and not self.look.past else self.mapped.derived
