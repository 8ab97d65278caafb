"""The presence of an open state file: whether what was opened still stands under its name.

A file that was deleted or replaced can be written like any other, and what is saved in it is found
by nobody. Its number on the disk (the inode) is compared with that under its name, and so are those
of what stands beside it. A file that was overwritten in place keeps its number: it is known by its
mark, which is one of the marks that this process has made.
"""

import errno
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.errors import StateError
from bridge.state.file_mark import Mark, mark_at, wal_of
from bridge.state.lock import StateLock, lock_of
from bridge.state.trace import leave_note

INTERVAL: Final = 2.0
"""Seconds between two looks while nothing is saved."""

MOST_MARKS: Final = 100_000
"""Marks that are kept while nothing is brought into the file; then its content isn't compared."""

_ATTEMPTS: Final = 3
_GONE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE}

Identity = tuple[int, int]
"""Device and inode."""


class Presence:
    """Looks after a state file that this process has open to write it.

    displaced: the reason why it isn't the one of its name any more; "" as long as it is. It stays.
    is_overwritten: its content is another's, so nothing may be brought into it.
    """

    def __init__(self, path: Path, real: Path, lock: StateLock) -> None:
        self.displaced = ""
        self.is_overwritten = False
        self._path = path
        self._real = real
        self._lock = lock
        self._beside: dict[Path, Identity] = {}
        self._marks: deque[bytes] = deque()
        self._page: tuple[int, int] | None = None
        self._size = 0

    def begin(self) -> None:
        """Notes what stands beside the file, once all of it is there. Raises StateError."""
        for end in ("-wal", "-shm"):
            beside = self._real.with_name(f"{self._real.name}{end}")
            self._beside[beside] = _identity(beside.stat())
        self._beside[lock_of(self._real)] = _identity(os.fstat(self._lock.beside))

    def note_content(self, page: int, size: int, own: bytes) -> None:
        """Notes where the mark is now, by the number and size of its page, when all is in the file.

        own: the latest mark.
        """
        self._page = (page, size)
        found = self._mark()
        if found is None:
            # It isn't in the file yet.
            self.forget_content()
            return
        self._marks.clear()
        self._marks.extend([found.own, own])
        self._size = self._length()

    def forget_content(self) -> None:
        """Notes that the mark moves: the content isn't compared until it is noted again."""
        self._page = None
        self._marks.clear()

    def add_mark(self, own: bytes) -> None:
        """Notes a mark that the file may have from now on."""
        if self._page is not None:
            self._marks.append(own)
        if len(self._marks) > MOST_MARKS:
            self.forget_content()

    def require(self, *, content: bool) -> None:
        """Raises StateError once the file isn't the one of its name any more.

        content: looks at its content as well; nothing of this process may be writing it then.
        """
        self.displaced = self.displaced or self._displaced() or (content and self._foreign()) or ""
        if self.displaced:
            raise StateError(self.displaced)

    def before_closing(self) -> None:
        """Keeps SQLite, which is about to close it, from removing by name what is another's."""
        with suppress(StateError):
            self.require(content=False)
        if self.displaced:
            self._lock.keep_from_closing()

    def _displaced(self) -> str:
        if self._lock.file is None:
            return ""
        own, name = _identity(os.fstat(self._lock.file)), str(self._path)
        for path in {self._real, self._path}:
            found = _found(path, own)
            if found is None:
                # The next start is no first one.
                leave_note(lock_of(self._real))
                return (
                    f"BRIDGE_STATE: {name!r} was deleted or moved away while it was in use: what "
                    "is saved from now on would be found by nobody, so this ends. Put it back, or "
                    "a backup of it. To start anew from BRIDGE_SINCE, move "
                    f"{lock_of(self._real).name} away as well"
                )
            if found != own:
                return (
                    f"BRIDGE_STATE: {name!r} was replaced by another file while it was in use, so "
                    "this ends; the other file was left as it is. Stop the service before you put "
                    "a file in its place"
                )
        for path, identity in self._beside.items():
            if _found(path, identity) != identity:
                return (
                    f"BRIDGE_STATE: {str(path)!r} was deleted, moved away or replaced while it was "
                    "in use, so this ends; what was saved is in the state file. Start it again, "
                    "and leave alone what stands beside the state file"
                )
        return ""

    def _foreign(self) -> str:
        """The sentence about a content that is another's, "" for our own."""
        if self._page is None or self._lock.file is None:
            return ""
        for _attempt in range(_ATTEMPTS):
            found, length = self._mark(), self._length()
            # It only grows, until it is written anew.
            if found is not None and found.own in self._marks and length >= self._size:
                self._size = length
                while self._marks[0] != found.own:
                    self._marks.popleft()
                return ""
        self.is_overwritten = True
        return (
            f"BRIDGE_STATE: {str(self._path)!r} was overwritten while it was in use, so this ends; "
            "nothing more was written into it. Stop the service before you put another content in "
            f"its place. Before you start it again, move {wal_of(self._real).name} away, which "
            "belongs to the content of before"
        )

    def _length(self) -> int:
        assert self._lock.file is not None
        return os.fstat(self._lock.file).st_size

    def _mark(self) -> Mark | None:
        assert self._page is not None
        assert self._lock.file is not None
        return mark_at(self._lock.file, *self._page)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _found(path: Path, otherwise: Identity) -> Identity | None:
    """The identity of what is at a path, None for nothing; `otherwise` where that can't be told."""
    try:
        return _identity(path.stat())
    except OSError as error:
        return None if error.errno in _GONE else otherwise
