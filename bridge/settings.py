"""The environment table: each setting once, with its default, its meaning and how it is read."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from bridge.errors import ConfigurationError
from bridge.vocabulary import TRACKS


class ListSetting(NamedTuple):
    """One configured list: its id, and the profile field (id or exact name) with the userId."""

    list_id: int
    profile_field: str | None


class Bind(NamedTuple):
    """Where the status server listens; port 0 takes any free one."""

    host: str
    port: int


class Since(NamedTuple):
    """How far back the first start looks: an instant, or a span before the first start."""

    text: str
    instant: datetime | None
    ago: timedelta

    def at(self, first_start: datetime) -> datetime:
        """The start horizon, given when the first start happened (both aware)."""
        return self.instant or first_start - self.ago


@dataclass(frozen=True)
class Declaration:
    """How one variable is declared: its name, default text, meaning and parser."""

    variable: str
    default: str | None
    help: str
    parse: Callable[[str], Any]
    secret: bool = False


def setting(
    variable: str,
    default: str | None,
    meaning: str,
    parse: Callable[[str], Any],
    *,
    secret: bool = False,
) -> Any:
    """A dataclass field that carries its declaration; `default=None` makes it required."""
    declaration = Declaration(variable, default, meaning, parse, secret)
    return field(metadata={"setting": declaration}, repr=not secret)


def number(low: float, high: float, unit: str = "") -> Callable[[str], float]:
    """A parser of a number from `low` to `high`; with unit "s" also `500ms`, `2m`, `1h`, `1d`."""
    scale = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400} if unit == "s" else {}

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
    if not text.isascii() or not text.isprintable():
        raise ValueError("printable ASCII characters only")
    return text


def event_names(text: str) -> frozenset[str]:
    """`all`, or event names separated by commas, in any case."""
    if text.lower() == "all":
        return frozenset(TRACKS)
    by_lower = {name.lower(): name for name in TRACKS}
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted or any(name.lower() not in by_lower for name in wanted):
        raise ValueError(f"all, or some of {', '.join(TRACKS)}, separated by commas")
    return frozenset(by_lower[name.lower()] for name in wanted)


def list_settings(text: str) -> tuple[ListSetting, ...]:
    """`12345=777,67890`: list ids, each optionally with the id or exact name of a profile field."""
    allowed = "list ids separated by commas, each optionally =profile field, as in 12345=777,67890"
    found: dict[int, ListSetting] = {}
    # A comma parts two lists only where a list id follows: a profile field's name may hold commas.
    for part in re.split(r",(?=\s*\d+\s*(?:=|,|$))", text.strip().rstrip(",")):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:=\s*(.*\S)\s*)?", part)
        if match is None:
            raise ValueError(allowed)
        list_id = int(match[1])
        if list_id in found:
            raise ValueError(f"{allowed}; list {list_id} stands twice")
        found[list_id] = ListSetting(list_id, match[2])
    return tuple(found.values())


def bind(text: str) -> Bind | None:
    """`host:port`, `[::1]:port`; empty means no status server."""
    if not text:
        return None
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\s\[\]]+)):(\d{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise ValueError("host:port, such as 127.0.0.1:8321 or [::1]:0, or nothing for none")
    return Bind(match[1] or match[2], int(match[3]))


def since(text: str) -> Since:
    """An ISO date-time (naive ones are read in LISTRAK_TIMEZONE), or a span such as `30d`."""
    if text == "the first start":
        return Since(text, None, timedelta(0))
    if match := re.fullmatch(r"(\d{1,5})\s*([hdw])", text):
        hours = int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]]
        return Since(text, None, timedelta(hours=hours))
    try:
        return Since(text, datetime.fromisoformat(text), timedelta(0))
    except ValueError:
        raise ValueError(
            "an ISO date-time such as 2026-03-01T00:00:00Z, or a span such as 30d, 12h or 2w"
        ) from None


def timezone(text: str) -> ZoneInfo:
    """A name of the IANA time zone database."""
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError("a time zone's name such as America/New_York") from None


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, parsed. Only the composition root and the command line read them."""

    listrak_client_id: str = setting(
        "LISTRAK_CLIENT_ID", None, "client id of the Listrak integration", secret_text, secret=True
    )
    listrak_client_secret: str = setting(
        "LISTRAK_CLIENT_SECRET", None, "its client secret", secret_text, secret=True
    )
    segment_write_key: str = setting(
        "SEGMENT_WRITE_KEY", None, "write key of the Segment source", secret_text, secret=True
    )
    lists: tuple[ListSetting, ...] = setting(
        "LISTRAK_LISTS",
        None,
        "the lists to read, each optionally with the profile field (id or exact name) that holds "
        "the userId: `12345=777,67890`",
        list_settings,
    )
    listrak_api_url: str = setting(
        "LISTRAK_API_URL",
        "https://api.listrak.com/email/v1",
        "base address of Listrak's Email REST API",
        address("/email/v1"),
    )
    listrak_token_url: str = setting(
        "LISTRAK_TOKEN_URL",
        "https://auth.listrak.com/OAuth2/Token",
        "where access tokens come from",
        address("/OAuth2/Token"),
    )
    segment_api_url: str = setting(
        "SEGMENT_API_URL",
        "https://api.segment.io/v1",
        "base address of Segment's HTTP Tracking API (US only)",
        segment_address,
    )
    listrak_timezone: ZoneInfo = setting(
        "LISTRAK_TIMEZONE", "America/New_York", "the zone of Listrak's naive times", timezone
    )
    listrak_requests_per_second: float = setting(
        "LISTRAK_REQUESTS_PER_SECOND", "5", "ceiling of calls to Listrak; 0 = none", number(0, 1000)
    )
    state: Path = setting(
        "BRIDGE_STATE",
        "",
        "the state file; `$STATE_DIRECTORY/bridge.db` under systemd, else `./bridge.db`",
        Path,
    )
    since: Since = setting(
        "BRIDGE_SINCE",
        "the first start",
        "how far back the first start looks: an ISO date-time or a span such as `30d`",
        since,
    )
    track_days: float = setting(
        "BRIDGE_TRACK_DAYS",
        "30",
        "how many days a message is read after a send (the attribution window)",
        number(1, 400),
    )
    events: frozenset[str] = setting(
        "BRIDGE_EVENTS", "all", "which of the seven events to send", event_names
    )
    poll_interval: float = setting(
        "BRIDGE_POLL_INTERVAL",
        "60",
        "seconds between two looks at what is fresh; older messages are asked less often",
        number(0.05, 86400, "s"),
    )
    poll_concurrency: int = setting(
        "BRIDGE_POLL_CONCURRENCY", "4", "resources read from Listrak side by side", integer(1, 64)
    )
    send_concurrency: int = setting(
        "BRIDGE_SEND_CONCURRENCY", "4", "batches on their way to Segment at once", integer(1, 64)
    )
    queue_pages: int = setting(
        "BRIDGE_QUEUE_PAGES", "8", "bound of each queue, in pages", integer(1, 1000)
    )
    batch_events: int = setting(
        "BRIDGE_BATCH_EVENTS", "2500", "most events in a batch", integer(1, 2500)
    )
    batch_bytes: int = setting(
        "BRIDGE_BATCH_BYTES",
        "475000",
        "most bytes in a batch, before compression",
        integer(33_000, 475_000),
    )
    flush_interval: float = setting(
        "BRIDGE_FLUSH_INTERVAL",
        "1",
        "seconds that a batch waits to be filled",
        number(0, 60, "s"),
    )
    events_per_second: float = setting(
        "BRIDGE_EVENTS_PER_SECOND",
        "1000",
        "ceiling of events to Segment (its default inbound limit); 0 = none",
        number(0, 1_000_000),
    )
    drain_timeout: float = setting(
        "BRIDGE_DRAIN_TIMEOUT", "10", "seconds that a stop may take", number(0.5, 3600, "s")
    )
    status_bind: Bind | None = setting(
        "BRIDGE_STATUS_BIND",
        "127.0.0.1:8321",
        "where health and metrics are served; empty = off, port 0 = any",
        bind,
    )
    log_level: str = setting(
        "BRIDGE_LOG_LEVEL",
        "info",
        "debug, info, warning or error",
        choice("debug", "info", "warning", "error"),
    )
    log_format: str = setting(
        "BRIDGE_LOG_FORMAT",
        "auto",
        "console, json, or auto (console on a terminal, JSON otherwise)",
        choice("auto", "console", "json"),
    )


DECLARATIONS: dict[str, Declaration] = {
    item.name: item.metadata["setting"] for item in fields(Settings)
}


def load(environment: Mapping[str, str] = os.environ, *, only: frozenset[str] | None = None) -> Any:
    """Reads all settings from an environment.

    Raises ConfigurationError naming the variable, the value unless secret, and what is allowed.
    With `only` (field names) the rest may be missing: for commands that need just a few.
    """
    values: dict[str, Any] = {}
    for name, declared in DECLARATIONS.items():
        if only is None or name in only:
            values[name] = _read(declared, environment)
    if "state" in values and values["state"] == Path():
        values["state"] = Path(environment.get("STATE_DIRECTORY", ".").split(":")[0]) / "bridge.db"
    if "since" in values:
        values["since"] = _zoned(
            values["since"], _read(DECLARATIONS["listrak_timezone"], environment)
        )
    if only is not None:
        return _Partial(values)
    return Settings(**values)


def unknown(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like ours but aren't: most likely misspelt."""
    known = {declared.variable for declared in DECLARATIONS.values()}
    known |= {f"{declared.variable}_FILE" for declared in DECLARATIONS.values() if declared.secret}
    return sorted(
        name
        for name in environment
        if name.startswith(("BRIDGE_", "LISTRAK_", "SEGMENT_")) and name not in known
    )


class _Partial:
    """Some of the settings; asking for another is a programming error."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _read(declared: Declaration, environment: Mapping[str, str]) -> Any:
    text = environment.get(declared.variable, "").strip()
    if not text and declared.secret:
        text = _secret_from_file(declared, environment)
    if not text:
        if declared.default is None:
            raise ConfigurationError(
                declared.variable, f"is not set; it is needed: {declared.help}"
            )
        # Set to nothing means "off" only for the address of the status server.
        explicit = declared.variable == "BRIDGE_STATUS_BIND" and declared.variable in environment
        text = "" if explicit else declared.default
    try:
        return declared.parse(text)
    except ValueError as error:
        shown = "its value" if declared.secret else repr(text)
        raise ConfigurationError(
            declared.variable, f"{shown} is not allowed; it takes {error}"
        ) from None


def _secret_from_file(declared: Declaration, environment: Mapping[str, str]) -> str:
    """The secret from NAME_FILE, or from the systemd credential of the lower-case name."""
    named = environment.get(f"{declared.variable}_FILE", "").strip()
    if named:
        source, path = f"{declared.variable}_FILE", Path(named)
    elif folder := environment.get("CREDENTIALS_DIRECTORY"):
        source, path = declared.variable, Path(folder) / declared.variable.lower()
        if not path.exists():
            return ""
    else:
        return ""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigurationError(source, f"can't read {str(path)!r}: {reason}") from None
    if not text:
        raise ConfigurationError(source, f"{str(path)!r} is empty")
    return text


_LONG_AGO = timedelta(days=20 * 365)


def _zoned(value: Since, zone: ZoneInfo) -> Since:
    if value.ago > _LONG_AGO or (value.instant and value.instant.year < 1970):
        raise ConfigurationError("BRIDGE_SINCE", f"{value.text!r} lies too far back")
    if value.instant is None:
        return value
    instant = value.instant if value.instant.tzinfo else value.instant.replace(tzinfo=zone)
    if instant > datetime.now(UTC) + timedelta(days=1):
        raise ConfigurationError("BRIDGE_SINCE", f"{value.text!r} lies in the future")
    return value._replace(instant=instant.astimezone(UTC))
