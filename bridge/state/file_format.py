"""The format of the state file, and how a new file is made."""

import errno
import os
import sqlite3
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from bridge.errors import StateError, TemporaryError
from bridge.state import file_mark

APPLICATION_ID: Final = 0x4C53_4247  # "LSBG"
SCHEMA_VERSION: Final = 5
"""The file's format. Each is made of the one before, the first of an empty file: schema/."""

PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors of a disk that may pass by themselves, or once there is room."""


def steps_from(version: int) -> list[str]:
    """The scripts that bring a file of a format up to date, each a whole transaction.

    They need the SQL function lower_case.
    """
    return [_step(number) for number in range(version + 1, SCHEMA_VERSION + 1)]


def _step(number: int) -> str:
    schema = files("bridge.state").joinpath("schema", f"{number}.sql").read_text(encoding="utf-8")
    return (
        f"BEGIN IMMEDIATE; {file_mark.TABLE} {schema} {file_mark.TURN}"
        f" PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;"
    )


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
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        db.create_function("lower_case", 1, str.lower, deterministic=True)
        for script in steps_from(0):
            db.executescript(script)
        content = bytearray(db.serialize())
    finally:
        db.close()
    content[_VERSIONS_AT : _VERSIONS_AT + len(_WAL_VERSIONS)] = _WAL_VERSIONS
    return bytes(content)
