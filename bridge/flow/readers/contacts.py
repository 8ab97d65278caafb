"""Reads a list's contacts: all of them, or those who came or left lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from anyio.abc import ObjectSendStream

from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.page import ContactPage, Flush, Page, Tally
from bridge.flow.readers.restart import read_from
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, Zone
from bridge.pacing import Urgency
from bridge.segment import events
from bridge.state.keys import KnownKeys, heads
from bridge.state.records import Position

CHUNK: Final = 1000
"""Known contacts that are compared with a sweep at once."""


@dataclass
class _Reading:
    """One look at a list's contacts; `previous` is the start of the one before."""

    source: SourceList
    sweep: bool
    tally: Tally
    listrak: Listrak
    previous: Instant = ""


class ContactReader:
    """Sends the pages of looks at contacts on. Raises what the Listrak client raises."""

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        zone: Zone,
        pages: ObjectSendStream[Page],
        *,
        horizon: Instant,
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._zone = zone
        self._pages = pages
        self._horizon = horizon

    async def is_sweep_next(self, source: SourceList) -> bool:
        """Whether all contacts are to be read next: that has begun already, or it is time."""
        store = self._ledger.store
        begun = await store.contacts.look(source.list_id)
        state = await store.list_state(source.list_id)
        time_has_come = scheduler.sweep_due(state, self._listrak.clock.now())
        return time_has_come or (begun is not None and begun[0])

    async def read(self, source: SourceList, *, sweep: bool) -> None:
        """Reads a list's contacts: all of them, or those who came or left lately."""
        store = self._ledger.store
        begun = await store.contacts.look(source.list_id)
        if begun is None or (sweep and not begun[0]):
            started = self._listrak.clock.now()
            await self._ledger.write(
                lambda store: store.contacts.begin_look(source.list_id, started, sweep=sweep)
            )
            begun = (sweep, started, [])
        sweep, _, position = begun
        listrak = self._listrak.with_urgency(Urgency.WHOLE) if sweep else self._listrak
        reading = _Reading(source, sweep, Tally(), listrak)
        previous = (await store.list_state(source.list_id)).contacts_at
        reading.previous = times.from_seconds(previous) if previous else ""
        await read_from(
            position,
            lambda position: self._read_contacts(reading, position),
            f"contacts of list {source.list_id}",
        )
        await self._ledger.write(lambda store: store.contacts.complete_look(source.list_id))

    async def _read_contacts(self, reading: _Reading, position: Position) -> None:
        stage, cursor = position or ["Subscribed", wire.START]
        reach = scheduler.OVERLAP
        recent = reading.previous and times.from_seconds(times.seconds(reading.previous) - reach)
        since_horizon = times.from_seconds(times.seconds(self._horizon) - scheduler.DAY)
        if stage == "Subscribed":
            start = None if reading.sweep or not recent else self._zone.naive(recent)
            await self._read_state(reading, "Subscribed", str(cursor), start)
            stage, cursor = "Unsubscribed", wire.START
        if stage == "Unsubscribed":
            start = self._zone.naive(since_horizon if reading.sweep or not recent else recent)
            await self._read_state(reading, "Unsubscribed", str(cursor), start)
            stage, cursor = "lost", ""
        if stage == "lost" and reading.sweep:
            await self._find_lost(reading, str(cursor))

    async def _read_state(
        self, reading: _Reading, state: str, cursor: str, start: str | None
    ) -> None:
        following: Position = (
            ["Unsubscribed", wire.START] if state == "Subscribed" else ["lost", ""]
        )
        source = reading.source
        more: str | None = cursor
        while more is not None:
            page = await reading.listrak.contacts(
                source.list_id, state, more, source.field_id, start
            )
            more = page.next_cursor
            position: Position = [state, more] if more else following
            await self._send(reading, position, page.rows, subscribed=state == "Subscribed")
        # The next stage compares with what this one found, and no two identifies of a contact are
        # on their way at once.
        await self._settle(reading)

    async def _find_lost(self, reading: _Reading, after: str) -> None:
        """Contacts known as subscribed that the sweep did not meet, each asked for by itself.

        A sweep alone proves nothing: its pages shift while it goes on, and may come back empty.
        """
        source = reading.source
        store = self._ledger.store
        met = KnownKeys(await store.contacts.met(source.list_id))
        while emails := await store.contacts.subscribed_after(source.list_id, after, CHUNK):
            after = emails[-1]
            unmet = met.unknown(heads([events.digest(email.encode()) for email in emails]))
            rows: list[wire.Contact] = []
            lost: list[str] = []
            for email in (emails[place] for place in unmet):
                if email:
                    row = await reading.listrak.contact(source.list_id, email, source.field_id)
                    if row is None:
                        lost.append(email)
                    else:
                        # As it is known here, whatever case the answer spells it in.
                        row.email_address = email
                        rows.append(row)
            await self._send(reading, ["lost", after], rows, lost=lost)
        await self._settle(reading)

    async def _settle(self, reading: _Reading) -> None:
        """Waits until Segment has what was sent on so far."""
        await self._pages.send(Flush())
        await reading.tally.empty()

    async def _send(
        self,
        reading: _Reading,
        position: Position,
        rows: list[wire.Contact],
        *,
        subscribed: bool = True,
        lost: Sequence[str] = (),
    ) -> None:
        reading.tally.enter()
        await self._pages.send(
            ContactPage(
                list_id=reading.source.list_id,
                tally=reading.tally,
                horizon=self._horizon,
                previous=reading.previous,
                position=position,
                rows=rows,
                lost=list(lost),
                field_id=reading.source.field_id,
                subscribed=subscribed,
                sweep=reading.sweep,
            )
        )
