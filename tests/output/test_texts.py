"""The words of others, on their way to a log or a terminal."""

import html
import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.output.redaction import SECRETS
from bridge.output.texts import LINE, escaped, line_of, line_of_answer, without_addresses

ANY = st.text(st.characters() | st.sampled_from("\x1b\x9b\u202e\u2028\r\n\t\0@% ,;<>\"'"))


HIDDEN = '{"key":"[secret]","of":"[secret]"}'


@given(ANY)
def test_nothing_that_a_terminal_obeys(text: str) -> None:
    """No control character is left, and nothing that turns or breaks a line."""
    for shown in (escaped(text), line_of(text)):
        assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_text_stays_text(text: str) -> None:
    """Whatever script or emoji it is, brackets and backslashes included."""
    assert escaped(text) == text


@given(ANY)
def test_a_line_is_short(text: str) -> None:
    """However long the text is; escapes are the only thing that can make it longer."""
    assert len(line_of(text * 10)) <= 10 * (LINE + 4)
    assert "\n" not in line_of(text)


@given(st.emails(), ANY, ANY)
@example("jane@example.com", "x" * (LINE - 20), "")
@example("jane@example.com", "x " * (LINE // 2 - 8), "")
def test_no_address_in_a_line(address: str, before: str, after: str) -> None:
    """Not even one that the cut goes through."""
    shown = line_of(f"{before} {address} {after}")
    assert address not in shown
    local, _, host = address.partition("@")
    assert f"{local}@{host[:4]}" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no contact jane@example.com here", "no contact [email] here"),
        ("<jane@example.com>", "<[email]>"),
        ("https://x/List/1/Contact/jane%40example.com?x=1", "[email]?x=1"),
        ("a@b.com,c@d.com;e@f.com", "[email],[email];[email]"),
        ("a@b.com/c@d.com)", "[email])"),
        ("an @ alone, 50%40", "an @ alone, 50%40"),
        ("@name", "@name"),
        ("jane%2540example.com", "[email]"),
        ('"jane doe"@example.com', "[email]"),
        ('{"of":"\\"jane doe\\"@example.com"}', '{"of":"[email]"}'),
        ("jane@[192.0.2.1]", "[email]"),
        ("jane@\\u4f8b\\u5b50.\\u516c", "[email]"),
        ("5 @ 10.5 a second, seconds=40.5, in=40s", "5 @ 10.5 a second, seconds=40.5, in=40s"),
        ('{"a":"b","c":"@example.com"}', '{"a":"b","c":"@example.com"}'),
        ("jane&#64;example.com, jane&commat;example.com", "[email], [email]"),
        ('{"of":"jane\\u0040example.com"}', '{"of":"[email]"}'),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    """An address goes, what stands around it stays as far as it can't be part of it."""
    assert without_addresses(text) == shown


LOCAL = st.text("abcXYZ.+'!#$%&*/=?^_`{|}~-", min_size=1, max_size=20).map(
    lambda some: f"q7z{some}k9"
)
HOST = st.sampled_from(["example.com", "b\u00fccher.example", "xn--fsq.example.co.uk", "163.com"])
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "the web": lambda text: quote(text, safe=""),
    "twice": lambda text: quote(quote(text, safe=""), safe=""),
    "every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "HTML": lambda text: html.escape(text).replace("@", "&#064;"),
    "HTML, hexadecimal": lambda text: html.escape(text).replace("@", "&#x40;"),
    "HTML, twice": lambda text: html.escape(html.escape(text).replace("@", "&commat;")),
    "HTML, every character": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, in a text of JSON": lambda text: json.dumps(json.dumps(text).replace("@", "\\u0040")),
    "JSON, every character": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "bytes": lambda text: repr(text.encode())[2:-1].replace("@", "\\x40"),
    "mail": lambda text: text.replace("=", "=3D").replace("@", "=40"),
    "mail, broken after": lambda text: text.replace("@", "@=\n"),
    "broken before": lambda text: text.replace("@", "\n  @"),
    "broken after": lambda text: text.replace("@", "@\r\n"),
    "wide": lambda text: text.replace("@", "\uff20"),
}


@pytest.mark.parametrize("name", ENCODINGS)
@given(LOCAL, HOST)
def test_no_address_however_it_is_written(name: str, local: str, host: str) -> None:
    """Nothing of who it is, in whatever way others write an address."""
    written = ENCODINGS[name](f"{local}@{host}")
    who = ENCODINGS[name](local)
    for shown in (without_addresses(f"no contact {written} here"), line_of(f"to {written}, <b>")):
        assert "[email]" in shown
        assert who.strip('"')[:12] not in shown
        assert local not in shown


@pytest.mark.parametrize(
    "text",
    [
        "a" * 3_000_000,
        "a@" * 1_500_000,
        "@" * 3_000_000,
        "%40a" * 700_000,
        "a" + "\\" * 3_000_000,
        "a" + "\\n" * 300_000 + "@",
        "a" + "&amp;" * 300_000 + "@",
    ],
)
def test_long_texts(text: str) -> None:
    """Megabytes without a space are gone through once: more would take hours."""
    assert len(without_addresses(text)) <= len(text) + 7


@pytest.mark.parametrize("before", range(LINE * 4 - 30, LINE * 4 + 10))
def test_no_half_of_what_is_hidden_at_a_cut(before: int) -> None:
    """Wherever the cut goes through: what stood whole before it is hidden whole, or not shown."""
    SECRETS.add("the-wr1te-k3y")
    for hidden in ("jane.doe@example.com", "the-wr1te-k3y"):
        for filler in ("a@b.cc,", "x ", "the-wr1te-k3y "):
            text = (filler * before)[:before] + hidden + " and more " * 100
            shown = line_of(text)
            assert "jane" not in shown
            assert "the-wr1t" not in shown


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", ""),
        (b"  \n ", ""),
        (b"\xff\xfe<html>no\njane@example.com</html>", "\ufffd\ufffd<html>no [email]</html>"),
        (b'{"code": "bad", "at": "\\u006aane\\u0040example.com"}', '{"code":"bad","at":"[email]"}'),
        (b'{"key": "the\\u002dwr1te-k3\\u0079", "of": "dGhlLXdyMXRlLWszeTo="}', HIDDEN),
        (b'{"torn": "the-wr1te', '{"torn": "[secret]'),
        (b"[" * 100_000, "..."),
        (b"9" * 10_000, "..."),
    ],
)
def test_a_line_of_an_answer(body: bytes, line: str) -> None:
    """JSON is read first: its escapes would hide what is to be hidden."""
    SECRETS.add("the-wr1te-k3y")
    assert line_of_answer(body) == line
