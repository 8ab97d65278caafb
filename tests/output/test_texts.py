"""The words of others, on their way to a log or a terminal."""

import unicodedata

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
        ("jane&#64;example.com, jane&commat;example.com", "[email], [email]"),
        ('{"of":"jane\\u0040example.com"}', '{"of":"[email]"}'),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    """An address goes, what stands around it stays as far as it can't be part of it."""
    assert without_addresses(text) == shown


@pytest.mark.parametrize(
    "text", ["a" * 3_000_000, "a@" * 1_500_000, "@" * 3_000_000, "%40a" * 700_000]
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
