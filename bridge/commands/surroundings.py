"""The machine around the service, as far as it is needed: disk, descriptors, proxies."""

import os
import platform
import resource
import shutil
import ssl
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple

from bridge import VERSION
from bridge.environment.settings import Settings
from bridge.errors import BridgeError, ConfigurationError, StateError, TemporaryError
from bridge.state.lock import is_locked, lock_of
from bridge.state.place import real_of
from bridge.transport.http import proxy_of

MB: Final = 10**6

LEAST_FREE: Final = 2 * MB
"""Bytes without which hardly anything is saved: a catch-up ends with 75 then."""

ROOM: Final = 64 * MB
"""Bytes for the -wal, and for what is still to come, beside what the state file has now."""

DESCRIPTORS: Final = 64
"""Files and connections beside those that settings and the status port allow: the state file, the
libraries, and what is asked for a moment only."""


class CheckResult(NamedTuple):
    """The result of a check: what it is about, ok or warning or failed, and what there is.

    exit_code: of what ends a run, else 0.
    """

    what: str
    state: str
    text: str
    exit_code: int = 0

    @classmethod
    def of(cls, what: str, error: BridgeError) -> "CheckResult":
        """The result that an error is."""
        return cls(what, "failed", str(error), error.exit_code)


def surroundings(settings: Settings) -> list[CheckResult]:
    """The results of all checks of what is around the service."""
    return [
        _writing(settings.state),
        _disk(settings.state),
        _descriptors(settings),
        *_proxies(settings),
        CheckResult(
            "versions",
            "ok",
            f"this program {VERSION}, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        ),
    ]


def _writing(path: Path) -> CheckResult:
    """The check whether a run could write the state file, and what is beside it."""
    what = "state folder"
    try:
        real = real_of(path)
        if is_locked(real):
            text = "the state file is in use: a service runs, and a second one would end with 73"
            return CheckResult(what, "ok", text)
        _try_writing(real)
    except StateError as error:
        return CheckResult.of(what, error)
    return CheckResult(what, "ok", f"{str(real.parent)!r} can be written to")


def _try_writing(real: Path) -> None:
    """Raises StateError where something can't be written; nothing is changed by it."""
    tried = real
    try:
        for tried in (real, lock_of(real)):
            if tried.is_file():
                os.close(os.open(tried, os.O_RDWR | os.O_CLOEXEC))
            elif tried.exists():
                raise StateError(f"BRIDGE_STATE: can't write {str(tried)!r}: it is no file")
        # What a permission says is not all: a file system may be read-only. It has no name.
        tried = real.parent
        with TemporaryFile(dir=tried):
            pass
    except OSError as error:
        raise StateError(
            f"BRIDGE_STATE: can't write {str(tried)!r}: {error.strerror}. Let this user write "
            "there, or name another file; a run would end with 73"
        ) from None


def _disk(path: Path) -> CheckResult:
    """The check about the room for the state file."""
    # What can't be looked at is another check's.
    what, real = "disk", Path(os.path.realpath(path))
    size, wal = _size(real), _size(real.with_name(f"{real.name}-wal"))
    free = _free(real)
    # What is erased is written anew, twice over.
    needed = 2 * size + ROOM
    text = f"{_mb(free)} free; the state file has {_mb(size)}, its -wal {_mb(wal)}"
    if free < LEAST_FREE:
        problem = f"BRIDGE_STATE: the disk is full ({text}); nothing is saved until there is room"
        return CheckResult.of(what, TemporaryError(problem))
    if free < needed:
        return CheckResult(what, "warning", f"{text}; keep {_mb(needed)} free for it")
    return CheckResult(what, "ok", text)


def _size(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _free(path: Path) -> int:
    """Bytes free where a file is or would be made: in the nearest folder that can be looked at."""
    for folder in path.parents:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0


def _mb(size: int) -> str:
    return f"{size / MB:,.1f} MB" if size < 100 * MB else f"{size // MB:,} MB"


def _descriptors(settings: Settings) -> CheckResult:
    """The check that there are enough of them for all that may be open at once."""
    # Imported here, as it takes a tenth of a start.
    from bridge.supervision.status_server import MOST_CONNECTIONS

    # A session that is replaced keeps its connections until they are done.
    requests = 2 * (settings.poll_concurrency + settings.send_concurrency)
    needed = DESCRIPTORS + MOST_CONNECTIONS + requests
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit in (resource.RLIM_INFINITY, -1):
        return CheckResult("descriptors", "ok", f"no limit; at most {needed} are needed")
    text = f"{limit:,} allowed, at most {needed} needed"
    if limit < needed:
        return CheckResult("descriptors", "warning", f"{text}: raise it (ulimit -n, LimitNOFILE=)")
    return CheckResult("descriptors", "ok", text)


def _proxies(settings: Settings) -> list[CheckResult]:
    """The checks of what is between this machine and each server."""
    results = []
    for variable, url in (
        ("LISTRAK_API_URL", settings.listrak_api_url),
        ("LISTRAK_TOKEN_URL", settings.listrak_token_url),
        ("SEGMENT_API_URL", settings.segment_api_url),
    ):
        what = f"proxy of {variable}"
        try:
            results.append(CheckResult(what, "ok", proxy_of(url) or "none"))
        except ConfigurationError as error:
            results.append(CheckResult.of(what, error))
    return results
