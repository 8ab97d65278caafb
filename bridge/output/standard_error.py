"""Standard error that nobody waits for: what is written to it is written by a thread.

A terminal that stands still, a pipe that nobody reads, a full disk or a slow journal must not hold
up the data. Whether it is written to must not be asked of the descriptor either: others share it,
and what one of them sets of it holds for all.
"""

import atexit
import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bridge import clock
from bridge.output import texts

MOST_WAITING: Final = 2**20
"""Bytes that wait to be written; what comes on top of them is dropped."""

END_WITHIN: Final = 1.0
"""Seconds that the end of the process waits for what isn't written yet."""

Item = bytes | int
"""Something that waits: some lines, or the number of lines that were dropped in that place."""


class StandardError(io.TextIOBase):
    """A text stream that takes everything at once, without secrets, in order.

    descriptor: where it is written to.
    most: bytes that wait at most.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, descriptor: int, *, most: int = MOST_WAITING) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most = most
        self._waiting: deque[Item] = deque()
        self._size = 0
        self._busy = False
        self._torn = False
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self.dropped = 0
        """Lines that could not be written so far."""
        self.notice: Callable[[int], str] = _notice
        """Says that so many lines were dropped; it is called in the thread."""

    def write(self, text: str) -> int:
        """Takes the text to be written. Never waits, raises nothing."""
        shown = texts.without_secrets(text).encode(errors=self.errors)
        if not shown:
            return len(text)
        with self._changed:
            if self._size + len(shown) > self._most:
                self._drop(shown)
            else:
                self._append(shown)
        return len(text)

    def drain(self, within: float = END_WITHIN) -> bool:
        """Waits until all is written, for so many seconds at most; tells whether it is.

        For whoever ends the process without Python's own end (os._exit).
        """
        end = clock.monotonic() + within
        with self._changed:
            if self._thread is None:
                return True
            # What was dropped before may be told now.
            self._append(0)
            while self._waiting or self._busy:
                left = end - clock.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def flush(self) -> None:
        """Does nothing: it would be waiting."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tells whether it is a terminal."""
        with suppress(OSError):
            return os.isatty(self._descriptor)
        return False

    def writable(self) -> bool:
        """Tells that it can be written to."""
        return True

    def _append(self, item: Item) -> None:
        self._waiting.append(item)
        self._size += len(item) if isinstance(item, bytes) else 0
        if self._thread is None:
            # It doesn't keep the process from ending: a write that hangs may hang for ever.
            self._thread = threading.Thread(target=self._work, name="standard-error", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _drop(self, lines: bytes) -> None:
        number = max(1, lines.count(b"\n"))
        self.dropped += number
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, int):
            self._waiting[-1] = last + number
        else:
            self._append(number)

    def _work(self) -> None:
        missing = 0
        while True:
            item = self._next()
            lines, already = (item, 0) if isinstance(item, bytes) else (b"", item)
            missing += already
            if missing and self._put(self.notice(missing).encode()):
                missing = 0
            if lines and (missing or not self._put(lines)):
                number = max(1, lines.count(b"\n"))
                missing += number
                with self._changed:
                    self.dropped += number

    def _next(self) -> Item:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            while not self._waiting:
                self._changed.wait()
            item = self._waiting.popleft()
            self._size -= len(item) if isinstance(item, bytes) else 0
            self._busy = True
            return item

    def _put(self, lines: bytes) -> bool:
        """Writes lines, however long that takes; tells whether they could be written whole."""
        left = memoryview(b"\n" + lines if self._torn else lines)
        size = len(left)
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:
                    # Somebody who shares the descriptor wants it like that.
                    poll = select.poll()
                    poll.register(self._descriptor, select.POLLOUT)
                    poll.poll()
        except OSError:
            self._torn = self._torn or len(left) < size
            return False
        self._torn = False
        return True


def _notice(lines: int) -> str:
    return f"listrak-bridge: {lines} lines could not be written here\n"


STANDARD_ERROR: Final = StandardError(2)
"""The standard error of this process."""


def take_over() -> None:
    """Leads all that is written to sys.stderr through STANDARD_ERROR, until the process ends."""
    sys.stderr = STANDARD_ERROR
    atexit.register(STANDARD_ERROR.drain)
