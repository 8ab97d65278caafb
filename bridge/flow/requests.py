"""Takes up what was requested from outside, while the service ran or before."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge import spool
from bridge.flow.ledger import Ledger
from bridge.flow.readers.backfill import BackfillReader
from bridge.flow.source import SourceList
from bridge.logs import log
from bridge.state.records import Message
from bridge.state.store import Store


class RequestedWork(NamedTuple):
    """The work that was requested.

    messages: to be polled in full.
    lists: ids of lists with a backfill to do.
    """

    messages: list[Message]
    lists: list[int]


class Requests:
    """The requests beside the state file."""

    def __init__(
        self, ledger: Ledger, backfill: BackfillReader, sources: Sequence[SourceList]
    ) -> None:
        self._ledger = ledger
        self._backfill = backfill
        self._sources = {source.list_id: source for source in sources}

    async def take(self) -> RequestedWork:
        """Notes in the state file what was requested; what is no request is put aside."""
        rescan, lists = False, list[int]()
        for place, request in spool.waiting(self._ledger.store.path):
            match request:
                case spool.Invalid(reason):
                    log.error("request.refused", file=str(spool.refuse(place)), reason=reason)
                case spool.Repair(messages):
                    await self._ledger.commit(partial(_request_rescan, messages))
                    self._done(place, messages=len(messages))
                    rescan = True
                case spool.Backfill(list_id=list_id) if list_id not in self._sources:
                    # It rests for now: the request waits for it.
                    continue
                case spool.Backfill(list_id, since, events, warehouse_only):
                    begun = await self._backfill.begin(
                        self._sources[list_id],
                        since,
                        "events" if events else "history",
                        warehouse_only=warehouse_only,
                    )
                    self._done(place, list=list_id, since=since, begun=begun)
                    lists.append(list_id)
        tracked = await self._ledger.store.messages.tracked() if rescan else []
        return RequestedWork([message for message in tracked if message.rescan_requested], lists)

    def _done(self, place: Path, **details: object) -> None:
        spool.done(place)
        log.info("request.taken", **details)


async def _request_rescan(messages: list[int], store: Store) -> None:
    await store.messages.request_rescan(messages)
