"""Watches which of the configured lists the account has: at the start, and now and then later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import anyio

from bridge.clients import PATIENCE_ONCE, RETRY_DEADLINE_AT_START, RETRY_DEADLINE_ONCE
from bridge.environment.values import ListSetting
from bridge.errors import BridgeError, CredentialsError, RefusedError, TemporaryError
from bridge.flow.scheduling import schedule
from bridge.flow.set_aside import SetAside
from bridge.flow.source import KnownList, ResolvedLists, resolve
from bridge.listrak.client import Listrak
from bridge.output.logs import log
from bridge.state.set_aside import Part
from bridge.transport.retry import retry

Tell = Callable[[Mapping[int, BridgeError]], None]
"""Takes the problems of the lists that can't be read, by list id; none for all can."""


class ListWatch:
    """The configured lists, as the account has them by now.

    known: by list id, as it was last read.
    """

    def __init__(
        self,
        listrak: Listrak,
        wanted: Sequence[ListSetting],
        known: Mapping[int, KnownList],
        set_aside: SetAside,
    ) -> None:
        self._listrak = listrak
        self._wanted = wanted
        self._known = known
        self._set_aside = set_aside

    async def at_start(self, *, once: bool, worked_before: bool) -> ResolvedLists | None:
        """The lists; None if Listrak can't be reached for now, unless all is to be done `once`.

        A refusal, of the credentials or of the request, ends a first start, as a person is there to
        see it. A service that worked before waits instead: Listrak may accept them again by itself,
        and what it misses counts as gone once two answers say so. Of the lists that can't be read
        the problems are told, whoever they end.
        """
        asking = self._listrak.with_deadline(
            RETRY_DEADLINE_ONCE if once else RETRY_DEADLINE_AT_START,
            patience=PATIENCE_ONCE if once else 0.0,
            give_up_on=(CredentialsError,),
        )
        try:
            return await (self._surely if worked_before else self._resolve)(asking)
        except (TemporaryError, RefusedError) as error:
            final = isinstance(error, CredentialsError | RefusedError)
            if once or (final and not worked_before):
                raise
            log.warning("bridge.source_unreachable", reason=str(error))
            return None

    async def insist(self, tell: Tell) -> ResolvedLists:
        """The lists, after retries until Listrak answers, and tells enough of at least one."""
        asking = self._listrak.with_deadline(RETRY_DEADLINE_AT_START)

        def on_wait(error: TemporaryError, seconds: float) -> None:
            log.warning("bridge.source_unreachable", seconds=round(seconds, 1), reason=str(error))

        async def attempt() -> ResolvedLists:
            try:
                lists = await self._surely(asking)
            except RefusedError as error:
                raise TemporaryError(str(error)) from error
            if must_wait(lists):
                tell(lists.problems)
                raise next(iter(lists.passing.values()))
            return lists

        return await retry(attempt, deadline=None, on_wait=on_wait)

    async def others(
        self, lists: ResolvedLists, stop: anyio.Event, tell: Tell
    ) -> ResolvedLists | None:
        """The lists that can be read, once these are others; None after a stop."""
        asking = self._listrak.with_deadline(RETRY_DEADLINE_AT_START)
        while not stop.is_set():
            passing = bool(lists.passing)
            with anyio.move_on_after(
                schedule.LIST_RETRY_INTERVAL if passing else schedule.LIST_CHECK_INTERVAL
            ):
                await stop.wait()
            if stop.is_set():
                break
            try:
                found = (await self._surely(asking)).as_before(lists)
            except BridgeError as error:
                log.warning("lists.unknown", reason=str(error))
                continue
            if found.found and found.key != lists.key:
                return found
            # Where none is left, it may rather be the answer that is wrong: what is read goes on.
            tell(found.problems)
            lists = replace(lists, problems=found.problems)
        return None

    async def _resolve(self, listrak: Listrak) -> ResolvedLists:
        lists = await resolve(listrak, self._wanted, self._known)
        for source in lists.found:
            part = Part(source.list_id, "profile fields")
            if (error := lists.unverified.get(source.list_id)) is not None:
                self._set_aside.failed(part, error)
            else:
                self._set_aside.recovered(part)
        return lists

    async def _surely(self, listrak: Listrak) -> ResolvedLists:
        """The lists; what is missing is asked for twice, as an answer may be empty for once."""
        lists = await self._resolve(listrak)
        if len(lists.passing) == len(lists.problems):
            return lists
        await anyio.sleep(schedule.LIST_DOUBT_INTERVAL)
        return lists.confirmed(await self._resolve(listrak))


def must_wait(lists: ResolvedLists) -> bool:
    """Tells whether no list can be read, but that may pass by itself."""
    return not lists.found and bool(lists.passing)
