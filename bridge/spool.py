"""Requests to a service, running or not: small files beside its state file.

Only the service writes the state file; another process that wants something done leaves a request.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from bridge import clock
from bridge.errors import StateError, TemporaryError


class Repair(msgspec.Struct, tag="repair", frozen=True):
    """A request for full polls.

    messages: ids of their rows in the state file.
    """

    messages: list[int]


class Backfill(msgspec.Struct, tag="backfill", frozen=True):
    """A request for a backfill of a list.

    since: instant from which on events are sent; "" for all.
    events: it is of what was withheld by BRIDGE_EVENTS, not of the time before the start horizon.
    warehouse_only: its events are for warehouses alone.
    """

    list_id: int
    since: str
    events: bool = False
    warehouse_only: bool = False


class IdentifyAll(msgspec.Struct, tag="identify_all", frozen=True):
    """A request to tell all contacts of a list again."""

    list_id: int


class Erase(msgspec.Struct, tag="erase", frozen=True):
    """A request to erase all that is kept of an address."""

    address: str


Request = Repair | Backfill | IdentifyAll | Erase


class Invalid(msgspec.Struct, frozen=True):
    """The reason why a file holds no request."""

    reason: str


def leave(state: Path, request: Request) -> Path:
    """Leaves a request beside a state file; returns its path.

    Raises StateError if it can't, TemporaryError where the disk is full.
    """
    place = state.with_name(f"{state.name}.request-{clock.wall_time_ns()}")
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
    """The files of requests, oldest first, and what each holds."""
    places = state.parent.glob(f"{state.name}.request-*")
    for place in sorted(one for one in places if one.suffix not in (".new", ".refused")):
        if not place.is_file():
            # A pipe, say, would be read for ever.
            yield place, Invalid("it is no file")
            continue
        try:
            yield place, msgspec.json.decode(place.read_bytes(), type=Request)
        except (OSError, msgspec.DecodeError) as error:
            yield place, Invalid(str(error))


def done(place: Path) -> None:
    """Removes a request that was taken up."""
    place.unlink(missing_ok=True)


def refuse(place: Path) -> Path:
    """Puts aside a file that holds no request; returns where it is now."""
    return place.rename(place.with_name(f"{place.name}.refused"))
