"""Requests to a service, running or not: small files beside its state file.

Only the service writes the state file; another process that wants something done leaves a request.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from bridge import clock
from bridge.errors import StateError, TemporaryError
from bridge.output.texts import line_of

MOST_BYTES: Final = 1 << 24
"""Bytes of the largest request; of a repair it is a number a message."""


LEFT: Final = (
    "What was asked for waits beside it, and is done by the service, running or at its next start"
)
"""The consequence where a command that has left a request can't do it by itself."""


_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An id that the state file can hold."""

_INSTANT: Final = r"(19[7-9]|[2-9]\d\d)\d(-\d\d){2}T\d\d(:\d\d){2}\.\d{3}Z"
_Since = Annotated[str, msgspec.Meta(pattern=rf"^({_INSTANT})?\Z")]
"""The text of an instant since 1970, or none."""


class Repair(msgspec.Struct, tag="repair", frozen=True):
    """A request for full polls.

    messages: ids of their rows in the state file.
    """

    messages: list[_Id]


class Backfill(msgspec.Struct, tag="backfill", frozen=True):
    """A request for a backfill of a list.

    since: instant from which on events are sent; "" for all.
    events: it is of what was withheld by BRIDGE_EVENTS, not of the time before the start horizon.
    warehouse_only: its events are for warehouses alone.
    """

    list_id: _Id
    since: _Since
    events: bool = False
    warehouse_only: bool = False


class IdentifyAll(msgspec.Struct, tag="identify_all", frozen=True):
    """A request to tell all contacts of a list again."""

    list_id: _Id


class Erase(msgspec.Struct, tag="erase", frozen=True):
    """A request to erase all that is kept of an address."""

    # What is no address would be found in every text, or in many.
    address: Annotated[str, msgspec.Meta(pattern=r"[^\s@]\s*@|@\s*[^\s@]")]


Request = Repair | Backfill | IdentifyAll | Erase


class Invalid(msgspec.Struct, frozen=True):
    """The reason why a file holds no request."""

    reason: str


def leave(state: Path, request: Request) -> Path:
    """Leaves a request beside a state file; returns its path.

    Raises StateError if it can't, TemporaryError where the disk is full.
    """
    # The service looks beside the file itself, by whatever link it is named.
    state = state.resolve()
    number = clock.wall_time_ns()
    # By a clock that was set back, or stands, no request takes the place of another.
    while (place := state.with_name(f"{state.name}.request-{number}")).exists():
        number += 1
    draft = place.with_name(f"{place.name}.new")
    try:
        owner = state.stat()
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Written by root, it has to be readable by the service's own user.
            if os.geteuid() == 0:
                os.fchown(file, owner.st_uid, owner.st_gid)
            os.write(file, msgspec.json.encode(request))
            os.fsync(file)
        finally:
            os.close(file)
        # The service never sees half a request.
        draft.rename(place)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        problem = f"BRIDGE_STATE: can't leave a request beside {str(state)!r}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise TemporaryError(problem) from None
        raise StateError(f"{problem}. Run this as the user who owns it, or as root") from None
    return place


def waiting(state: Path) -> Iterator[tuple[Path, Request | Invalid]]:
    """The files of requests, oldest first, and what each holds. Raises StateError."""
    state = state.resolve()
    beginning = f"{state.name}.request-"
    try:
        places = [one for one in state.parent.iterdir() if one.name.startswith(beginning)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"BRIDGE_STATE: can't look beside {str(state)!r}: {error.strerror}"
        ) from None
    for place in sorted(one for one in places if one.suffix not in (".new", ".refused")):
        if not place.is_file():
            # A pipe, say, would be read for ever.
            yield place, Invalid("it is no file")
            continue
        try:
            yield place, _request_in(_read(place))
        except FileNotFoundError:
            # Taken up meanwhile.
            continue
        except (OSError, ValueError, RecursionError) as error:
            yield place, Invalid(line_of(str(error)))


def done(place: Path) -> None:
    """Removes a request that was taken up. Raises StateError: left there it would come again."""
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"BRIDGE_STATE: can't remove {str(place)!r}: {error.strerror}") from None


def refuse(place: Path) -> Path:
    """Puts aside a file that holds no request; returns where it is now. Raises StateError."""
    try:
        return place.rename(place.with_name(f"{place.name}.refused"))
    except OSError as error:
        raise StateError(f"BRIDGE_STATE: can't rename {str(place)!r}: {error.strerror}") from None


def _request_in(data: bytes) -> Request:
    """The request that a file holds. Raises ValueError or RecursionError for none."""
    request: Request = msgspec.json.decode(data, type=Request)
    if isinstance(request, Backfill) and request.since:
        # A day that the calendar hasn't would be met again at each start.
        datetime.fromisoformat(request.since)
    return request


def _read(place: Path) -> bytes:
    """The content of a request. Raises OSError, also for what is no file: opened, it may hang."""
    file = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise OSError("it is no file, or a huge one")
        return os.read(file, MOST_BYTES)
    finally:
        os.close(file)
