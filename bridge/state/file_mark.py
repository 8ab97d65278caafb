"""The mark of a state file: tells which -wal belongs to it, before SQLite takes one in.

Every transaction replaces the mark by a new one, which says as well which one it follows. So the
main file shows up to which transaction it has been brought, and a -wal from which to which it
reaches: it belongs to the file if the file's mark is among its own, or is the one that its first
one follows. That holds at every instant of a crash, and for no two moments that don't fit together.
The -wal isn't read through SQLite, which would take it in.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAME: Final = "file_mark"
"""The name of its table."""

TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS file_mark"
    " (id INTEGER PRIMARY KEY, in_use INTEGER NOT NULL, before BLOB NOT NULL, own BLOB NOT NULL)"
    " STRICT;"
    " INSERT OR IGNORE INTO file_mark VALUES (1, 0, randomblob(8), randomblob(8));"
)
"""The table, of one row. in_use: 1 while a service has the file open. Of a new file it is the first
table, so that a checkpoint brings it in first."""

TURN: Final = "UPDATE file_mark SET before = own, own = randomblob(8);"
"""The statement that every transaction makes."""

READ: Final = "SELECT in_use, before, own FROM file_mark"
"""The query for the three values of a mark."""

_WAL_HEADER: Final = struct.Struct(">8I")
_FRAME_HEADER: Final = struct.Struct(">6I")
_BYTE_ORDERS: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""The byte order of the checksums, by the number that a -wal begins with."""

# A leaf of a table with one row; the row: 21 bytes, id 1, then the types of its values: none for
# the id, 0 or 1, and twice 8 bytes.
_LEAF: Final = b"\x0d"
_ONE_ROW: Final = b"\x00\x01"
_ROWS: Final = (bytes((21, 1, 5, 0, 8, 28, 28)), bytes((21, 1, 5, 0, 9, 28, 28)))
_MARK_BYTES: Final = 8
_WORD: Final = 0xFFFF_FFFF
_PAGE_SIZES: Final = frozenset(2**power for power in range(9, 17))

Sums = tuple[int, int]


class Mark(NamedTuple):
    """A mark. in_use: it was made while a service had the file open."""

    in_use: bool
    before: bytes
    own: bytes


class Beside(Enum):
    """The kind of -wal that is beside a file."""

    NOTHING = "none, or one that SQLite leaves out, as nothing in it is valid"
    BEGUN = "one that a crash left while its first transaction was being written"
    OWN = "the one of this file and moment"
    FOREIGN = "one of another file or of another moment"
    DAMAGED = "one of which SQLite would leave out transactions that were saved"


def wal_of(path: Path) -> Path:
    """The -wal beside a file."""
    return path.with_name(f"{path.name}-wal")


def beside(path: Path, mark: Mark, page_size: int) -> Beside:
    """Tells which -wal is beside a file with this mark."""
    try:
        with wal_of(path).open("rb") as wal:
            commits = list(_commits(wal, page_size))
            ends = _ends(wal)
    except FileNotFoundError:
        return Beside.NOTHING
    found = _compare(mark, commits)
    # Of the last one a crash may have left the end without the rest.
    if found is not Beside.FOREIGN and sum(ends) > len(commits) + 1:
        return Beside.DAMAGED
    return Beside.BEGUN if found is Beside.NOTHING and ends and not any(ends) else found


def has_commits(path: Path) -> bool:
    """Tells whether a -wal is beside a file that SQLite takes in, whatever it belongs to."""
    try:
        with wal_of(path).open("rb") as wal:
            return any(True for _ in _commits(wal, None))
    except FileNotFoundError:
        return False


def mark_at(file: int, page: int, size: int) -> Mark | None:
    """The mark in a page of an open main file, by the page's number and size; None for none."""
    return _mark_of(os.pread(file, size, (page - 1) * size))


def _compare(mark: Mark, commits: Iterable[Mark | None]) -> Beside:
    """Compares a file's mark with those of a -wal; other programs' transactions have none."""
    found, first = Beside.NOTHING, True
    for commit in commits:
        found = Beside.FOREIGN
        if commit is None:
            continue
        if commit.own == mark.own or (first and commit.before == mark.own):
            return Beside.OWN
        first = False
    return found


def _commits(wal: BinaryIO, page_size: int | None) -> Iterator[Mark | None]:
    """The mark of each transaction of a -wal, None where it has none; read as SQLite reads it.

    It may be on any page: where the file was written anew (VACUUM), its table has moved.
    What follows a frame with a wrong checksum doesn't count: a crash cut it off, or it is left over
    from before the -wal was begun anew. A -wal of another page size is one of another file.
    """
    header = _header_of(wal)
    if header is None:
        return
    order, size, salts, sums = header
    if page_size not in (None, size):
        yield None
        return
    mark = None
    while len(frame := wal.read(_FRAME_HEADER.size + size)) == _FRAME_HEADER.size + size:
        _, pages_after_commit, *rest = _FRAME_HEADER.unpack_from(frame)
        content = frame[_FRAME_HEADER.size :]
        sums = _checksum(content, _checksum(frame[:8], sums, order), order)
        if frame[8:16] != salts or tuple(rest[2:]) != sums:
            return
        mark = _mark_of(content) or mark
        if pages_after_commit:
            yield mark
            mark = None


def _ends(wal: BinaryIO) -> list[bool]:
    """Tells of each frame of a -wal whether it ends a transaction, valid or not.

    Those left over from before it was begun anew end none.
    """
    ends: list[bool] = []
    header = _header_of(wal)
    if header is None:
        return ends
    _, size, salts, _ = header
    while len(frame := wal.read(_FRAME_HEADER.size)) == _FRAME_HEADER.size:
        ends.append(frame[8:16] == salts and any(frame[4:8]))
        wal.seek(size, os.SEEK_CUR)
    return ends


def _header_of(wal: BinaryIO) -> tuple[str, int, bytes, Sums] | None:
    """The byte order, page size, salts and checksum of a -wal; None without a valid header."""
    wal.seek(0)
    header = wal.read(_WAL_HEADER.size)
    if len(header) < _WAL_HEADER.size:
        return None
    magic, _, size, _, _, _, *sums = _WAL_HEADER.unpack(header)
    order = _BYTE_ORDERS.get(magic)
    if order is None or size not in _PAGE_SIZES:
        return None
    if _checksum(header[:24], (0, 0), order) != tuple(sums):
        return None
    return order, size, header[16:24], (sums[0], sums[1])


def _checksum(content: bytes, before: Sums, order: str) -> Sums:
    """The checksum of a -wal, carried on (SQLite's file format, section 4.2).

    Each word in turn is added to the two sums before it, which makes the next: modulo 2^32 a word
    counts as often as a Fibonacci number says. So a page takes two products of vectors, where
    adding word by word would delay a start by a second for each 10 MB.
    """
    words = np.frombuffer(content, dtype=f"{order}u4").astype(np.uint32)
    one, two = before
    words[0] = (int(words[0]) + one + two) & _WORD
    words[1] = (int(words[1]) + two) & _WORD
    weights = _weights(len(words))
    return int(words[:-1] @ weights[1:]), int(words @ weights)


@lru_cache(maxsize=8)
def _weights(number: int) -> NDArray[np.uint32]:
    """The first Fibonacci numbers modulo 2^32, the last of them first."""
    numbers = [1, 1]
    while len(numbers) < number:
        numbers.append((numbers[-2] + numbers[-1]) & _WORD)
    return np.array(numbers[::-1], dtype=np.uint32)


def _mark_of(page: bytes) -> Mark | None:
    """The mark in a page of its table (SQLite's file format, section 1.6)."""
    if page[:1] != _LEAF or page[3:5] != _ONE_ROW:
        return None
    start = int.from_bytes(page[8:10], "big")
    head, marks = page[start : start + 7], page[start + 7 : start + 7 + 2 * _MARK_BYTES]
    if head not in _ROWS or len(marks) < 2 * _MARK_BYTES:
        return None
    return Mark(head == _ROWS[1], marks[:_MARK_BYTES], marks[_MARK_BYTES:])
