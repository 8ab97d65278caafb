"""The clocks of a machine for tests on a virtual loop (scripts/virtual), where nothing waits."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.surroundings import Machine, surroundings


def virtual_loop() -> VirtualLoop | None:
    """The loop that runs, if it is a virtual one."""
    loop = asyncio.get_running_loop()
    return loop if isinstance(loop, VirtualLoop) else None


class VirtualMachineClock:
    """As MachineClock, for the service in this process alone."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.environment: dict[str, str] = {}
        self.disk = Disk()
        self._ahead = 0.0
        self._followed = (0.0, 0.0, 0.0)
        self._machine = Machine(loop, self._wall_time)

    def follow(self, time_now: float, speed: float) -> None:
        """Goes along with a clock that says so now, and has so many seconds in a second."""
        self._followed = (time_now, self._machine.loop.time(), speed)

    def set_ahead(self, seconds: float) -> None:
        """Sets the clock ahead of the one that it follows, or behind."""
        self._ahead = seconds

    def restart(self) -> None:
        """Starts the machine anew: the clock that never jumps begins with a minute."""
        self._machine.restart()

    def sleep(self, seconds: float) -> None:
        """Puts the machine to sleep: the clock that never jumps counts it."""
        self._machine.since -= seconds

    def install(self) -> Callable[[], None]:
        """Makes the service in this process go by it, and use no thread; returns the undoing."""
        stack = ExitStack()
        stack.enter_context(surroundings(self._machine, self.disk))
        return stack.close

    def _wall_time(self) -> float:
        base, since, speed = self._followed
        return base + speed * (self._machine.loop.time() - since) + self._ahead
