"""The environment table: each setting once, with its default, its meaning and its parser."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bridge import clock
from bridge.clock import DAY, HOUR
from bridge.environment.secret_files import may_be_there, read_secret
from bridge.environment.values import (
    Bind,
    ListSetting,
    Since,
    address,
    bind,
    choice,
    event_names,
    extra_properties,
    integer,
    list_settings,
    number,
    secret_text,
    segment_address,
    shown,
    since,
    state_path,
    texts,
    timezone,
)
from bridge.errors import ConfigurationError
from bridge.output.redaction import SECRETS


@dataclass(frozen=True)
class Declaration:
    """The declaration of one setting.

    variable: name of the environment variable.
    default: text where it isn't set; None if it is required.
    help: meaning, for people.
    parse: turns the text into the value, or raises ValueError saying what is allowed.
    secret: never shown; may come from a file.
    """

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
    """A dataclass field that carries the Declaration of the parameters."""
    declaration = Declaration(variable, default, meaning, parse, secret)
    return field(metadata={"setting": declaration}, repr=not secret)


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
        state_path,
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
        "BRIDGE_EVENTS", "all", "which of the events to send", event_names
    )
    extra_properties: frozenset[str] = setting(
        "BRIDGE_EXTRA_PROPERTIES",
        "none",
        "properties to send that Listrak's own source doesn't: some of `bounce_reason`, "
        "`link_description`, `campaign_id`",
        extra_properties,
    )
    ignored_user_ids: frozenset[str] = setting(
        "BRIDGE_IGNORED_USER_IDS",
        "",
        "values of the profile field that stand for nobody, besides the usual ones such as `n/a`: "
        "contacts with one of them get no userId",
        texts,
    )
    poll_interval: float = setting(
        "BRIDGE_POLL_INTERVAL",
        "60",
        "seconds between two polls of what is fresh; older messages are polled less often",
        number(0.05, DAY, "s"),
    )
    poll_concurrency: int = setting(
        "BRIDGE_POLL_CONCURRENCY",
        "4",
        "resources read from Listrak side by side; at least two for each list",
        integer(1, 64),
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
        "BRIDGE_DRAIN_TIMEOUT", "10", "seconds that a stop may take", number(0.5, HOUR, "s")
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
    """Reads the settings of an environment.

    Raises ConfigurationError naming the variable, the value unless secret, and what is allowed.

    only: names of the fields to read, for commands that need few; None for all.
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
    """Variables with a prefix of the bridge's but no such name: most likely misspelt."""
    known = {declared.variable for declared in DECLARATIONS.values()}
    known |= {f"{declared.variable}_FILE" for declared in DECLARATIONS.values() if declared.secret}
    return sorted(
        name
        for name in environment
        if name.startswith(("BRIDGE_", "LISTRAK_", "SEGMENT_")) and name not in known
    )


class _Partial:
    """A part of the settings; reading another one is a programming error."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _read(declared: Declaration, environment: Mapping[str, str]) -> Any:
    source, text = declared.variable, environment.get(declared.variable, "")
    # Copied from a file, it may begin with a byte order mark.
    text = text.strip().removeprefix("\ufeff").strip()
    if not text and declared.secret:
        source, text = _secret_from_file(declared, environment)
    if not text:
        if declared.default is None:
            raise ConfigurationError(
                declared.variable, f"is not set; it is needed: {declared.help}"
            )
        # An empty text means "off" only for the address of the status server.
        explicit = declared.variable == "BRIDGE_STATUS_BIND" and declared.variable in environment
        text = "" if explicit else declared.default
    try:
        value = declared.parse(text)
    except ValueError as error:
        what = "its value" if declared.secret else shown(text)
        raise ConfigurationError(source, f"{what} is not allowed; it takes {error}") from None
    if declared.secret:
        if value.startswith(f"{declared.variable}="):
            problem = f"takes the secret alone, without {declared.variable}= before it"
            raise ConfigurationError(source, problem)
        SECRETS.add(value)
    return value


def _secret_from_file(declared: Declaration, environment: Mapping[str, str]) -> tuple[str, str]:
    """The secret from NAME_FILE, or from the systemd credential of the lower-case name, or "";
    before it the variable to look at."""
    named = environment.get(f"{declared.variable}_FILE", "").strip()
    if named:
        source, path = f"{declared.variable}_FILE", Path(named)
    elif folder := environment.get("CREDENTIALS_DIRECTORY"):
        source, path = declared.variable, Path(folder) / declared.variable.lower()
        if not may_be_there(path):
            return source, ""
    else:
        return declared.variable, ""
    try:
        return source, read_secret(path)
    except ValueError as error:
        # Without a folder, it may be the secret itself that was set there.
        is_path = "/" in str(path) or os.path.lexists(path)
        what = shown(str(path)) if is_path else "the file it names"
        raise ConfigurationError(source, f"can't read {what}: {error}") from None


_LONG_AGO = timedelta(days=20 * 365)


def _zoned(value: Since, zone: ZoneInfo) -> Since:
    if value.ago > _LONG_AGO or (value.instant and value.instant.year < 1970):
        raise ConfigurationError("BRIDGE_SINCE", f"{shown(value.text)} lies too far back")
    if value.instant is None:
        return value
    instant = value.instant if value.instant.tzinfo else value.instant.replace(tzinfo=zone)
    if instant > clock.utc_now() + timedelta(days=1):
        raise ConfigurationError("BRIDGE_SINCE", f"{shown(value.text)} lies in the future")
    return value._replace(instant=instant.astimezone(UTC))
