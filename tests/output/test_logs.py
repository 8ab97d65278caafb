"""Logs: no secret ever, no email address above debug."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.output.log_bound import AT_ONCE_OTHERWISE
from bridge.output.logs import configure_logging, left_out, log, tell_the_rest
from bridge.output.redaction import SECRETS

SECRET = "hush-hush"
STYLES = ["json", "console"]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    SECRETS.add(SECRET)
    yield
    structlog.reset_defaults()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def logged(style: str, level: str = "info", method: str = "info", **values: Any) -> str:
    """What is written for one line."""
    stream = io.StringIO()
    configure_logging(level=level, style=style, stream=stream)
    getattr(log, method)("something.happened", **values)
    return stream.getvalue()


def failed(style: str, error: BaseException, level: str = "info") -> str:
    """What is written for an exception with its traceback."""
    stream = io.StringIO()
    configure_logging(level=level, style=style, stream=stream)
    try:
        raise error  # noqa: TRY301 - for its traceback
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        log.error("something.broke", exc_info=caught)
    return stream.getvalue()


def test_json() -> None:
    """JSON is one object a line: event, level, UTC time, and what was said, as it is."""
    line = logged("json", name="Zoë 🎉", number=7, nested={"a": [1]})
    assert line.endswith("\n")
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": "something.happened",
        "level": "info",
        "name": "Zoë 🎉",
        "number": 7,
        "nested": {"a": [1]},
    }
    assert "Zoë 🎉" in line


def test_whatever_stands_in_for_standard_error() -> None:
    """A progress bar takes standard error over for a while: lines are written above it then."""
    configure_logging(level="info", style="json")
    for name in ("first", "second"):
        with redirect_stderr(io.StringIO()) as stream:
            log.info(name)
        assert json.loads(stream.getvalue())["event"] == name


def test_auto_style() -> None:
    """`auto` is for the eye on a terminal, JSON otherwise."""
    for stream, is_json in ((io.StringIO(), True), (Terminal(), False)):
        configure_logging(level="info", style="auto", stream=stream)
        log.info("something.happened")
        assert stream.getvalue().startswith("{") is is_json


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_level(level: str, shown: list[str]) -> None:
    """What is below the level isn't written."""
    for method in ("debug", "info", "warning", "error"):
        assert bool(logged("json", level, method)) is (method in shown)


# Secrets


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"https://x/?key={SECRET}&a=b",
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        [(SECRET,)],
        ValueError(SECRET),
        SECRET.encode(),
    ],
)
def test_no_secret(style: str, level: str, value: object) -> None:
    """A secret is hidden at every level, wherever in a line it stands."""
    line = logged(style, level, level, value=value)
    assert line
    assert SECRET not in line
    assert "[secret]" in line


@pytest.mark.parametrize("style", STYLES)
def test_no_secret_in_a_traceback(style: str) -> None:
    """Neither the error's text nor the source lines of a traceback show a secret."""
    line = failed(style, ValueError(f"bad key {SECRET}"), level="debug")
    assert "Traceback" in line
    assert SECRET not in line


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8, max_size=40)


@pytest.mark.parametrize("style", STYLES)
@given(PRINTABLE.filter(lambda text: text.strip() == text and not text.isalnum()))
@example('pass"word"')
@example("back\\slash")
@example("it's mine")
@example("timestamp")
def test_no_secret_of_any_characters(style: str, secret: str) -> None:
    """Whatever printable characters a secret has: as the line writes them, it isn't shown."""
    stream = io.StringIO()
    SECRETS.clear()
    SECRETS.add(secret)
    configure_logging(level="debug", style=style, stream=stream)
    log.info("x", value=f"<<{secret}>>", nested={"value": secret})
    line = stream.getvalue()
    assert style == "console" or json.loads(line)
    for shown in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert f"<<{shown}>>" not in line


def test_what_is_logged_is_a_line_for_programs_still() -> None:
    """Nothing of the line itself is taken for a secret: they are hidden in the values."""
    for name in ("level", "event", "hush-hush", "info"):
        SECRETS.add(name)
    said = json.loads(logged("json", reason="it was hush-hush", nested=[{"hush-hush": "info"}]))
    assert said["event"] == "something.happened"
    assert said["reason"] == "it was [secret]"
    assert said["nested"] == [{"[secret]": "[secret]"}]


# Others in the same process

OTHERS = """
import asyncio, gc, logging, threading
from bridge.ending import exits
from bridge.errors import TemporaryError
from bridge.output.redaction import SECRETS

SECRETS.add("hush-hush")
said = "no jane@example.com, hush-hush"

class Bad:
    def __del__(self):
        raise OSError(said)

def fail():
    raise ValueError(said)

class Commands:
    def main(self, **_):
        logging.getLogger("aiohttp").error("quoted: %s", said, exc_info=OSError(said))
        logging.getLogger("asyncio").info("not told")
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Bad()
        gc.collect()
        fail()

exits.run_to_the_end(Commands())
"""


def test_what_others_say() -> None:
    """Libraries, threads, and Python itself: all that they say is a line of this log."""
    done = subprocess.run([sys.executable, "-c", OTHERS], capture_output=True, check=False)
    assert done.returncode == 75
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert [line["event"] for line in lines] == [
        "library.said",
        "thread.fault",
        "fault.ignored",
        "bridge.fault",
    ]
    for line in lines:
        assert "no [email], [secret]" in line["exception"]
    assert lines[0]["text"] == "quoted: no [email], [secret]"
    assert b"jane" not in done.stderr + done.stdout
    assert b"hush" not in done.stderr + done.stdout


# Floods


def test_a_flood_is_bounded() -> None:
    """Of an event that comes too often the first lines are written, and the number of others."""
    stream = io.StringIO()
    configure_logging(level="info", style="json", stream=stream)
    for _ in range(1000):
        log.info("something.happened")
    log.info("something.else")
    tell_the_rest()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    events = Counter(line["event"] for line in lines)
    assert AT_ONCE_OTHERWISE <= events["something.happened"] < 1000
    assert events["something.else"] == 1
    told = [line for line in lines if line["event"] == "log.suppressed"]
    assert all(line["events"] == {"something.happened": line["lines"]} for line in told)
    assert events["something.happened"] + sum(line["lines"] for line in told) == 1000
    assert left_out() == sum(line["lines"] for line in told)


def test_no_bound_at_debug() -> None:
    """Who asks for everything gets everything."""
    stream = io.StringIO()
    configure_logging(level="debug", style="json", stream=stream)
    for _ in range(1000):
        log.info("something.happened")
    assert len(stream.getvalue().splitlines()) == 1000


# Email addresses

ADDRESSES = [
    "zoe@example.com",
    "Zoë.Müller+tag@exämple.de",
    "a_b%c!d#e@sub.example.co.uk",
    "o'brien@example.com",
    "用户@例子.公司",
    "x@localhost",
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("method", ["info", "warning", "error", "critical"])
def test_no_address(style: str, address: str, method: str) -> None:
    """Above debug no email address is written, even where debug lines are."""
    for level in ("debug", "info"):
        line = logged(
            style,
            level,
            method,
            plain=address,
            sentence=f"Contact <{address}>, who left.",
            url=f"https://api.example/List/1/Contact/{quote(address, safe='')}?x=1",
            lower=f"https://api.example/{quote(address, safe='').replace('%40', '%40'.lower())}",
            nested={"list": [{"email": address}]},
            error=ValueError(f"no contact {address}"),
        )
        assert line
        assert address not in line
        assert quote(address, safe="") not in line
        assert "[email]" in line


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_in_a_traceback(style: str, address: str) -> None:
    """An exception's text and those it came from are no exception."""
    error = ValueError(f"first {address}")
    error.__cause__ = KeyError(address)
    error.add_note(f"note: {address}")
    line = failed(style, error)
    assert "Traceback" in line
    assert address not in line


@pytest.mark.parametrize("style", STYLES)
def test_addresses_at_debug(style: str) -> None:
    """Debug lines may show addresses, where debug is the level that was asked for."""
    assert "zoe@example.com" in logged(style, "debug", "debug", email="zoe@example.com")


@pytest.mark.parametrize("style", STYLES)
@given(st.emails())
@example("a'@example.com")
@example("a=@example.com")
@example("a/@example.com")
@example("{a}@example.com")
def test_no_address_whatever_it_is(style: str, address: str) -> None:
    """No address that is one by the book is written, alone, in a sentence or in an address."""
    encoded = quote(address, safe="")
    line = logged(style, email=address, text=f"to {address}.", path=f"Contact/{encoded}")
    assert address not in line
    assert encoded not in line


@pytest.mark.parametrize("style", STYLES)
def test_what_is_no_address_stays(style: str) -> None:
    """Lists, ids and addresses of servers are still to be read."""
    line = logged(style, url="http://127.0.0.1:8321/metrics", reason="Listrak answered 503")
    assert "http://127.0.0.1:8321/metrics" in line
    assert "Listrak answered 503" in line
