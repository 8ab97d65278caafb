"""The environment table: what each variable takes, and what is said where it doesn't."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.environment.secret_files import read_secret
from bridge.environment.settings import DECLARATIONS, Settings, load, unknown
from bridge.environment.values import Bind, ListSetting, Since
from bridge.errors import ConfigurationError, StateError
from bridge.event_types import EXTRA_PROPERTIES, TRACKS
from bridge.listrak import times

REQUIRED = {
    "LISTRAK_CLIENT_ID": "the-id-of-it",
    "LISTRAK_CLIENT_SECRET": "its-secret",
    "SEGMENT_WRITE_KEY": "a-write-key",
    "LISTRAK_LISTS": "12345",
}
SECRETS = ("LISTRAK_CLIENT_ID", "LISTRAK_CLIENT_SECRET", "SEGMENT_WRITE_KEY")
FIRST_START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def settings(**changes: str) -> Settings:
    loaded: Settings = load({**REQUIRED, **changes})
    return loaded


def refused(variable: str, environment: Mapping[str, str]) -> str:
    """What is said of a variable that is not allowed."""
    with pytest.raises(ConfigurationError) as caught:
        load(environment)
    assert caught.value.exit_code == 78
    assert caught.value.setting == variable
    said = str(caught.value)
    assert said.startswith(f"{variable}: ")
    return said


def field_of(variable: str) -> str:
    (name,) = [name for name, found in DECLARATIONS.items() if found.variable == variable]
    return name


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("LISTRAK_API_URL", "https://api.listrak.com/email/v1"),
        ("LISTRAK_TOKEN_URL", "https://auth.listrak.com/OAuth2/Token"),
        ("SEGMENT_API_URL", "https://api.segment.io/v1"),
        ("LISTRAK_TIMEZONE", ZoneInfo("America/New_York")),
        ("LISTRAK_REQUESTS_PER_SECOND", 5),
        ("BRIDGE_STATE", Path("bridge.db")),
        ("BRIDGE_SINCE", Since("the first start", None, timedelta(0))),
        ("BRIDGE_TRACK_DAYS", 30),
        ("BRIDGE_EVENTS", frozenset(TRACKS)),
        ("BRIDGE_EXTRA_PROPERTIES", frozenset()),
        ("BRIDGE_POLL_INTERVAL", 60),
        ("BRIDGE_POLL_CONCURRENCY", 4),
        ("BRIDGE_SEND_CONCURRENCY", 4),
        ("BRIDGE_QUEUE_PAGES", 8),
        ("BRIDGE_BATCH_EVENTS", 2500),
        ("BRIDGE_BATCH_BYTES", 475_000),
        ("BRIDGE_FLUSH_INTERVAL", 1),
        ("BRIDGE_EVENTS_PER_SECOND", 1000),
        ("BRIDGE_DRAIN_TIMEOUT", 10),
        ("BRIDGE_STATUS_BIND", Bind("127.0.0.1", 8321)),
        ("BRIDGE_LOG_LEVEL", "info"),
        ("BRIDGE_LOG_FORMAT", "auto"),
    ],
)
def test_defaults(variable: str, expected: object) -> None:
    """What isn't set takes its default, and so does what is set to nothing but spaces."""
    assert getattr(settings(), field_of(variable)) == expected
    if variable != "BRIDGE_STATUS_BIND":
        assert getattr(settings(**{variable: "  "}), field_of(variable)) == expected


def test_the_table_is_whole() -> None:
    """These are all variables of the contract, each once, each with a meaning."""
    variables = [declared.variable for declared in DECLARATIONS.values()]
    assert len(set(variables)) == len(variables) == 27
    assert {name for name in variables if DECLARATIONS[field_of(name)].default is None} == set(
        REQUIRED
    )
    assert {declared.variable for declared in DECLARATIONS.values() if declared.secret} == set(
        SECRETS
    )
    assert all(declared.help for declared in DECLARATIONS.values())


@pytest.mark.parametrize("variable", sorted(REQUIRED))
@pytest.mark.parametrize("value", [None, "", "  "])
def test_required(variable: str, value: str | None) -> None:
    """What is required and missing is named, with what it is for."""
    environment = {name: text for name, text in REQUIRED.items() if name != variable}
    if value is not None:
        environment[variable] = value
    said = refused(variable, environment)
    assert "is not set" in said
    assert DECLARATIONS[field_of(variable)].help in said


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LISTRAK_REQUESTS_PER_SECOND", "0", 0),
        ("LISTRAK_REQUESTS_PER_SECOND", "0.5", 0.5),
        ("LISTRAK_REQUESTS_PER_SECOND", " 1000 ", 1000),
        ("LISTRAK_TIMEZONE", "Europe/Berlin", ZoneInfo("Europe/Berlin")),
        ("LISTRAK_TIMEZONE", "UTC", ZoneInfo("UTC")),
        ("BRIDGE_STATE", "/var/lib/other.db", Path("/var/lib/other.db")),
        ("BRIDGE_TRACK_DAYS", "1", 1),
        ("BRIDGE_TRACK_DAYS", "400", 400),
        ("BRIDGE_EVENTS", "ALL", frozenset(TRACKS)),
        ("BRIDGE_EVENTS", "Email Sent", {"Email Sent"}),
        ("BRIDGE_EVENTS", "email sent, UNSUBSCRIBED ,", {"Email Sent", "Unsubscribed"}),
        ("BRIDGE_EVENTS", ",".join(TRACKS), frozenset(TRACKS)),
        ("BRIDGE_EXTRA_PROPERTIES", "None", frozenset()),
        ("BRIDGE_EXTRA_PROPERTIES", "BOUNCE_reason ,", {"bounce_reason"}),
        ("BRIDGE_EXTRA_PROPERTIES", ",".join(EXTRA_PROPERTIES), frozenset(EXTRA_PROPERTIES)),
        ("BRIDGE_POLL_INTERVAL", "0.05", 0.05),
        ("BRIDGE_POLL_INTERVAL", "500ms", 0.5),
        ("BRIDGE_POLL_INTERVAL", "90s", 90),
        ("BRIDGE_POLL_INTERVAL", "2 m", 120),
        ("BRIDGE_POLL_INTERVAL", "1h", 3600),
        ("BRIDGE_POLL_INTERVAL", "1d", 86400),
        ("BRIDGE_POLL_CONCURRENCY", "1", 1),
        ("BRIDGE_POLL_CONCURRENCY", "64", 64),
        ("BRIDGE_SEND_CONCURRENCY", "1", 1),
        ("BRIDGE_QUEUE_PAGES", "1000", 1000),
        ("BRIDGE_BATCH_EVENTS", "1", 1),
        ("BRIDGE_BATCH_BYTES", "33000", 33_000),
        ("BRIDGE_FLUSH_INTERVAL", "0", 0),
        ("BRIDGE_FLUSH_INTERVAL", "1m", 60),
        ("BRIDGE_EVENTS_PER_SECOND", "0", 0),
        ("BRIDGE_DRAIN_TIMEOUT", "500ms", 0.5),
        ("BRIDGE_STATUS_BIND", "", None),
        ("BRIDGE_STATUS_BIND", "  ", None),
        ("BRIDGE_STATUS_BIND", "0.0.0.0:0", Bind("0.0.0.0", 0)),
        ("BRIDGE_STATUS_BIND", "localhost:65535", Bind("localhost", 65535)),
        ("BRIDGE_STATUS_BIND", "[::1]:8321", Bind("::1", 8321)),
        ("BRIDGE_LOG_LEVEL", "DEBUG", "debug"),
        ("BRIDGE_LOG_LEVEL", "warning", "warning"),
        ("BRIDGE_LOG_LEVEL", "error", "error"),
        ("BRIDGE_LOG_FORMAT", "Json", "json"),
        ("BRIDGE_LOG_FORMAT", "console", "console"),
    ],
)
def test_good_values(variable: str, text: str, expected: object) -> None:
    """Each variable takes the whole range that is documented."""
    assert getattr(settings(**{variable: text}), field_of(variable)) == expected


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        ("LISTRAK_LISTS", "abc", "list ids separated by commas"),
        ("LISTRAK_LISTS", "1;2", "list ids separated by commas"),
        ("LISTRAK_LISTS", "-1", "list ids separated by commas"),
        ("LISTRAK_LISTS", "12345678901", "list ids separated by commas"),
        ("LISTRAK_LISTS", "1=", "list ids separated by commas"),
        ("LISTRAK_LISTS", "1,,2", "list ids separated by commas"),
        ("LISTRAK_LISTS", ",", "list ids separated by commas"),
        ("LISTRAK_LISTS", "1,2,1", "list 1 stands twice"),
        ("LISTRAK_LISTS", "1=a,1=b", "list 1 stands twice"),
        ("LISTRAK_LISTS", "1,01", "list 1 stands twice"),
        ("LISTRAK_API_URL", "api.listrak.com", "https://"),
        ("LISTRAK_API_URL", "ftp://api.listrak.com", "https://"),
        ("LISTRAK_API_URL", "https://", "https://"),
        ("LISTRAK_API_URL", "https://api.listrak.com:port/", "https://"),
        ("LISTRAK_API_URL", "https://api.listrak.com/?a=b", "without query"),
        ("LISTRAK_API_URL", "https://api.listrak.com/#part", "without query"),
        ("LISTRAK_API_URL", "https://me:word@api.listrak.com", "without user name"),
        ("LISTRAK_API_URL", "http://api.listrak.com", "loopback only"),
        ("LISTRAK_TOKEN_URL", "http://10.0.0.1/Token", "loopback only"),
        ("SEGMENT_API_URL", "http://api.segment.io", "loopback only"),
        ("SEGMENT_API_URL", "http://localhost.example.com", "loopback only"),
        ("LISTRAK_TIMEZONE", "Eastern", "America/New_York"),
        ("LISTRAK_TIMEZONE", "../etc/passwd", "America/New_York"),
        ("LISTRAK_TIMEZONE", "a/" * 140, "America/New_York"),
        ("LISTRAK_REQUESTS_PER_SECOND", "-1", "from 0 to 1000"),
        ("LISTRAK_REQUESTS_PER_SECOND", "1001", "from 0 to 1000"),
        ("LISTRAK_REQUESTS_PER_SECOND", "many", "from 0 to 1000"),
        ("LISTRAK_REQUESTS_PER_SECOND", "5s", "from 0 to 1000"),
        ("LISTRAK_REQUESTS_PER_SECOND", "nan", "from 0 to 1000"),
        ("BRIDGE_SINCE", "yesterday", "ISO date-time"),
        ("BRIDGE_SINCE", "30", "ISO date-time"),
        ("BRIDGE_SINCE", "30y", "ISO date-time"),
        ("BRIDGE_SINCE", "-3d", "ISO date-time"),
        ("BRIDGE_SINCE", "2026-13-01", "ISO date-time"),
        ("BRIDGE_SINCE", "9000-01-01T00:00:00Z", "lies in the future"),
        ("BRIDGE_TRACK_DAYS", "0", "from 1 to 400"),
        ("BRIDGE_TRACK_DAYS", "401", "from 1 to 400"),
        ("BRIDGE_EVENTS", "Email Read", "Email Sent"),
        ("BRIDGE_EVENTS", ",", "all, or some of"),
        ("BRIDGE_EVENTS", "identify", "Email Sent"),
        ("BRIDGE_EXTRA_PROPERTIES", "bounceReason", "bounce_reason, link_description, campaign_id"),
        ("BRIDGE_EXTRA_PROPERTIES", "campaign_id,all", "none, or some of"),
        ("BRIDGE_EXTRA_PROPERTIES", ",", "none, or some of"),
        ("BRIDGE_POLL_INTERVAL", "0", "from 0.05 to 86400 seconds"),
        ("BRIDGE_POLL_INTERVAL", "2d", "from 0.05 to 86400 seconds"),
        ("BRIDGE_POLL_INTERVAL", "1w", "from 0.05 to 86400 seconds"),
        ("BRIDGE_POLL_CONCURRENCY", "0", "from 1 to 64"),
        ("BRIDGE_POLL_CONCURRENCY", "1.5", "from 1 to 64"),
        ("BRIDGE_SEND_CONCURRENCY", "65", "from 1 to 64"),
        ("BRIDGE_QUEUE_PAGES", "0", "from 1 to 1000"),
        ("BRIDGE_BATCH_EVENTS", "2501", "from 1 to 2500"),
        ("BRIDGE_BATCH_BYTES", "475001", "from 33000 to 475000"),
        ("BRIDGE_BATCH_BYTES", "32999", "from 33000 to 475000"),
        ("BRIDGE_FLUSH_INTERVAL", "61", "from 0 to 60 seconds"),
        ("BRIDGE_EVENTS_PER_SECOND", "1e3", "from 0 to"),
        ("BRIDGE_DRAIN_TIMEOUT", "0.1", "from 0.5 to 3600 seconds"),
        ("BRIDGE_STATUS_BIND", "8321", "host:port"),
        ("BRIDGE_STATUS_BIND", "127.0.0.1:65536", "host:port"),
        ("BRIDGE_STATUS_BIND", "127.0.0.1:", "host:port"),
        ("BRIDGE_STATUS_BIND", "::1:8321", "host:port"),
        ("BRIDGE_LOG_LEVEL", "chatty", "debug, info, warning, error"),
        ("BRIDGE_LOG_FORMAT", "xml", "auto, console, json"),
    ],
)
def test_bad_values(variable: str, text: str, allowed: str) -> None:
    """A bad value is named with its variable and with what is allowed instead."""
    said = refused(variable, {**REQUIRED, variable: text})
    shown = re.split(r"[?#]", repr(text))[0]  # what follows may hold a key
    assert ("me:word" not in said) if "word" in text else (shown in said)
    assert allowed in said


@pytest.mark.parametrize("text", ["9" * 100_000, "://" * 30_000, "a/" * 50_000])
@pytest.mark.parametrize("variable", ["LISTRAK_API_URL", "LISTRAK_TIMEZONE", "BRIDGE_SINCE"])
def test_a_long_value_is_cut(variable: str, text: str) -> None:
    """What is said stays readable, and is said at once."""
    assert len(refused(variable, {**REQUIRED, variable: text})) < 600


def test_a_long_secret() -> None:
    """It is another file's content, or another mistake: no server takes so much in a header."""
    said = refused(SECRETS[0], {**REQUIRED, SECRETS[0]: "aB3" * 1400})
    assert "at most 4,000 characters" in said
    assert "aB3" not in said


# Secrets


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("way", ["itself", "file", "credential"])
def test_ways_of_a_secret(variable: str, way: str, tmp_path: Path) -> None:
    """A secret stands in its variable, in the file it names, or in a systemd credential."""
    environment = {name: text for name, text in REQUIRED.items() if name != variable}
    path = tmp_path / variable.lower()
    if way == "itself":
        environment[variable] = "wanted-key"
    else:
        path.write_text("wanted-key\n", encoding="utf-8")
        by_file = {f"{variable}_FILE": str(path)}
        environment |= by_file if way == "file" else {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert getattr(load(environment), field_of(variable)) == "wanted-key"


def test_order_of_the_ways(tmp_path: Path) -> None:
    """The variable itself comes first, then the file, then the credential."""
    (tmp_path / "segment_write_key").write_text("credential-key", encoding="utf-8")
    (tmp_path / "other").write_text("key-in-file", encoding="utf-8")
    both = {"CREDENTIALS_DIRECTORY": str(tmp_path), "SEGMENT_WRITE_KEY_FILE": f"{tmp_path}/other"}
    assert settings(**both).segment_write_key == "a-write-key"
    assert settings(**both, SEGMENT_WRITE_KEY="").segment_write_key == "key-in-file"
    del both["SEGMENT_WRITE_KEY_FILE"]
    assert settings(**both, SEGMENT_WRITE_KEY="").segment_write_key == "credential-key"


def test_a_credential_that_is_not_there(tmp_path: Path) -> None:
    """A credentials directory without this secret is as if there was none."""
    environment = {**REQUIRED, "SEGMENT_WRITE_KEY": "", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert "is not set" in refused("SEGMENT_WRITE_KEY", environment)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing, empty or no text is named, as is the variable that names it."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    environment = {**REQUIRED, "SEGMENT_WRITE_KEY": "", "SEGMENT_WRITE_KEY_FILE": str(path)}
    assert str(path) in refused("SEGMENT_WRITE_KEY_FILE", environment)


@pytest.mark.parametrize("way", ["file", "credential"])
@pytest.mark.parametrize(
    "content",
    [
        b"the-write-key\r\n",
        b"\xef\xbb\xbfthe-write-key\r\n",
        b"  the-write-key \t\n\n",
        "the-write-key\r\n".encode("utf-16"),
        b"\xfe\xff" + "the-write-key".encode("utf-16-be"),
    ],
)
def test_a_file_as_others_write_it(content: bytes, way: str, tmp_path: Path) -> None:
    """With a byte order mark, in UTF-16, with any line break: editors and shells do that."""
    path = tmp_path / "segment_write_key"
    path.write_bytes(content)
    by_file = {"SEGMENT_WRITE_KEY_FILE": str(path)}
    by_way = by_file if way == "file" else {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert settings(**by_way, SEGMENT_WRITE_KEY="").segment_write_key == "the-write-key"
    assert (
        settings(SEGMENT_WRITE_KEY="\ufeffthe-write-key\r\n").segment_write_key == "the-write-key"
    )


def test_a_secret_that_a_command_writes(tmp_path: Path) -> None:
    """A pipe will do; one that nobody writes to is not waited for."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="nobody writes"):
        read_secret(path, within=0)
    reading, writing = os.pipe()
    os.write(writing, b"the-write-key\n")
    os.close(writing)
    assert read_secret(Path(f"/dev/fd/{reading}")) == "the-write-key"
    os.close(reading)


def test_what_is_no_file_of_a_secret(tmp_path: Path) -> None:
    """The reason is said, soon, whatever it is."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(2**30)
    for path, reason in (
        (tmp_path, "it is a folder"),
        (large, "more than 65,536 bytes"),
        (Path("/dev/zero"), "more than 65,536 bytes"),
        (tmp_path / "none", "No such file"),
        (Path(os.devnull), "it is empty"),
    ):
        said = refused(
            "SEGMENT_WRITE_KEY_FILE",
            {**REQUIRED, "SEGMENT_WRITE_KEY": "", "SEGMENT_WRITE_KEY_FILE": str(path)},
        )
        assert f"can't read {str(path)!r}: {reason}" in said
    (tmp_path / "key").write_bytes("the-write-key".encode("utf-16-le"))
    with pytest.raises(ValueError, match="is it UTF-16"):
        read_secret(tmp_path / "key")


def test_a_secret_in_place_of_its_file() -> None:
    """What was meant for the variable itself is not repeated."""
    said = refused(
        "SEGMENT_WRITE_KEY_FILE",
        {**REQUIRED, "SEGMENT_WRITE_KEY": "", "SEGMENT_WRITE_KEY_FILE": "QzN1dWtkc0NYa2tk"},
    )
    assert "QzN1" not in said
    assert "can't read the file it names: No such file" in said
    long = {**REQUIRED, "SEGMENT_WRITE_KEY": "", "SEGMENT_WRITE_KEY_FILE": "QzN1dWtk" * 40}
    assert "the file it names: File name too long" in refused("SEGMENT_WRITE_KEY_FILE", long)


def test_a_credential_that_can_not_be_looked_at(tmp_path: Path) -> None:
    """It is not taken for one that isn't there: the reason is said."""
    folder = str(tmp_path / ("x" * 300))
    said = refused(
        "SEGMENT_WRITE_KEY",
        {**REQUIRED, "SEGMENT_WRITE_KEY": "", "CREDENTIALS_DIRECTORY": folder},
    )
    assert "File name too long" in said


@pytest.mark.parametrize("inside", ["\n", "\r\n"])
def test_two_lines_are_no_secret(inside: str, tmp_path: Path) -> None:
    """It is said what is wrong with it, and where it stands."""
    path = tmp_path / "key"
    path.write_text(f"the-write-key{inside}another-key\n", encoding="utf-8")
    environment = {**REQUIRED, "SEGMENT_WRITE_KEY": "", "SEGMENT_WRITE_KEY_FILE": str(path)}
    assert "line break inside" in refused("SEGMENT_WRITE_KEY_FILE", environment)


@pytest.mark.parametrize("variable", SECRETS)
def test_a_line_of_an_environment_file(variable: str) -> None:
    """Where the secret alone belongs, its name before it is said, and nothing of it shown."""
    said = refused(variable, {**REQUIRED, variable: f"{variable}=hush-hush"})
    assert f"without {variable}= before it" in said
    assert "hush" not in said


@pytest.mark.parametrize("variable", ["LISTRAK_API_URL", "LISTRAK_TOKEN_URL", "SEGMENT_API_URL"])
@pytest.mark.parametrize(
    "text",
    [
        "https://me:hush@api.example/v1",
        "https://hush@api.example",
        "https://me:hu/hush@api.example/v1",
        "https://me:hush@",
        "https://me:hush@:443/v1",
        "https://me:@hush@api.example/v1",
        "me:hush@api.example",
        "https://api.example/v1?key=hush",
        "https://api.example/v1#hush?hush",
    ],
)
def test_credentials_in_an_address(variable: str, text: str) -> None:
    """They are refused, and not repeated."""
    assert "hush" not in refused(variable, {**REQUIRED, variable: text})


@pytest.mark.parametrize("variable", SECRETS)
def test_a_bad_secret_is_not_shown(variable: str) -> None:
    """Of a secret that isn't allowed everything is said but its value."""
    said = refused(variable, {**REQUIRED, variable: "schlüssel\x07wort"})
    assert "schlüssel" not in said
    assert "wort" not in said
    assert "printable ASCII" in said


def test_repr_masks_secrets() -> None:
    """Settings that are printed show no secret."""
    shown = repr(settings(LISTRAK_CLIENT_ID="hush-hush-1", LISTRAK_CLIENT_SECRET="hush-hush-2"))
    assert "hush" not in shown
    assert "a-write-key" not in shown
    assert "12345" in shown


# Lists


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345", [(12345, None)]),
        ("12345=777,67890", [(12345, "777"), (67890, None)]),
        (" 1 = 2 , 3 ,", [(1, "2"), (3, None)]),
        ("1=Customer ID,2", [(1, "Customer ID"), (2, None)]),
        ("1=Last, First,2=x", [(1, "Last, First"), (2, "x")]),
        ("1=a,b,c", [(1, "a,b,c")]),
        ("1=a=b", [(1, "a=b")]),
        ("1=Kundennummer für 🎉", [(1, "Kundennummer für 🎉")]),
        ("1=5 things,2", [(1, "5 things"), (2, None)]),
        ("1=a, 5 things,2", [(1, "a, 5 things"), (2, None)]),
    ],
)
def test_lists(text: str, expected: list[tuple[int, str | None]]) -> None:
    """A comma parts two lists only where a list id follows: a field's name may hold commas."""
    found = settings(LISTRAK_LISTS=text).lists
    assert found == tuple(ListSetting(*one) for one in expected)


# Addresses


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.5.5.5", "[::1]", "sub.localhost", "LOCALHOST"]
)
def test_plain_http_to_loopback(host: str) -> None:
    """Plain http is taken where nothing leaves this machine."""
    found = settings(SEGMENT_API_URL=f"http://{host}:8080/v1")
    assert found.segment_api_url == f"http://{host}:8080/v1"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LISTRAK_API_URL", "https://proxy.example", "https://proxy.example/email/v1"),
        ("LISTRAK_API_URL", "https://proxy.example/x/", "https://proxy.example/x"),
        ("LISTRAK_TOKEN_URL", "https://proxy.example/", "https://proxy.example/OAuth2/Token"),
        ("SEGMENT_API_URL", "https://api.segment.io", "https://api.segment.io/v1"),
        ("SEGMENT_API_URL", "https://api.segment.io/v1/", "https://api.segment.io/v1"),
        ("SEGMENT_API_URL", "https://api.segment.io/v1/batch", "https://api.segment.io/v1"),
        ("SEGMENT_API_URL", "https://api.segment.io/v1/batch/", "https://api.segment.io/v1"),
        ("SEGMENT_API_URL", "https://europe-proxy.example/v1", "https://europe-proxy.example/v1"),
        ("SEGMENT_API_URL", "https://museum.example/v1", "https://museum.example/v1"),
    ],
)
def test_addresses(variable: str, text: str, expected: str) -> None:
    """An address without a path gets the usual one; a slash at the end makes no difference."""
    assert getattr(settings(**{variable: text}), field_of(variable)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://events.eu1.segmentapis.com/v1",
        "https://events.eu1.segmentapis.com",
        "https://EVENTS.EU1.SEGMENTAPIS.COM/v1/batch",
        "https://events.eu1.segmentapis.com./v1",
        "https://events.eu1.segmentapis.com:443/v1/",
        "https://eu1.api.segmentapis.com/v1",
        "https://events.eu2.segmentapis.com/v1",
        "https://api.eu.segment.io/v1",
        "https://eu-west-1.segmentapis.com/v1",
        "https://api-eu1.segment.io/v1",
    ],
)
def test_segment_in_europe(text: str) -> None:
    """A Segment EU endpoint is refused: the source is supported in US workspaces only."""
    said = refused("SEGMENT_API_URL", {**REQUIRED, "SEGMENT_API_URL": text})
    assert "US workspaces only" in said


# The state file


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "bridge.db"),
        ({"STATE_DIRECTORY": "/var/lib/bridge"}, "/var/lib/bridge/bridge.db"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a/bridge.db"),
        ({"STATE_DIRECTORY": "/var/lib/a", "BRIDGE_STATE": "/x/y.db"}, "/x/y.db"),
    ],
)
def test_state(environment: dict[str, str], expected: str) -> None:
    """The state file stands in systemd's state directory, unless another is named."""
    assert settings(**environment).state == Path(expected)


# The start horizon


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FIRST_START),
        ("30d", FIRST_START - timedelta(days=30)),
        ("12h", FIRST_START - timedelta(hours=12)),
        ("2 w", FIRST_START - timedelta(days=14)),
        ("2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T00:00:00+02:00", datetime(2026, 2, 28, 22, tzinfo=UTC)),
        ("2026-03-01T00:00:00", datetime(2026, 3, 1, 5, tzinfo=UTC)),
        ("2026-03-01 08:30", datetime(2026, 3, 1, 13, 30, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, 5, tzinfo=UTC)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    """An instant stands for itself, naive ones in LISTRAK_TIMEZONE; a span ends at the start."""
    assert settings(BRIDGE_SINCE=text).since.at(FIRST_START) == expected


def test_since_in_another_zone() -> None:
    """A naive instant is read in the configured zone."""
    found = settings(BRIDGE_SINCE="2026-03-01", LISTRAK_TIMEZONE="Asia/Tokyo")
    assert found.since.at(FIRST_START) == datetime(2026, 2, 28, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1900-01-01",
        "1000-01-02",
        "0900-01-01",
        "0001-01-01",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "99999w",
        "99999d",
    ],
)
def test_since_long_ago(text: str) -> None:
    """However far back, it is refused by name or it is an instant that can be worked with."""
    try:
        horizon = settings(BRIDGE_SINCE=text).since.at(FIRST_START)
    except ConfigurationError as error:
        if error.setting == "BRIDGE_SINCE":
            return
        raise
    as_text = times.instant(horizon)
    assert times.moment(as_text) == horizon
    # Reaching back further than that is part of the work: tracking, overlaps.
    assert times.from_seconds(times.seconds(as_text) - 400 * 86400) < as_text


# Some of the settings, and what is none


def test_only_some() -> None:
    """A command that needs a few settings is not stopped by the others."""
    some: Any = load({"BRIDGE_STATE": "x.db"}, only=frozenset({"state", "log_level"}))
    assert (some.state, some.log_level) == (Path("x.db"), "info")
    with pytest.raises(AttributeError):
        _ = some.segment_write_key


def test_unknown() -> None:
    """Variables that look like ours and aren't are found: most likely they are misspelt."""
    environment = {
        **REQUIRED,
        "SEGMENT_WRITE_KEY_FILE": "x",
        "BRIDGE_STATE_FILE": "x",
        "BRIDGE_POLL_INTERVALL": "60",
        "LISTRAK_LIST": "1",
        "PATH": "/bin",
        "STATE_DIRECTORY": "/x",
    }
    assert unknown(environment) == ["BRIDGE_POLL_INTERVALL", "BRIDGE_STATE_FILE", "LISTRAK_LIST"]


@pytest.mark.parametrize("text", ["state/", "/var/lib/bridge.db/", "/tmp/.", "/", "."])
def test_a_folder_is_no_state_file(text: str) -> None:
    """By its end it names a folder, whether there is one or not: 73, as for one that is there."""
    with pytest.raises(StateError, match="BRIDGE_STATE") as caught:
        load({"BRIDGE_STATE": text}, only=frozenset({"state"}))
    assert caught.value.exit_code == 73
