"""Values of settings, and their parsers.

A parser takes the text and raises ValueError saying what is allowed.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from bridge.clock import DAY, HOUR, MINUTE
from bridge.errors import StateError
from bridge.event_types import EXTRA_PROPERTIES, TRACKS

_LONGEST_ZONE = 100
"""Characters of a time zone's name at most; the longest one has 32."""

_LONGEST_SECRET = 4000
"""Characters of a secret at most: all parts of it are remembered, so that they can be hidden."""

_SHOWN = 300
"""Characters of a value that are shown."""


class ListSetting(NamedTuple):
    """One configured list.

    profile_field: id or exact name of the field with the userId, None for none.
    """

    list_id: int
    profile_field: str | None


class Bind(NamedTuple):
    """The address of the status server.

    port: 0 for any free one.
    """

    host: str
    port: int


class Since(NamedTuple):
    """The configured start horizon: an instant, or a span before the first start.

    text: as it was written.
    instant: None for a span.
    ago: the span.
    """

    text: str
    instant: datetime | None
    ago: timedelta

    def at(self, first_start: datetime) -> datetime:
        """The start horizon, given the instant of the first start (both aware)."""
        return self.instant or first_start - self.ago


def number(low: float, high: float, unit: str = "") -> Callable[[str], float]:
    """A parser of numbers from `low` to `high`; seconds (unit "s") also as `500ms` or `2m`."""
    scale = {"ms": 0.001, "s": 1, "m": MINUTE, "h": HOUR, "d": DAY} if unit == "s" else {}

    def parse(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
        if match is None or (match[2] and match[2] not in scale):
            raise ValueError(f"a number from {low:g} to {high:g}{' seconds' if scale else ''}")
        value = float(match[1]) * scale.get(match[2], 1)
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}{' seconds' if scale else ''}")
        return value

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    """A parser of a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """A parser of one of a few words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text.lower()

    return parse


def secret_text(text: str) -> str:
    """A secret: anything that fits into an HTTP header."""
    if len(text) > _LONGEST_SECRET:
        raise ValueError(f"at most {_LONGEST_SECRET:,} characters")
    if any(line_end in text for line_end in "\r\n"):
        raise ValueError("one line only, and this has a line break inside")
    if not text.isascii() or not text.isprintable():
        raise ValueError("printable ASCII characters only")
    return text


def event_names(text: str) -> frozenset[str]:
    """Event names in any case, separated by commas; `all` for all."""
    return frozenset(TRACKS) if text.lower() == "all" else _some_of(TRACKS, text, "all")


def extra_properties(text: str) -> frozenset[str]:
    """Names of extra properties in any case, separated by commas; `none` for none."""
    return frozenset() if text.lower() == "none" else _some_of(EXTRA_PROPERTIES, text, "none")


def _some_of(names: Sequence[str], text: str, otherwise: str) -> frozenset[str]:
    """Some of a few names, in any case, separated by commas."""
    by_lower = {name.lower(): name for name in names}
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not wanted or any(name not in by_lower for name in wanted):
        raise ValueError(f"{otherwise}, or some of {', '.join(names)}, separated by commas")
    return frozenset(by_lower[name] for name in wanted)


def texts(text: str) -> frozenset[str]:
    """Some texts in lower case, separated by commas."""
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def list_settings(text: str) -> tuple[ListSetting, ...]:
    """The lists of `12345=777,67890`: ids, each perhaps with a profile field's id or exact name."""
    allowed = "list ids separated by commas, each optionally =profile field, as in 12345=777,67890"
    by_id: dict[int, ListSetting] = {}
    # A comma parts two lists only where a list id follows: a profile field's name may hold commas.
    for part in re.split(r",(?=\s*\d+\s*(?:=|,|$))", text.strip().rstrip(",")):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:=\s*(.*\S)\s*)?", part)
        if match is None:
            raise ValueError(allowed)
        list_id = int(match[1])
        if list_id in by_id:
            raise ValueError(f"{allowed}; list {list_id} stands twice")
        by_id[list_id] = ListSetting(list_id, match[2])
    return tuple(by_id.values())


def bind(text: str) -> Bind | None:
    """The address in `host:port` or `[::1]:port`; None (no status server) for an empty text."""
    if not text:
        return None
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\s\[\]]+)):(\d{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise ValueError("host:port, such as 127.0.0.1:8321 or [::1]:0, or nothing for none")
    return Bind(match[1] or match[2], int(match[3]))


def since(text: str) -> Since:
    """The start horizon: an ISO date-time (naive: in LISTRAK_TIMEZONE), or a span such as `30d`."""
    if text == "the first start":
        return Since(text, None, timedelta(0))
    if match := re.fullmatch(r"(\d{1,5})\s*([hdw])", text):
        seconds = int(match[1]) * {"h": HOUR, "d": DAY, "w": 7 * DAY}[match[2]]
        return Since(text, None, timedelta(seconds=seconds))
    try:
        return Since(text, datetime.fromisoformat(text), timedelta(0))
    except ValueError:
        raise ValueError(
            "an ISO date-time such as 2026-03-01T00:00:00Z, or a span such as 30d, 12h or 2w"
        ) from None


def timezone(text: str) -> ZoneInfo:
    """The zone of a name of the IANA time zone database."""
    allowed = "a time zone's name such as America/New_York"
    # A long one is looked for in folder within folder, until Python gives up.
    if len(text) > _LONGEST_ZONE:
        raise ValueError(allowed)
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError(allowed) from None


def is_loopback(host: str) -> bool:
    """Tells whether a host name or address stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def shown(text: str) -> str:
    """A value as it may be shown: in quotes, without credentials, and cut.

    Without the user name and password before a host, and without a query, where keys stand as well.
    """
    head, separator, rest = text.partition("://")
    if separator:
        before, _, host = rest.rpartition("@")
        rest = f"[credentials]{host}" if before else rest
        rest = re.sub(r"([?#]).+", r"\1...", rest, count=1, flags=re.DOTALL)
    told = f"{head}{separator}{rest}"
    return repr(told if len(told) <= _SHOWN else f"{told[:_SHOWN]}...")


def _address(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (raises on a bad port)
    except ValueError:
        raise ValueError("an https:// address") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an https:// address without query and fragment")
    if not re.fullmatch(r"[\w.:-]+", parts.hostname):
        raise ValueError("an https:// address; its host name is none")
    if parts.username is not None:
        raise ValueError("an address without user name and password")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("an https:// address; plain http:// is taken for loopback only")
    return parts


def address(default_path: str) -> Callable[[str], str]:
    """A parser of a base address; where no path is given it gets `default_path`."""

    def parse(text: str) -> str:
        parts = _address(text)
        path = parts.path.rstrip("/") or default_path
        return f"{parts.scheme}://{parts.netloc}{path}"

    return parse


def segment_address(text: str) -> str:
    """The base address of Segment's HTTP Tracking API; EU endpoints are refused."""
    parts = _address(text)
    labels = (parts.hostname or "").rstrip(".").split(".")
    if any(re.fullmatch(r"eu\d*(-.+)?|.+-eu\d*", label) for label in labels[:-1]):
        raise ValueError(
            "an address of a US workspace: the Listrak source is supported in US workspaces only, "
            "and this is a Segment EU endpoint"
        )
    return address("/v1")(text).removesuffix("/batch")


def state_path(text: str) -> Path:
    """A path of a file. Raises StateError for one that names a folder by its end."""
    if text == "." or text.endswith(("/", "/.")):
        raise StateError(f"BRIDGE_STATE: {text!r} names a folder. Name a file in it")
    return Path(text)
