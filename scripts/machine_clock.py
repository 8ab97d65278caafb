"""Another clock of this machine, for the commands that are started here: they ask a file of ours.

Tests and trials set it (`MachineClock`); a command with TEST_MACHINE_CLOCK in its environment goes
by it (`install`), be it started anew (sitecustomize.py) or forked (tests/fork_server.py).
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "TEST_MACHINE_CLOCK"
NAMES = ("wall_time", "boot_time", "boot_id")
_FIELDS = struct.Struct("5d")


class MachineClock:
    """The clocks of a machine: one that may be set at any time, and one that never jumps.

    Until it is set, the first goes as `follow` says.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wall = (0.0, 0.0, 0.0)
        self._ahead = 0.0
        self._boot = (0.0, 0.0)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a command goes by it."""
        return {VARIABLE: str(self._path), "PYTHONPATH": str(Path(__file__).parent / "machine")}

    def follow(self, time_now: float, speed: float) -> None:
        """Goes along with a clock that says so now, and has so many seconds in a second."""
        self._wall = (time_now, time.monotonic(), speed)
        self._write()

    def set_ahead(self, seconds: float) -> None:
        """Sets the clock ahead of the one that it follows, or behind."""
        self._ahead = seconds
        self._write()

    def restart(self) -> None:
        """Starts the machine anew: the clock that never jumps begins with a minute."""
        self._boot = (60 - time.clock_gettime(time.CLOCK_BOOTTIME), self._boot[1] + 1)
        self._write()

    def sleep(self, seconds: float) -> None:
        """Puts the machine to sleep: the clock that never jumps counts it."""
        self._boot = (self._boot[0] + seconds, self._boot[1])
        self._write()

    def install(self) -> Callable[[], None]:
        """Makes this process go by it; returns the undoing."""
        return install(str(self._path))

    def _write(self) -> None:
        base, since, speed = self._wall
        fields = _FIELDS.pack(base + self._ahead, since, speed, *self._boot)
        mode = "r+b" if self._path.exists() else "wb"
        with self._path.open(mode) as file:
            file.write(fields)


def install(path: str | None = None) -> Callable[[], None]:
    """Makes this process go by the clock of a file, else of its environment; returns the undoing.

    It keeps the real ones where no file is named.
    """
    path = path or os.environ.get(VARIABLE)
    if not path:
        return lambda: None
    from bridge import clock

    before = {name: getattr(clock, name) for name in NAMES}
    with Path(path).open("rb") as file:
        fields = mmap.mmap(file.fileno(), _FIELDS.size, access=mmap.ACCESS_READ)
    real_boot, real_id = clock.boot_time, clock.boot_id

    def wall_time() -> float:
        base, since, speed, *_ = _FIELDS.unpack_from(fields)
        return float(base + speed * (time.monotonic() - since))

    clock.wall_time = wall_time
    clock.boot_time = lambda: float(real_boot() + _FIELDS.unpack_from(fields)[3])
    clock.boot_id = lambda: f"{real_id()} {_FIELDS.unpack_from(fields)[4]}"

    def undo() -> None:
        for name, real in before.items():
            setattr(clock, name, real)

    return undo
