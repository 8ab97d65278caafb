"""A catch-up: reads everything that exists at this moment, or all of an errand, once."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import anyio

from bridge import clock
from bridge.errors import BridgeError, MissingError, RefusedError, TemporaryError
from bridge.flow.context import PollLimits, ReaderContext
from bridge.flow.isolation import Isolation
from bridge.flow.readers import ErrandKind, Readers
from bridge.flow.requests import Requests
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.slots import Slots
from bridge.flow.source import SourceList
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.state.records import Message

MOST_ROUNDS: Final = 5
"""Polls of one message, or list, in a catch-up: one resumed from before it is repeated."""

_Failure = tuple[int, BridgeError]
"""The id of a list, and what failed in it."""


class CatchUp:
    """Reads everything, several lists and messages at once, and ends."""

    def __init__(
        self, readers: Readers, context: ReaderContext, metrics: Metrics, limits: PollLimits
    ) -> None:
        self._readers = readers
        self._ledger = context.ledger
        self._clock = context.listrak.clock
        self._sources = context.scope.sources
        self._track = context.scope.track
        self._requests = Requests(context.ledger, readers, context.scope.sources)
        self._isolation = Isolation(metrics)
        self._slots = Slots(limits.concurrency, [source.list_id for source in self._sources])

    async def everything(self) -> None:
        """Reads everything that exists at this moment. Raises TemporaryError if some is left."""
        began = self._clock.now()
        failed: list[_Failure] = []
        await self._requests.take()
        await self._readers.outbox.replay()
        # Contacts first: their unsubscribes wait for the messages that they are attributed to.
        for step in (self._contacts, self._messages, self._identify_all):
            async with anyio.create_task_group() as tasks:
                for source in self._sources:
                    tasks.start_soon(self._attempt, step, source, began, failed)
        incomplete = {list_id for list_id, _ in failed}
        for source in self._sources:
            # Where a message couldn't be read it may be the one that they came through.
            waited = schedule.LONGEST_ATTRIBUTION_WAIT if source.list_id in incomplete else 0
            await self._readers.unsubscribes.release(source, clock.wall_time() - waited)
        for _, error in failed:
            raise TemporaryError(f"not everything could be read, nothing is lost: {error}")

    async def errand(self, errand: ErrandKind) -> None:
        """Brings what was requested of an errand to its end."""
        failed: list[_Failure] = []
        await self._requests.take()
        await self._readers.outbox.replay()

        async def step(source: SourceList, _: float, __: list[_Failure]) -> None:
            await self._to_the_end(errand, source)

        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(self._attempt, step, source, 0.0, failed)
        for _, error in failed:
            raise error

    async def _to_the_end(self, errand: ErrandKind, source: SourceList) -> None:
        reader = self._readers.of_errand(errand)
        async with self._slots.of(source.list_id):
            while await reader.read_next(source):
                pass

    async def _identify_all(self, source: SourceList, _: float, __: list[_Failure]) -> None:
        await self._to_the_end("identify", source)

    async def _attempt(
        self,
        step: Callable[[SourceList, float, list[_Failure]], Awaitable[None]],
        source: SourceList,
        began: float,
        failed: list[_Failure],
    ) -> None:
        try:
            await step(source, began, failed)
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", list=source.list_id, reason=str(error))
            failed.append((source.list_id, error))
        except Exception as error:  # noqa: BLE001  (it is raised again where it is one of ours)
            name = step.__name__.strip("_")
            failed.append(self._set_aside((name, source.list_id, source.list_id), error))

    def _set_aside(self, piece: tuple[str, int, int], error: Exception) -> _Failure:
        self._isolation.note(piece, error)
        return piece[1], TemporaryError(f"an unexpected error, which stands in the log: {error!r}")

    async def _contacts(self, source: SourceList, began: float, _: list[_Failure]) -> None:
        for _round in range(MOST_ROUNDS):
            async with self._slots.of(source.list_id):
                await self._readers.contacts.read(source, sweep=True)
            state = await self._ledger.store.lists.state(source.list_id)
            if (state.swept_at or 0) >= began:
                break

    async def _messages(self, source: SourceList, began: float, failed: list[_Failure]) -> None:
        async with self._slots.of(source.list_id):
            await self._readers.discovery.discover(source, everything=True)
        store = self._ledger.store
        messages = await store.messages.tracked(source.list_id)
        for _round in range(MOST_ROUNDS):
            polls: list[_OpenPoll] = []
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(self._message, message, source, polls, failed)
            await self._readers.messages.flush()
            for poll in polls:
                await poll.completed.wait()
            # A resumed poll shows what was true when it began, so it is repeated.
            messages = [
                await store.messages.get(poll.message) for poll in polls if poll.started_at < began
            ]
            if not messages:
                break
        for message in await store.messages.tracked(source.list_id):
            end = schedule.sent_at(message) + self._track
            unread = message.polled_at is not None and message.polled_at < end
            if schedule.is_over(message, self._track, began) and not unread:
                await self._readers.messages.untrack(message)

    async def _message(
        self,
        message: Message,
        source: SourceList,
        polls: list["_OpenPoll"],
        failed: list[_Failure],
    ) -> None:
        try:
            async with self._slots.of(source.list_id):
                planned = await self._readers.messages.plan(message, full=True)
                if planned is None:
                    return
                poll = await self._readers.messages.read(planned, source)
        except MissingError as error:
            log.warning("message.missing", message=message.path, reason=str(error))
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", message=message.path, reason=str(error))
            failed.append((source.list_id, error))
        except Exception as error:  # noqa: BLE001  (it is raised again where it is one of ours)
            failed.append(self._set_aside(("message", source.list_id, message.id), error))
        else:
            polls.append(_OpenPoll(message.id, poll.started_at, poll.completed))


class _OpenPoll(NamedTuple):
    """The end of a poll that was read, without its keys, which are freed when it is complete.

    message: its row.
    started_at: seconds since 1970.
    completed: set when the end is on disk.
    """

    message: int
    started_at: float
    completed: anyio.Event
