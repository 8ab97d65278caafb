"""Once through everything that exists at this moment, or through all older history."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import anyio

from bridge.clock import SourceClock
from bridge.errors import BridgeError, MissingError, RefusedError, TemporaryError
from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.readers import Readers
from bridge.flow.requests import Requests
from bridge.flow.scans.survey import Survey
from bridge.flow.slots import Slots
from bridge.flow.source import SourceList
from bridge.state.records import Message
from bridge.telemetry import log

MOST_ROUNDS: Final = 5
"""Looks at one thing in a single catch-up: those resumed from before it are done once more."""


class CatchUp:
    """Reads all there is, several things at once, and ends."""

    def __init__(
        self,
        readers: Readers,
        ledger: Ledger,
        sources: Sequence[SourceList],
        clock: SourceClock,
        *,
        concurrency: int,
        track: float,
    ) -> None:
        self._readers = readers
        self._requests = Requests(ledger, readers.history)
        self._ledger = ledger
        self._sources = sources
        self._clock = clock
        self._slots = Slots(concurrency, [source.list_id for source in sources])
        self._track = track

    async def everything(self) -> None:
        """Finds everything that exists at this moment. Raises TemporaryError if some is left."""
        began = self._clock.now()
        failed: list[BridgeError] = []
        await self._requests.take()
        await self._readers.held.replay()
        # Contacts first: whoever is seen to have unsubscribed waits for the message behind it.
        for step in (self._contacts, self._messages):
            async with anyio.create_task_group() as tasks:
                for source in self._sources:
                    tasks.start_soon(self._attempt, step, source, began, failed)
        for source in self._sources:
            await self._readers.held.release(source, time.time())
        if failed:
            raise TemporaryError(f"not everything could be read, nothing is lost: {failed[0]}")

    async def history(self) -> None:
        """Brings the backfills that were asked for to their end."""
        await self._requests.take()
        await self._readers.held.replay()
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(self._history_of, source)

    async def _history_of(self, source: SourceList) -> None:
        async with self._slots.of(source.list_id):
            while await self._readers.history.read_next(source):
                pass

    async def _attempt(
        self,
        step: Callable[[SourceList, float, list[BridgeError]], Awaitable[None]],
        source: SourceList,
        began: float,
        failed: list[BridgeError],
    ) -> None:
        try:
            await step(source, began, failed)
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", list=source.list_id, reason=str(error))
            failed.append(error)

    async def _contacts(self, source: SourceList, began: float, _: list[BridgeError]) -> None:
        for _round in range(MOST_ROUNDS):
            async with self._slots.of(source.list_id):
                await self._readers.contacts.read(source, sweep=True)
            state = await self._ledger.store.list_state(source.list_id)
            if (state.swept_at or 0) >= began:
                break

    async def _messages(self, source: SourceList, began: float, failed: list[BridgeError]) -> None:
        async with self._slots.of(source.list_id):
            await self._readers.discovery.discover(source, everything=True)
        store, reader = self._ledger.store, self._readers.messages
        messages = await store.messages.tracked(source.list_id)
        for _round in range(MOST_ROUNDS):
            looks: list[_Begun] = []
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(self._message, message, source, looks, failed)
            await reader.flush()
            for look in looks:
                await look.completed.wait()
                reader.settled(look.survey)
            # One that was resumed shows what was true when it began.
            messages = [
                await store.messages.get(look.message) for look in looks if look.started_at < began
            ]
            if not messages:
                break
        for message in await store.messages.tracked(source.list_id):
            end = scheduler.sent_at(message) + self._track
            unread = message.looked_at is not None and message.looked_at < end
            if scheduler.is_over(message, self._track, began) and not unread:
                await reader.retire(message)

    async def _message(
        self,
        message: Message,
        source: SourceList,
        looks: list["_Begun"],
        failed: list[BridgeError],
    ) -> None:
        try:
            async with self._slots.of(source.list_id):
                survey = await self._readers.messages.ask(message, full=True)
                if survey is None:
                    return
                look = await self._readers.messages.read(survey, source)
        except MissingError as error:
            log.warning("message.missing", message=message.path, reason=str(error))
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", message=message.path, reason=str(error))
            failed.append(error)
        else:
            looks.append(_Begun(message.id, survey, look.started_at, look.completed))


class _Begun(NamedTuple):
    """A look that was read: not the look itself, whose keys are let go when it is complete."""

    message: int
    survey: Survey
    started_at: float
    completed: anyio.Event
