"""An event loop on a virtual clock: where nothing is left to be done, the clock goes on."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, Final

from virtual.network import Network, Server

STEP: Final = 5e-6
"""Seconds that a step of the loop takes: what is tried again and again sees time pass."""


ASK_EVERY: Final = 256
"""Turns of the loop between two questions to real files: each costs more than a turn."""


class StandstillError(Exception):
    """A program that waits for nothing that could ever happen."""


class VirtualSelector(selectors.SelectSelector):
    """What real files (signals) have to say; where none has, time passes until the next timer.

    now: seconds of the virtual clock.
    steps: turns of the loop so far.
    at_step: called once a turn has this number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self._at_steps: dict[int, Callable[[], None]] = {}

    def at_step(self, step: int, call: Callable[[], None]) -> None:
        """Has something called between two turns, when nothing else runs."""
        self._at_steps[step] = call

    def forget(self, call: Callable[[], None]) -> None:
        """Calls it no more."""
        self._at_steps = {step: one for step, one in self._at_steps.items() if one is not call}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Moves the clock. Raises StandstillError where there is nothing to wait for."""
        self.steps += 1
        self.now += STEP
        found = super().select(0) if timeout is None or not self.steps % ASK_EVERY else []
        if self._at_steps and (call := self._at_steps.pop(self.steps, None)):
            call()
        elif timeout is None and not found:
            raise StandstillError("nothing is left to be done or waited for")
        elif timeout and not found:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose waits pass at once, and whose connections end in this process.

    For tests: `anyio.run(..., backend_options={"loop_factory": VirtualLoop})`.

    network: between clients and servers.
    """

    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)
        self.network = Network(self)

    def time(self) -> float:
        """Seconds of the virtual clock."""
        return self.virtual.now

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int = 0,
        **_options: Any,
    ) -> Server:
        """Serves in this process alone."""
        return self.network.listen(protocol_factory, host or "127.0.0.1", port)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], *_: Any, sock: Any, **_options: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connects to a server of this process; `sock` is what `Network.address` has found."""
        return self.network.connect(protocol_factory, sock)
