"""Takes up what was asked for from outside, while the service ran or before."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge import spool
from bridge.flow.ledger import Ledger
from bridge.flow.readers.history import HistoryReader
from bridge.state.records import Message
from bridge.state.store import Store
from bridge.telemetry import log


class Asked(NamedTuple):
    """Messages to be read whole, and lists whose history is to be sent."""

    messages: list[Message]
    lists: list[int]


class Requests:
    """The requests beside the state file."""

    def __init__(self, ledger: Ledger, history: HistoryReader) -> None:
        self._ledger = ledger
        self._history = history

    async def take(self) -> Asked:
        """Notes in the state file what was asked for; what is no request is put aside."""
        repair, lists = False, list[int]()
        for place, request in spool.waiting(self._ledger.store.path):
            match request:
                case spool.Invalid(reason):
                    log.error("request.refused", file=str(spool.refuse(place)), reason=reason)
                case spool.Repair(messages):
                    await self._ledger.write(partial(_ask, messages))
                    self._done(place, messages=len(messages))
                    repair = True
                case spool.Backfill(list_id, since):
                    begun = await self._history.begin(list_id, since)
                    self._done(place, list=list_id, since=since, begun=begun)
                    lists.append(list_id)
        asked = await self._ledger.store.messages.tracked() if repair else []
        return Asked([message for message in asked if message.asked], lists)

    def _done(self, place: Path, **details: object) -> None:
        spool.done(place)
        log.info("request.taken", **details)


async def _ask(messages: list[int], store: Store) -> None:
    await store.messages.ask(messages)
