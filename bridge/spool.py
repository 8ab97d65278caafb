"""Requests to a service, running or not: small files beside its state file, taken up one by one.

The state file has one writer, the service; whoever else wants something done leaves a file.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bridge.errors import StateError


class Repair(msgspec.Struct, tag="repair", frozen=True):
    """Messages, by the rows of the state file, to be read again from end to end."""

    messages: list[int]


class Backfill(msgspec.Struct, tag="backfill", frozen=True):
    """A list whose history since an instant is to be sent."""

    list_id: int
    since: str


Request = Repair | Backfill


class Invalid(msgspec.Struct, frozen=True):
    """A file that holds no request."""

    reason: str


def leave(state: Path, request: Request) -> Path:
    """Leaves a request beside a state file. Raises StateError where that can't be written."""
    place = state.with_name(f"{state.name}.request-{time.time_ns()}")
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
        # Never seen half-written.
        draft.rename(place)
    except OSError as error:
        raise StateError(
            f"BRIDGE_STATE: can't leave a request beside {str(state)!r}: {error.strerror}. "
            "Run this as the user who owns it, or as root"
        ) from None
    return place


def waiting(state: Path) -> Iterator[tuple[Path, Request | Invalid]]:
    """The requests that wait, oldest first."""
    places = state.parent.glob(f"{state.name}.request-*")
    for place in sorted(one for one in places if one.suffix not in (".new", ".refused")):
        try:
            yield place, msgspec.json.decode(place.read_bytes(), type=Request)
        except (OSError, msgspec.DecodeError) as error:
            yield place, Invalid(str(error))


def done(place: Path) -> None:
    """A request that was taken up."""
    place.unlink(missing_ok=True)


def refuse(place: Path) -> Path:
    """Puts aside what is no request; returns where it is now."""
    return place.rename(place.with_name(f"{place.name}.refused"))
