"""The trace of a state file, in the lock file beside it: that there was one, and how far it was.

It holds the number of a transaction, written once that is on disk. So whatever survives of both,
the file is as far as its trace, or further; if it isn't, an older copy of it was put in its place,
or a part of it was taken away.
"""

import os
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCK_NOTE: Final = b"The state file of listrak-bridge is beside this file.\n"
"""The beginning of the lock file once there is a state file."""

JUMP: Final = 1_000_000
"""Transactions by which a file that went back is ahead of its trace from then on: more than can
have been on disk when a trace of them was lost, so that no two files are ever equally far."""

_LINE: Final = re.compile(rb"Transactions on disk: (\d{20}) \(([0-9a-f]{8})\)\n")
_MOST_BYTES: Final = 4096
_MOST: Final = 2**61
"""The most transactions that can have been: further ones have to be counted in the state file."""


@dataclass
class Trace:
    """The trace in a lock file.

    lock: descriptor of the lock file where this process holds it, else None.
    is_there: tells whether the lock file says that there was a state file.
    number: that of the latest transaction that it holds, 0 for none, as of older versions.
    """

    lock: int | None = None
    is_there: bool = False
    number: int = 0

    def note(self, number: int) -> None:
        """Writes that a transaction is on disk; one that is behind changes nothing.

        It isn't synced: what of it is lost with the power makes it older, which is no harm. Nor is
        it one that it can't be written, on a full disk perhaps.
        """
        if number > self.number and self.lock is not None:
            with suppress(OSError):
                os.pwrite(self.lock, LOCK_NOTE + _line(number), 0)
                self.number = number


def held_trace(lock: int) -> Trace:
    """The trace in a lock file that this process holds, by its descriptor."""
    content = os.pread(lock, _MOST_BYTES, 0)
    return Trace(lock, bool(content), _number_in(content))


def trace_of(lock: Path) -> Trace:
    """The trace in a lock file, only to be read."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return Trace()
    try:
        found = held_trace(file)
        return Trace(None, found.is_there, found.number)
    except OSError:
        return Trace()
    finally:
        os.close(file)


def leave_note(lock: Path) -> None:
    """Makes a lock file that tells that there was a state file; one that is there stays."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(OSError):
        file = os.open(lock, flags, 0o600)
        try:
            os.write(file, LOCK_NOTE)
        finally:
            os.close(file)


def _line(number: int) -> bytes:
    digits = b"%020d" % number
    return b"Transactions on disk: %b (%08x)\n" % (digits, zlib.crc32(digits))


def _number_in(content: bytes) -> int:
    """The number in a lock file's content; 0 for none, or one that is damaged or can't be."""
    found = _LINE.search(content)
    if found is None or int(found[2], 16) != zlib.crc32(found[1]):
        return 0
    number = int(found[1])
    return number if number <= _MOST else 0
