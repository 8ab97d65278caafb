"""Takes up what was requested from outside, while the service ran or before."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge import spool
from bridge.flow.ledger import Ledger
from bridge.flow.readers import Readers
from bridge.flow.source import SourceList
from bridge.output.logs import log
from bridge.state.records import Message
from bridge.state.store import Store


class RequestedWork(NamedTuple):
    """The work that was requested.

    messages: to be polled in full.
    backfills: ids of lists with a backfill to do.
    identifies: ids of lists whose contacts are to be told again.
    """

    messages: list[Message]
    backfills: list[int]
    identifies: list[int]


class Requests:
    """The requests beside the state file."""

    def __init__(self, ledger: Ledger, readers: Readers, sources: Sequence[SourceList]) -> None:
        self._ledger = ledger
        self._backfill = readers.backfill
        self._identify = readers.identify
        self._sources = {source.list_id: source for source in sources}

    async def take(self) -> RequestedWork:
        """Notes in the state file what was requested; what is no request is put aside."""
        rescan, backfills, identifies = False, list[int](), list[int]()
        for place, request in spool.waiting(self._ledger.store.path):
            match request:
                case spool.Invalid(reason):
                    log.error("request.refused", file=str(spool.refuse(place)), reason=reason)
                case spool.Erase():
                    # The eraser's: it interrupts what calls this.
                    continue
                case spool.Repair(messages):
                    await self._ledger.commit(partial(_request_rescan, messages))
                    self._done(place, messages=len(messages))
                    rescan = True
                case spool.Backfill(list_id=list_id) | spool.IdentifyAll(list_id=list_id) if (
                    list_id not in self._sources
                ):
                    # It rests, or can't be read for now: the request waits for it.
                    continue
                case spool.Backfill(list_id, since, events, warehouse_only):
                    begun = await self._backfill.begin(
                        self._sources[list_id],
                        since,
                        "events" if events else "history",
                        warehouse_only=warehouse_only,
                    )
                    self._done(place, list=list_id, since=since, begun=begun)
                    backfills.append(list_id)
                case spool.IdentifyAll(list_id):
                    begun = await self._identify.begin(self._sources[list_id])
                    self._done(place, list=list_id, identify="all", begun=begun)
                    identifies.append(list_id)
        tracked = await self._ledger.store.messages.tracked() if rescan else []
        again = [message for message in tracked if message.rescan_requested]
        return RequestedWork(again, backfills, identifies)

    def _done(self, place: Path, **details: object) -> None:
        spool.done(place)
        log.info("request.taken", **details)


async def _request_rescan(messages: list[int], store: Store) -> None:
    await store.messages.request_rescan(messages)
