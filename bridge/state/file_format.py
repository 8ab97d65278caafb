"""The format of the state file, and how a new file is made."""

import errno
import os
import sqlite3
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from bridge.errors import StateError, TemporaryError
from bridge.state import checksums, file_mark
from bridge.state.checksums import Connection

APPLICATION_ID: Final = 0x4C53_4247  # "LSBG"
SCHEMA_VERSION: Final = 5
"""The file's format. Each is made of the one before, the first of an empty file: schema/."""

CHECKSUMS_SINCE: Final = 5
"""The first format whose rows have checksums."""

PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors of a disk that may pass by themselves, or once there is room."""


def bring_up_to_date(db: sqlite3.Connection, version: int) -> None:
    """Brings a file of a format to this one, each step a whole transaction.

    version: its format, 0 for an empty file.
    """
    for number in range(version + 1, SCHEMA_VERSION + 1):
        db.executescript(f"BEGIN IMMEDIATE; {step(number)}")
        if number >= CHECKSUMS_SINCE:
            checksums.protect(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")


def step(number: int) -> str:
    """The script that makes a format of the one before. It needs the SQL function lower_case."""
    schema = files("bridge.state").joinpath("schema", f"{number}.sql").read_text(encoding="utf-8")
    return f"{file_mark.TABLE} {schema} {file_mark.TURN}"


def columns_in(version: int) -> dict[str, list[str]]:
    """The tables that a file of a format has, with the columns of each; of those before checksums.

    The mark is left out: it comes with the first transaction of a later version.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Connection)) as db:
        for number in range(1, version + 1):
            db.executescript(step(number))
        return checksums.columns_of(db)


def create(path: Path) -> None:
    """Makes a new state file, for this user alone. It is whole or not there, whatever happens.

    Raises StateError, and TemporaryError where the disk is full.
    """
    unfinished = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(_new_file())
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            # On a full disk it would only take up room.
            unfinished.unlink(missing_ok=True)
        kind = TemporaryError if error.errno in PASSING else StateError
        problem = f"BRIDGE_STATE: can't write {str(path)!r}: {error.strerror}"
        raise kind(problem) from None


def use_wal(path: Path) -> None:
    """Has SQLite use a -wal with a file, if it is one that doesn't (restored by other tools).

    By itself it would do so with a -journal, which a crash leaves behind.
    """
    with path.open("r+b") as file:
        file.seek(_VERSIONS_AT)
        if file.read(len(_WAL_VERSIONS)) == _WAL_VERSIONS:
            return
        file.seek(_VERSIONS_AT)
        file.write(_WAL_VERSIONS)
        file.flush()
        os.fsync(file.fileno())


_VERSIONS_AT: Final = 18
_WAL_VERSIONS: Final = b"\x02\x02"
"""The bytes that say that a file is used with a -wal (SQLite's file format, section 1.3.3)."""


def _new_file() -> bytes:
    """The content of a new state file."""
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    try:
        bring_up_to_date(db, 0)
        content = bytearray(db.serialize())
    finally:
        db.close()
    content[_VERSIONS_AT : _VERSIONS_AT + len(_WAL_VERSIONS)] = _WAL_VERSIONS
    return bytes(content)
