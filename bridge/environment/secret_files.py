"""Files that hold a secret: read in little time, whatever the file is, and in whatever encoding."""

import codecs
import os
import select
import stat
from pathlib import Path
from typing import Final

from bridge import clock

MOST_BYTES: Final = 65_536
"""Bytes of a file that can hold a secret; what has more is another file."""

WITHIN: Final = 5.0
"""Seconds for which a pipe is waited for."""

_ENCODINGS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The encodings of files that say theirs, as some editors and shells write them."""


def read_secret(path: Path, *, within: float = WITHIN) -> str:
    """The text of a file, without blanks and line breaks around it.

    A pipe will do as well, as in `NAME_FILE=<(a command)`.

    Raises ValueError with the reason why there is none.
    """
    try:
        data = _read(path, within)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
    if not text.strip("\0"):
        raise ValueError("it is empty")
    if "\0" in text:
        raise ValueError("not UTF-8 text; is it UTF-16?")
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def may_be_there(path: Path) -> bool:
    """Tells whether there is such a file, or one can't know, as its folder can't be read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(path: Path, within: float) -> bytes:
    """The bytes of a file. Opened like this, a pipe that nobody writes to doesn't hold it up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise ValueError("it is a folder")
        data = b""
        end = clock.monotonic() + within
        while part := _part(descriptor, end, waits=not stat.S_ISREG(kind)):
            data += part
            if len(data) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes, so it holds something else")
        return data
    finally:
        os.close(descriptor)


def _part(descriptor: int, end: float, *, waits: bool) -> bytes:
    """The bytes that can be read next, none at the end of the file."""
    if waits:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, end - clock.monotonic()) * 1000):
            raise ValueError("it is a pipe, and nobody writes to it")
    return os.read(descriptor, MOST_BYTES + 1)
