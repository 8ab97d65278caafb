"""Secrets, in whatever spelling others repeat them."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.output.redaction import LEAST, SECRETS, Secrets

KEY = "Qz+1d/kd=CYk'tk&Hq7M"
PRINTABLE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60
).map(lambda text: re.sub("(.{5}).", r"\g<1>7", text))
"""Secrets as services make them: with a digit in each of their parts."""


def of(*known: str) -> Secrets:
    secrets = Secrets()
    for one in known:
        secrets.add(one)
    return secrets


def no_part_of(text: str, shown: str) -> bool:
    """Whether nothing of a text is left, but for less than LEAST characters in a row."""
    return not any(text[at : at + LEAST] in shown for at in range(len(text) - LEAST + 1))


@given(PRINTABLE, st.text(), st.text())
@example(KEY, "<", ">")
def test_as_others_write_it(secret: str, before: str, after: str) -> None:
    """Plain, escaped, in an address, in HTML, in any case."""
    secrets = of(secret)
    for form in (
        secret,
        secret.upper(),
        secret.lower(),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        repr({"said": secret})[10:-2],
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        quote_plus(secret),
        quote(quote(secret)),
        html.escape(secret),
        html.escape(secret).replace("&#x27;", "&#039;"),
        secret.replace("/", r"\/"),
        re.sub("[&<>'\"/]", lambda sign: f"\\u{ord(sign[0]):04x}", secret),
        re.sub(r"[^\w.~-]", lambda sign: f"={ord(sign[0]):02X}", secret),
    ):
        shown = secrets.hidden_in(f"{before}\n{form}\n{after}")
        assert "[secret]" in shown
        assert no_part_of(form, shown)


@given(PRINTABLE)
@example(KEY)
def test_as_an_authorization_header_has_it(secret: str) -> None:
    """Alone, as a user name or a password, or somewhere in what was encoded."""
    secrets = of(secret)
    assert secrets.hidden_in(b64encode(f"{secret}:".encode()).decode()) in ("[secret]", "[secret]=")
    for encode in (b64encode, urlsafe_b64encode):
        for before in ("", "x", "xy", "xyz", "the-client:"):
            start = -(-len(before) * 8 // 6)
            form = encode(f"{before}{secret}:and more".encode()).decode()
            inside = form[start : (len(before) + len(secret)) * 8 // 6]
            shown = secrets.hidden_in(f"Basic {form}")
            assert "[secret]" in shown
            assert no_part_of(inside, shown)


@given(PRINTABLE, st.data())
def test_parts(secret: str, data: st.DataObject) -> None:
    """A text that was cut before it came here shows no more than a few characters of it."""
    start = data.draw(st.integers(0, len(secret) - LEAST))
    stop = data.draw(st.integers(start + LEAST, len(secret)))
    assert of(secret).hidden_in(f"é {secret[start:stop]} é") == "é [secret] é"


@given(st.text())
def test_other_text_stays(text: str) -> None:
    """Character for character, whatever script it is in."""
    assert of(KEY).hidden_in(text) == text


def test_several() -> None:
    """One that holds another, and one beside another, are hidden whole."""
    secrets = of("abcdefgh", "abcdefgh-12345678")
    assert secrets.hidden_in("abcdefgh-12345678") == "[secret]"
    assert secrets.hidden_in("xabcdefghx abcdefghabcdefgh") == "x[secret]x [secret][secret]"


def test_secrets_made_of_words() -> None:
    """As a whole they are hidden; other words that share some letters with them are not."""
    secrets = of("client_secret", "listrak-bridge-key")
    assert secrets.hidden_in("it is client_secret&x, b'client_secret'") == (
        "it is [secret]&x, b'[secret]'"
    )
    said = "listrak-bridge: LISTRAK_CLIENT_SECRET: a client_id is missing"
    assert secrets.hidden_in(said) == said
    assert "[secret]" in secrets.hidden_in(b64encode(b"client_secret:").decode())


def test_short_secrets() -> None:
    """Where they are words, but not where they name a field; one or two letters nowhere."""
    secrets = of("", "e", "id", "event")
    said = '{"event": "an event of events, id e"}'
    assert secrets.hidden_in(said) == '{"event": "an [secret] of events, id e"}'
    said = "12:00 [info] log.dropped    event='the event' of=?event=1"
    assert (
        secrets.hidden_in(said) == "12:00 [info] log.dropped    event='the [secret]' of=?[secret]=1"
    )


def test_tokens_come_and_go() -> None:
    """The last ones are hidden, what lasts stays hidden, and the memory doesn't grow."""
    secrets = of("what-lasts")
    for number in range(100):
        secrets.add_passing(f"{number:04}" * 100)
    assert secrets.hidden_in("what-lasts " + "0099" * 100) == "[secret] [secret]"
    assert secrets.hidden_in("0001" * 100) != "[secret]"


@pytest.mark.parametrize("text", ["x" * 300_000, "the-clien" * 30_000])
def test_long_texts(text: str) -> None:
    """Each character is gone through once."""
    assert of("the-client-secret").hidden_in(text)


def test_the_process_has_its_own() -> None:
    """Nothing is hidden before anything is known."""
    assert SECRETS.hidden_in(KEY) == KEY
