"""Erases addresses that a command requested, in the process that has the state file.

What was read and is on its way holds addresses as well, and would write them back. So the run is
interrupted: what was acknowledged is saved, then the address is removed, and the run begins anew
from what is saved, as after a crash.
"""

from pathlib import Path
from typing import Final

import anyio

from bridge import clock, spool
from bridge.errors import TemporaryError
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.ledger import Ledger
from bridge.flow.page import address_keys
from bridge.flow.scheduling import schedule
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.state.erasures import Removed
from bridge.state.store import Store
from bridge.transport.retry import backoff

READER_INTERVAL: Final = 2.0
"""Seconds until the -wal is emptied that another program was reading."""

_NOT_OVERWRITTEN: Final = (
    "removed, but its bytes are not overwritten yet; run it again, or start the service, which "
    "does it as well"
)


class Eraser:
    """Takes up the requests to erase an address.

    patience: seconds for which what was removed is tried to be overwritten; None for no end.
    """

    def __init__(self, ledger: Ledger, metrics: Metrics, *, patience: float | None = None) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._patience = patience
        # A crash may have left some that are removed and not overwritten.
        self._some_left = True

    async def run(self) -> None:
        """Takes up requests until cancelled; none is forgotten."""
        while True:
            await self.take()
            await anyio.sleep(schedule.ERASE_INTERVAL)

    async def take(self) -> None:
        """Erases what is requested by now; returns when none of its bytes is left.

        Raises TemporaryError once the patience is at its end.
        """
        store = self._ledger.store
        requests = {
            place: request.address.lower()
            for place, request in spool.waiting(store.path)
            if isinstance(request, spool.Erase)
        }
        if not requests and not (self._some_left and await store.erasures.unfinished()):
            self._some_left = False
            return
        self._some_left = True
        new = [place for place in requests if await store.erasures.of(place.name) is None]
        if new:
            async with self._ledger.interruptions.interrupted():
                for place in new:
                    await self._erase(place, requests[place])
        await self._overwrite()
        for place in requests:
            # It names the address as well.
            spool.done(place)
        await self._ledger.commit(_set_overwritten)
        self._some_left = False

    async def _erase(self, place: Path, address: str) -> None:
        removed = Removed()
        marks = address_keys([address])

        async def work(store: Store) -> None:
            nonlocal removed
            removed = await store.erasures.erase(address, marks)
            await store.erasures.note(place.name, removed, clock.wall_time())
            await store.counters.add({"filtered": removed.no_longer_in_flight})

        def publish() -> None:
            in_flight = removed.no_longer_in_flight
            Outcomes(0, {"filtered": in_flight}, -in_flight).publish(self._metrics)
            self._metrics.dead_letters.dec(removed.dead_letters)

        await self._ledger.commit(work, publish)
        log.info(
            "address.erased",
            contacts=removed.contacts,
            events=removed.no_longer_in_flight,
            dead_letters=removed.dead_letters,
        )

    async def _overwrite(self) -> None:
        """Overwrites what was removed; returns when it is gone from the file and its -wal."""
        rewritten, failures, began = False, 0, clock.monotonic()
        while True:
            seconds = READER_INTERVAL
            try:
                if not rewritten:
                    await self._ledger.rewrite()
                    rewritten = True
                if await self._ledger.empty_wal():
                    return
                reason = "another program is reading the state file"
            except TemporaryError as error:
                failures += 1
                reason, seconds = str(error), backoff(error, failures)
            waited = clock.monotonic() - began
            if self._patience is not None and waited + seconds > self._patience:
                raise TemporaryError(f"{_NOT_OVERWRITTEN}: {reason}")
            log.warning("erase.waiting", reason=reason, seconds=round(seconds, 1))
            await anyio.sleep(seconds)


async def _set_overwritten(store: Store) -> None:
    await store.erasures.set_overwritten()
