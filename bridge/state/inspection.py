"""The inspection of a state file before it is opened: what isn't what it seems is refused.

Nothing is changed by it. SQLite sees the main file alone at first, since it would take in whatever
stands beside it.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from bridge.errors import BridgeError, StateDamagedError, StateError, TemporaryError
from bridge.state import file_mark
from bridge.state.file_format import APPLICATION_ID, CHECKSUMS_SINCE, SCHEMA_VERSION
from bridge.state.file_mark import Beside, Mark
from bridge.state.lock import lock_of
from bridge.state.verification import DamageError, Verified, verify

COPIED: Final = (
    "it was in use when it was copied, another program has opened it since, or what stood in the "
    "-wal beside it can't be read: what was saved after that is not in it. Events since then are "
    "sent again under the same ids, which Segment drops within a day; what order totals rose by "
    "may come in other steps. All contacts are told again as they are now"
)
"""The meaning of a state file that looks like a copy of one in use."""

_HEADER_BYTES: Final = 100
"""Bytes of what every database begins with."""


class _Facts(NamedTuple):
    """The facts that a file tells of itself.

    objects: number of its tables and indexes.
    mark: None for none, as in files of older formats.
    """

    application: int
    version: int
    objects: int
    page_size: int
    mark: Mark | None

    @property
    def is_empty(self) -> bool:
        """Tells whether it is a database in which nothing was ever made."""
        return not self.application and not self.objects


def require_no_trace(path: Path) -> None:
    """Raises StateDamagedError where there is no state file, but traces of one.

    A lock file is a trace once something is written in it: that is done when the file is there.
    """
    lock = lock_of(path)
    traces = [file.name for file in _beside(path) if file.exists()]
    if lock.exists() and lock.stat().st_size:
        traces.append(lock.name)
    if traces:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} is gone, but {', '.join(traces)} "
            f"{'is' if len(traces) == 1 else 'are'} there: it was deleted or moved away, or its "
            "disk isn't mounted. Put it, or a backup of it, back in place. To start anew from "
            f"BRIDGE_SINCE, move {'that' if len(traces) == 1 else 'these'} away as well"
        )


def inspect(path: Path, *, thorough: bool) -> bool:
    """Tells whether a state file looks like a copy of one in use, without its -wal.

    thorough: looks for damage in all of it as well.

    Raises StateDamagedError where it is no state file, or beside it stands what isn't its own.
    """
    try:
        _require_content(path)
        return _inspect(path, thorough=thorough)
    except OSError as error:
        problem = f"BRIDGE_STATE: can't read {str(path)!r}: {error.strerror}"
        raise StateError(problem) from None
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise unreadable(error, path) from error


def _inspect(path: Path, *, thorough: bool) -> bool:
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists() and journal.stat().st_size:
        raise StateDamagedError(_not_its_own(path, journal))
    has_commits = file_mark.has_commits(path)
    alone = _alone(path, has_commits=has_commits)
    facts = alone or _facts(_address(path, alone=False), has_commits=True)
    _require_ours(path, facts)
    copied = alone is not None and _is_copy(path, alone)
    # Of older formats nothing tells later what is damaged.
    if thorough or facts.version < CHECKSUMS_SINCE:
        verified(path, alone=not has_commits)
    return copied


def verified(path: Path, *, alone: bool) -> Verified:
    """The findings of a look at all of a file; beside who writes it unless `alone`.

    Raises StateDamagedError, without any value that is stored, and what SQLite raises.
    """
    try:
        return verify(_address(path, alone=alone))
    except DamageError as damage:
        raise StateDamagedError(damaged(path, str(damage))) from None


def _is_copy(path: Path, facts: _Facts) -> bool:
    """Tells whether a file was in use, and what was saved last is not beside it.

    Files of older formats don't know.

    Raises StateDamagedError where a -wal of another file or moment, or a damaged one, is beside it.
    """
    if facts.mark is None:
        return False
    beside = file_mark.beside(path, facts.mark, facts.page_size)
    if beside is Beside.FOREIGN:
        raise StateDamagedError(_not_its_own(path, file_mark.wal_of(path)))
    if beside is Beside.DAMAGED:
        raise StateDamagedError(_damaged_beside(path, file_mark.wal_of(path)))
    return facts.mark.in_use and beside is Beside.NOTHING


def _alone(path: Path, *, has_commits: bool) -> _Facts | None:
    """The facts that the main file tells by itself; None where only the -wal beside it can tell.

    That is so after a crash in which its tables were being made by an older version, or brought up
    to date.
    """
    try:
        facts = _facts(_address(path, alone=True), has_commits=has_commits)
    except sqlite3.Error:
        if has_commits:
            return None
        raise
    return None if has_commits and facts.is_empty else facts


def _require_ours(path: Path, facts: _Facts) -> None:
    if facts.is_empty:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} is an empty database: most likely a copy of a state file "
            "that was in use, without the -wal file beside it. Copy a state file only while no "
            "service has it open, or by sqlite3's .backup; move this one away to start anew"
        )
    if facts.application != APPLICATION_ID:
        raise StateDamagedError(_not_ours(path))
    if facts.version > SCHEMA_VERSION:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} was written by a newer version of this program (format "
            f"{facts.version}, this one reads up to {SCHEMA_VERSION}). Install the newer version"
        )


def _require_content(path: Path) -> None:
    """Raises StateDamagedError for a file that SQLite would take for a new database."""
    size = path.stat().st_size
    if not size:
        raise StateDamagedError(
            f"BRIDGE_STATE: {str(path)!r} is empty, which no state file ever is: what was in it is "
            "lost. Restore a backup, or move it away, and what stands beside it, to start anew "
            "from BRIDGE_SINCE"
        )
    if size < _HEADER_BYTES:
        raise StateDamagedError(_not_ours(path))


def _address(path: Path, *, alone: bool) -> str:
    """The address of a file for reading; `alone` without what stands beside it."""
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _facts(address: str, *, has_commits: bool) -> _Facts:
    with closing(sqlite3.connect(address, uri=True)) as db:
        if has_commits:
            # By itself it may be shorter than its head says: this has SQLite read it nevertheless.
            db.execute("PRAGMA writable_schema = ON")
        application, version, objects, page_size, has_mark = (
            db.execute(query).fetchone()[0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_schema",
                "PRAGMA page_size",
                f"SELECT max(rootpage) FROM sqlite_schema WHERE name = '{file_mark.NAME}'",
            )
        )
        row = db.execute(file_mark.READ).fetchone() if has_mark else None
    mark = Mark(bool(row[0]), row[1], row[2]) if row else None
    return _Facts(application, version, objects, page_size, mark)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal")]


def damaged(path: Path, reason: str, *, untouched: bool = True) -> str:
    """The sentence about a damaged file; `untouched`: nothing was changed since it is open."""
    left = "it was left as it is" if untouched else "so the run ends"
    return (
        f"BRIDGE_STATE: {str(path)!r} is damaged ({reason}); {left}. "
        "Restore a backup, or move it away, and what stands beside it, to start anew from "
        "BRIDGE_SINCE"
    )


def _not_ours(path: Path) -> str:
    return (
        f"BRIDGE_STATE: {str(path)!r} is not a state file of this program; "
        "it was left untouched. Name another file"
    )


def _not_its_own(path: Path, other: Path) -> str:
    return (
        f"BRIDGE_STATE: {str(other)!r} belongs to another state file, or to this one at another "
        f"time: taken together with {str(path)!r}, neither would be right. Both were left as they "
        f"are. Put the file back that it belongs to. Or move {other.name} away, to go on from what "
        "the state file itself holds, which may lack what was saved last"
    )


def _damaged_beside(path: Path, wal: Path) -> str:
    return (
        f"BRIDGE_STATE: {str(wal)!r} is damaged: what was saved in it last would be left out. It "
        f"was left as it is. Restore a backup of {path.name}. Or move {wal.name} away, to go on "
        "from what the state file itself holds"
    )


def translated(
    error: sqlite3.Error, path: Path, statement: str = "", *, untouched: bool = False
) -> BridgeError:
    """SQLite's error as one of ours, without any value that is stored.

    statement: the SQL at which it came; the tables that it reads are named.
    """
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StateDamagedError(damaged(path, str(error), untouched=untouched))
    if _is_unsound(error):
        tables = " or ".join(dict.fromkeys(re.findall(r"\bsound_(\w+)", statement)))
        row = f"a row of its table {tables}" if tables else "a row that was read"
        reason = f"{row} is not as it was written"
        return StateDamagedError(damaged(path, reason, untouched=untouched))
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY")):
        return TemporaryError(f"BRIDGE_STATE: can't write {str(path)!r} for now: {error}")
    hint = ""
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        hint = "; even to read it SQLite writes beside it: may its folder be written to?"
    return StateError(f"BRIDGE_STATE: can't use {str(path)!r}: {error}{hint}")


def unreadable(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> BridgeError:
    """SQLite's error while a file is only looked at: unless it can't be opened, it is damaged."""
    if isinstance(error, UnicodeDecodeError):
        # SQLite quotes a definition, in which a byte is another one.
        return StateDamagedError(damaged(path, "the definitions of its tables can't be read"))
    name = getattr(error, "sqlite_errorname", "")
    told = translated(error, path, untouched=True)
    if isinstance(told, StateError) and not name.startswith(_NOT_OPENED):
        return StateDamagedError(damaged(path, str(error)))
    return told


_NOT_OPENED: Final = ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_AUTH")


def _is_unsound(error: sqlite3.Error) -> bool:
    """Tells whether a row didn't fit its checksum, or a text wasn't UTF-8: the error quotes it."""
    return str(error).startswith(("user-defined function raised", "Could not decode to UTF-8"))
