"""The check of all that is printed: it finds what must not be there, and only that."""

from base64 import b64encode
from pathlib import Path

import pytest
from printed import keep, look_through

ENVIRONMENT = {
    "LISTRAK_CLIENT_ID": "the-client-id",
    "LISTRAK_CLIENT_SECRET": "the-client-secret",
    "SEGMENT_WRITE_KEY": "the-write-key",
}


@pytest.mark.parametrize(
    "text",
    [
        "it says the-client-id",
        "a line\nthe-client-secret\n",
        '{"level": "debug", "said": "the-write-key"}',
        f"Authorization: Basic {b64encode(b'the-write-key:').decode()}",
        f"Bearer {'0123456789abcdef' * 4}",
        "Contact/user12%40example.net?x",
        "no contact user12@example.net here",
        '{"level": "info", "of": "anna+news1@example.com"}',
        '{"of": "josé1@bücher.example"}',
        '{"of": "jos\\u00e91@b\\u00fccher.example"}',
        "│ 用户1@例子.example │",
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
        for out, err in (("", "user1@example.net"), ("the-write-key", "")):
            keep(command, ENVIRONMENT, out=out, err=err)
            with pytest.raises(AssertionError):
                look_through()
    keep(["dead-letters", "list"], ENVIRONMENT, out="user1@example.net", err="")
    with pytest.raises(AssertionError):
        look_through()


def test_every_test_is_looked_through(request: pytest.FixtureRequest) -> None:
    """None has to ask for it."""
    assert "all_that_was_printed" in request.fixturenames
