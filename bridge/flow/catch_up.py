"""A catch-up: reads everything that exists at this moment, or all of an errand, once."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final, NamedTuple, get_args

import anyio

from bridge import clock
from bridge.errors import MissingError, PageError, TemporaryError, is_isolated
from bridge.flow.channel import Channel
from bridge.flow.context import PollLimits, ReaderContext
from bridge.flow.page_failure import PageFailure
from bridge.flow.readers import ErrandKind, Readers
from bridge.flow.requests import Requests
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.slots import Slots
from bridge.flow.source import SourceList
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.state.records import Message
from bridge.state.set_aside import LISTING_KINDS, MESSAGE_KINDS, Part, PartKind

MOST_ROUNDS: Final = 5
"""Polls of one message, or list, in a catch-up: one resumed from before it is repeated."""

NOT_LEFT_OUT: Final[tuple[PartKind, ...]] = (
    *("summary", "details", "campaigns", "profile fields"),
    *("backfill", "backfill message", "unsubscribes"),
)
"""Parts that a catch-up leaves out no event of: counters, names, and what isn't for it to read."""

ATTRIBUTING: Final[tuple[PartKind, ...]] = (*LISTING_KINDS, "discovery", "message")
"""Parts of which unsubscribes wait for the messages that they are attributed to."""

MOST_NAMED: Final = 10
"""Parts that are named one by one where some are left out."""


class CatchUp:
    """Reads everything, several lists and messages at once, and ends."""

    def __init__(
        self, readers: Readers, context: ReaderContext, metrics: Metrics, limits: PollLimits
    ) -> None:
        self._readers = readers
        self._completions = metrics.completions
        self._ledger = context.ledger
        self._clock = context.listrak.clock
        self._set_aside = context.set_aside
        self._sources = context.scope.sources
        self._track = context.scope.track
        self._requests = Requests(context.ledger, readers, context.scope.sources)
        self._slots = Slots(limits.concurrency, [source.list_id for source in self._sources])
        # With the reasons.
        self._failed: dict[Part, str] = {}
        self._unsent = ""

    async def everything(self) -> None:
        """Reads everything that exists at this moment. Raises TemporaryError if some is left."""
        began = self._clock.now()
        await self._requests.take()
        identifies = await self._replay_identifies()
        await self._readers.outbox.replay(Channel.TRACKS)
        # Contacts first: their unsubscribes wait for the messages that they are attributed to.
        if identifies:
            await self._of_each_list("contacts", lambda source: self._contacts(source, began))
        await self._of_each_list("discovery", lambda source: self._messages(source, began))
        if identifies:
            await self._of_each_list(
                "identify", lambda source: self._to_the_end("identify", source)
            )
        self._note_all(set(get_args(PartKind)).difference(NOT_LEFT_OUT))
        incomplete = {part.list_id for part in self._failed if part.kind in ATTRIBUTING}

        async def release(source: SourceList) -> None:
            # Where a message couldn't be read it may be the one that they came through.
            waited = schedule.LONGEST_ATTRIBUTION_WAIT if source.list_id in incomplete else 0
            noted_by = self._ledger.store.waiting.now() - waited
            await self._readers.unsubscribes.release(source, noted_by)

        await self._of_each_list("unsubscribes", release)
        self._raise_for_failures()
        if aside := await self._readers.outbox.events_set_aside():
            raise TemporaryError(
                f"{aside} events wait, as Segment fails on them while it takes others; nothing is "
                "lost, they are sent again by the next run"
            )

    async def _replay_identifies(self) -> bool:
        """Sends the outbox's identifies; False if they must wait, and later ones behind them."""
        try:
            await self._readers.outbox.replay(Channel.IDENTIFIES)
        except TemporaryError as error:
            log.error("catch_up.failed", reason=str(error))
            self._unsent = str(error)
            return False
        return True

    async def errand(self, errand: ErrandKind) -> None:
        """Brings what was requested of an errand to its end. Raises TemporaryError as above."""
        await self._requests.take()
        for channel in Channel:
            await self._readers.outbox.replay(channel)
        await self._of_each_list(errand, lambda source: self._to_the_end(errand, source))
        if errand == "backfill":
            self._note_all(["backfill message"])
        self._raise_for_failures()

    def _note_all(self, kinds: Collection[PartKind]) -> None:
        """Counts what is set aside as failed, of some kinds."""
        for source in self._sources:
            for record in self._set_aside.records(source.list_id, kinds):
                self._failed.setdefault(record.part, record.reason)

    async def _of_each_list(
        self, kind: PartKind, step: Callable[[SourceList], Awaitable[None]]
    ) -> None:
        """Does a step for all lists, side by side: one that fails holds up no other."""

        async def attempt(source: SourceList) -> None:
            part = Part(source.list_id, kind)
            try:
                await step(source)
            except Exception as error:  # noqa: BLE001  (what ends the run is raised again)
                self._note(part, error)
            else:
                self._set_aside.recovered(part)

        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(attempt, source)

    def _note(self, part: Part, error: Exception) -> None:
        """Notes a failure; raises it where it ends the run."""
        if is_isolated(error):
            self._set_aside.failed(part, error)
            reason = self._set_aside.reason(part)
        elif isinstance(error, TemporaryError):
            reason = str(error)
        else:
            raise error
        log.error("catch_up.failed", list=part.list_id, part=part.name, reason=reason)
        self._failed[part] = reason

    def _raise_for_failures(self) -> None:
        failed = [
            f"{part.name} of list {part.list_id}: {why}" for part, why in self._failed.items()
        ]
        if self._unsent:
            failed.insert(0, f"identifies saved before: {self._unsent}")
        if not failed:
            return
        named, more = "; ".join(failed[:MOST_NAMED]), len(failed) - MOST_NAMED
        also = f"; and {more} more" if more > 0 else ""
        raise TemporaryError(
            f"not everything could be read and sent, nothing is lost: {named}{also}"
        )

    async def _to_the_end(self, errand: ErrandKind, source: SourceList) -> None:
        reader = self._readers.of_errand(errand)
        async with self._slots.of(source.list_id):
            while await reader.read_next(source):
                pass

    async def _contacts(self, source: SourceList, began: float) -> None:
        for _round in range(MOST_ROUNDS):
            async with self._slots.of(source.list_id):
                await self._readers.contacts.read(source, sweep=True)
            state = await self._ledger.store.lists.state(source.list_id)
            if (state.swept_at or 0) >= began:
                break

    async def _messages(self, source: SourceList, began: float) -> None:
        began_here = clock.boot_time()
        async with self._slots.of(source.list_id):
            await self._readers.discovery.discover(source, everything=True)
        store = self._ledger.store
        messages = await store.messages.tracked(source.list_id)
        for _round in range(MOST_ROUNDS):
            polls: list[_OpenPoll] = []
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(self._message, message, source, polls)
            await self._readers.messages.flush()
            complete = [poll for poll in polls if await self._is_complete(poll)]
            # A resumed poll shows what was true when it began, so it is repeated.
            messages = [
                await store.messages.get(poll.message)
                for poll in complete
                if poll.started_at < began
            ]
            if not messages:
                self._note_read(source.list_id, began_here)
                break
        for message in await store.messages.tracked(source.list_id):
            end = schedule.sent_at(message) + self._track
            unread = message.polled_at is not None and message.polled_at < end
            if schedule.is_over(message, self._track, began) and not (
                unread or self._is_left(message)
            ):
                await self._readers.messages.untrack(message)

    def _note_read(self, list_id: int, began: float) -> None:
        """Notes that all messages of a list are read, unless anything of them is left."""
        left = any(part.list_id == list_id and part.kind == "message" for part in self._failed)
        if not left and not self._set_aside.records(list_id, MESSAGE_KINDS):
            self._completions.complete(list_id, "messages", began)

    async def _is_complete(self, poll: "_OpenPoll") -> bool:
        """Waits for the end of a poll; tells whether it is complete, else it is noted."""
        await poll.completed.wait()
        try:
            poll.failure.check()
        except PageError as error:
            self._note(poll.part, error)
            return False
        self._set_aside.recovered(poll.part)
        return True

    def _is_left(self, message: Message) -> bool:
        """Tells whether a message could not be read to its end: it stays until it is."""
        part = Part(message.list_id, "message", message.path)
        return (
            part in self._failed
            or self._set_aside.may_return(part)
            or self._set_aside.is_unread(message.list_id, message.path)
        )

    async def _message(
        self, message: Message, source: SourceList, polls: list["_OpenPoll"]
    ) -> None:
        part = Part(message.list_id, "message", message.path)
        try:
            async with self._slots.of(source.list_id):
                planned = await self._readers.messages.plan(message, full=True)
                if planned is None:
                    return
                poll = await self._readers.messages.read(planned, source)
        except MissingError as error:
            log.warning("message.missing", message=message.path, reason=str(error))
            self._set_aside.lack(part)
        except Exception as error:  # noqa: BLE001  (what ends the run is raised again)
            self._note(part, error)
        else:
            polls.append(_OpenPoll(message.id, part, poll.started_at, poll.completed, poll.failure))


class _OpenPoll(NamedTuple):
    """The end of a poll that was read, without its keys, which are freed when it is complete.

    message: its row.
    started_at: seconds since 1970.
    completed: set when the end is on disk, or never will be, as `failure` tells.
    """

    message: int
    part: Part
    started_at: float
    completed: anyio.Event
    failure: PageFailure
