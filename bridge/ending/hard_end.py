"""The end of a process in which something hangs: a disk, or a look-up of a name."""

import _thread
import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Final, Self

from bridge.output.logs import log
from bridge.output.standard_error import STANDARD_ERROR

STOPS: Final = (signal.SIGTERM, signal.SIGINT)
"""The signals that tell a process to end."""

FAULT: Final = 75
INTERRUPTED: Final = 130
"""The exit code that shells give to what was ended by Ctrl-C."""

EXIT_CODES: Final[Mapping[int, int]] = {signal.SIGTERM: FAULT, signal.SIGINT: INTERRUPTED}
"""The exit codes of a command that was told to end before its end."""

_SAYING: Final = 0.5
"""Seconds for the last line of the log: standard error may hang as well."""


class HardEnd:
    """Ends the process in time once it is armed, if nothing else does: leaving this disarms it.

    A thread that waits for a disk can't be cancelled, and the interpreter would wait for it.

    seconds: from arming to the end.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._armed = False
        self._left = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def arm(self, code: int = FAULT) -> None:
        """Begins to count; what is armed stays as it is.

        code: exit code of the process then.
        """
        if not self._armed:
            self._armed = True
            # A signal's handler may call this while a lock of `threading` is held below it.
            _thread.start_new_thread(self._wait, (code,))

    def arm_at_signals(self, codes: Mapping[int, int]) -> None:
        """Has the signals that end a process arm it, even while the event loop is blocked.

        codes: exit codes, by signal. Whoever else is told of the signals still is.
        """

        def handle(number: int, _frame: FrameType | None) -> None:
            self.arm(codes[number])

        for number in STOPS:
            signal.signal(number, handle)

    def _wait(self, code: int) -> None:
        if self._left.wait(self._seconds):
            return
        saying = threading.Thread(target=self._say, daemon=True)
        saying.start()
        saying.join(_SAYING)
        os._exit(code)

    def _say(self) -> None:
        log.critical(
            "bridge.cut_off",
            seconds=round(self._seconds, 1),
            note="something hangs, such as a disk or a look-up of a name; nothing that was saved "
            "is lost, what was on its way will be sent again",
        )
        STANDARD_ERROR.drain()
