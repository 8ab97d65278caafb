"""The check of all that is printed: it finds what must not be there, and only that."""

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from printed import keep, look_through

ENVIRONMENT = {
    "LISTRAK_CLIENT_ID": "the-cl1ent-1d",
    "LISTRAK_CLIENT_SECRET": "the-cl1ent-s3cret",
    "SEGMENT_WRITE_KEY": "the-wr1te-k3y",
}


@pytest.mark.parametrize(
    "text",
    [
        "it says the-cl1ent-1d",
        "a line\nthe-cl1ent-s3cret\n",
        '{"level": "debug", "said": "the-wr1te-k3y"}',
        f"Authorization: Basic {b64encode(b'the-wr1te-k3y:').decode()}",
        f"Bearer {'0123456789abcdef' * 4}",
        "Contact/user12%40example.net?x",
        "no contact user12@example.net here",
        '{"level": "info", "of": "anna+news1@example.com"}',
        '{"of": "josé1@bücher.example"}',
        '{"of": "jos\\u00e91@b\\u00fccher.example"}',
        "│ 用户1@例子.example │",
        "user1&#64;example.net, user1&commat;example.net",
        "user1%2540example.net",
        "user1=40example.net",
        '{"of": "{\\"of\\": \\"user1\\\\u0040example.net\\"}"}, torn',
        "b'user1\\x40example.net'",
        "no contact user1@\n  example.net here",
        "no contact user1=\n@example.net here",
        f"as {b64encode(b'x:the-cl1ent-s3cret:y').decode()}",
        "the%2Dcl1ent%2Ds3cret",
        "Bob.O'Neil1@Example.COM",
    ],
)
def test_what_it_finds(text: str, tmp_path: Path) -> None:
    """Secrets and tokens in every line, addresses in all but those of level debug."""
    file = tmp_path / "log"
    file.write_text(text, encoding="utf-8")
    for out, err in ((text, ""), ("", text), (file, ""), ("", file)):
        keep(["run", "--once"], ENVIRONMENT, out=out, err=err)
        with pytest.raises(AssertionError, match="`run --once` shows"):
            look_through()
    look_through()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://127.0.0.1:8321/metrics [email] [secret] @ 50%40 a@b",
        '{"level": "debug", "said": "user12@example.net"}',
        "listrak-0123456789abcdef0123456789abcdef",
    ],
)
def test_what_it_lets_pass(text: str) -> None:
    """What is neither, and what may be shown at level debug."""
    keep(["run"], ENVIRONMENT, out=text, err=text)
    look_through()


def test_commands_that_show_addresses() -> None:
    """Their output may; what they log may not, and no secret is among it."""
    for command in (["explain", "x"], ["preview"], ["dead-letters", "show", "1"]):
        keep(command, ENVIRONMENT, out="user1@example.net", err="")
        look_through()
        for out, err in (("", "user1@example.net"), ("the-wr1te-k3y", "")):
            keep(command, ENVIRONMENT, out=out, err=err)
            with pytest.raises(AssertionError):
                look_through()
    keep(["dead-letters", "list"], ENVIRONMENT, out="user1@example.net", err="")
    with pytest.raises(AssertionError):
        look_through()


TESTS = Path(__file__).parent
LEAKING = """
import printed, structlog

def test_a_command():
    printed.keep(["run"], {}, out="", err="user1@example.net")

def test_a_log():
    structlog.get_logger("bridge").warning("listrak.waiting", reason="no user1@example.net")

def test_a_secret():
    print("the-wr1te-k3y")

def test_nothing():
    structlog.get_logger("bridge").debug("contact.gone", email="user1@example.net")
    printed.keep(["run"], {}, out="", err="[email]")
"""


def test_what_leaks_fails_its_test(tmp_path: Path) -> None:
    """No test has to ask for it."""
    file = tmp_path / "test_leaking.py"
    file.write_text(LEAKING, encoding="utf-8")
    folders = (TESTS, TESTS.parent / "scripts")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", file],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, folders))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    for name in ("FAILED test_leaking.py::test_a_log", "FAILED test_leaking.py::test_a_secret"):
        assert name in done.stdout
    assert "ERROR test_leaking.py::test_a_command" in done.stdout
    assert "2 failed, 2 passed, 1 error" in done.stdout
