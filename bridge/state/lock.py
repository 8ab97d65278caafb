"""The lock of a state file: of a file beside it, and of the file itself.

The one beside it is what commands ask for, and is there before the state file is. The other keeps
those away who come to the same file by another name or another mount, or after the one beside it
was deleted. It is one of an open file description, at a place where SQLite has none: SQLite's own
locks belong to the process, and end when any descriptor of the file is closed in it. So the one
that is locked here is closed last.
"""

import errno
import fcntl
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

from bridge.errors import StateError, TemporaryError
from bridge.state.file_format import PASSING
from bridge.state.place import real_of

_CLAIMS, _CLAIM_INTERVAL = 25, 0.02
"""Attempts to lock the file, and seconds between two of them."""

_OUR_PLACE: Final = (1 << 62, 1)
_SHARED_PLACE: Final = (0x40000002, 510)
"""Start and length of what is locked: far behind any file, and where SQLite's readers do it."""

_LOCK: Final = struct.Struct("hhqqi4x")
_OPEN: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOCKS: Final = Path("/proc/locks")


class StateLock:
    """A held lock: of the file beside, and once it is there of the state file itself.

    beside: descriptor of the file beside.
    file: descriptor of the state file, None until it is locked.
    """

    def __init__(self, path: Path, beside: int) -> None:
        self._path = path
        self.beside = beside
        self.file: int | None = None

    def hold_file(self) -> None:
        """Locks the state file itself. Raises StateError where another process has it open."""
        try:
            self.file = os.open(self._path, os.O_RDWR | _OPEN)
        except OSError as error:
            problem = f"BRIDGE_STATE: can't write {str(self._path)!r}: {error.strerror}"
            raise StateError(problem) from None
        try:
            _lock(self.file, fcntl.F_WRLCK, _OUR_PLACE)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                # Not on this file system: the one beside it has to do.
                return
            raise StateError(
                f"BRIDGE_STATE: {str(self._path)!r} is in use by another listrak-bridge, which "
                "knows it by another name or had its lock file deleted; stop that one first"
            ) from None

    def keep_from_closing(self) -> None:
        """Keeps SQLite from tidying up when it closes the file: it would do so by name, and what
        has the names by now may be another's."""
        if self.file is not None:
            with suppress(OSError):
                _lock(self.file, fcntl.F_RDLCK, _SHARED_PLACE)

    def release(self) -> None:
        """Gives it up; the state file is closed by then."""
        for descriptor in (self.file, self.beside):
            if descriptor is not None:
                os.close(descriptor)
        self.file = None


def lock_of(path: Path) -> Path:
    """The lock file beside a state file; SQLite locks the file itself."""
    return path.with_name(f"{path.name}.lock")


async def claim(path: Path) -> StateLock:
    """The lock that keeps a second process away, so far of the file beside.

    Whoever only asks whether it is locked has it for an instant as well, which is waited for.
    Raises StateError.
    """
    try:
        beside = os.open(lock_of(path), os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
    except OSError as error:
        if error.errno in PASSING:
            raise TemporaryError(
                f"BRIDGE_STATE: can't write {str(path)!r} for now: {error.strerror}"
            ) from None
        raise _unlockable(path, error) from None
    claimed = False
    try:
        claimed = await _claims(beside)
    finally:
        if not claimed:
            holder = _holder(os.fstat(beside))
            os.close(beside)
    if not claimed:
        raise StateError(
            f"BRIDGE_STATE: {str(path)!r} is in use by another listrak-bridge{holder}; "
            "stop that one first, or name another file"
        )
    return StateLock(path, beside)


def is_locked(path: Path) -> bool:
    """Tells whether another process has a state file open to write it."""
    try:
        lock = os.open(lock_of(real_of(path)), os.O_RDONLY | _OPEN)
    except (OSError, StateError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _unlockable(path: Path, error: OSError) -> StateError:
    """The error of a lock file that can't be opened or made."""
    lock = lock_of(path)
    if os.path.lexists(lock):
        return StateError(
            f"BRIDGE_STATE: can't write {str(lock)!r}: {error.strerror}. Give it to this user, or "
            "remove it while no service runs"
        )
    return StateError(
        f"BRIDGE_STATE: can't write {str(path)!r}: {error.strerror}. Make its folder and let this "
        "user write there, or name another file"
    )


async def _claims(lock: int) -> bool:
    """Locks a file for this process alone; False where another one keeps it."""
    for _attempt in range(_CLAIMS):
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        await anyio.sleep(_CLAIM_INTERVAL)
    return False


def _lock(file: int, kind: int, place: tuple[int, int]) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, *place, 0))


def _holder(lock: os.stat_result) -> str:
    """Words for the process that has a file locked; "" where the kernel doesn't tell."""
    try:
        text = _LOCKS.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    number = holder_in(text, os.major(lock.st_dev), os.minor(lock.st_dev), lock.st_ino)
    return f" (process {number})" if number else ""


def holder_in(locks: str, major: int, minor: int, inode: int) -> int:
    """The process that has locked a file for itself, by the text of /proc/locks; 0 for none."""
    what = f"{major:02x}:{minor:02x}:{inode}"
    found = re.search(rf"^\d+: FLOCK +\S+ +WRITE +(\d+) {what} ", locks, re.MULTILINE)
    return int(found[1]) if found else 0
