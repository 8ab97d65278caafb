"""The words of others, made harmless before they reach a log, a terminal or the state file."""

import json
import re
from contextlib import suppress
from typing import Final

from bridge.output.redaction import SECRETS

LINE: Final = 300
"""Characters of somebody else's text that are shown."""

_LOOKED_AT: Final = 4 * LINE
"""Characters of it that are looked at: what is hidden in them may make them fewer."""

# C0 and C1 (ESC and CSI among them), what breaks lines or turns their direction, half characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Wide on purpose: better a word too many hidden than one address shown. What is encoded belongs to
# the word, as HTML and JSON write it.
_WORD = re.compile(r'(?:&(?:amp;)*#?\w{1,8};|[^\s"<>,;])+')
_SEPARATORS: Final = ' "<>,;'
_ENCODED_CHARACTER: Final = r"\\+(?:u[0-9a-f]{4}|x[0-9a-f]{2})|&(?:amp;)*#\w{1,7};"
_HOST_CHARACTER: Final = rf"""(?:{_ENCODED_CHARACTER}|[^\s"'<>@,;:=/?\\()\[\]{{}}])"""
_HOST = re.compile(rf"{_HOST_CHARACTER}+|\[[\w.:]+\]", re.IGNORECASE)
_DOTTED_HOST: Final = r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2}"
# @ as it stands in addresses of the web (perhaps twice encoded), in HTML, in JSON, in mail, and in
# other scripts.
_ENCODED_AT = re.compile(
    r"""(?<=[^\s"<>,])(?:%(?:25)*(?:40|u0040)|&(?:amp;)*(?:\#0*64|\#x0*40|commat);?"""
    r"""|(?<!\\)\\+(?:u0040|x40|u\{0*40\}|U0{6}40)|[\uff20\ufe6b])"""
    rf"(?={_HOST_CHARACTER}|\[)|(?<=[^\s\"<>,])=40(?={_DOTTED_HOST})",
    re.IGNORECASE,
)
_ENCODED = ("%", "&", "\\", "=40", "\uff20", "\ufe6b")
# @ at the end of a line, or the beginning of one, where somebody has broken an address in two.
_GAP: Final = r"(?:\s|=(?=[\s\\])|(?<!\\)\\+[nrt]){0,20}"
_BROKEN_AT = re.compile(rf"(?<=[^\s\"<>,;@]){_GAP}@{_GAP}(?={_DOTTED_HOST})")
# A local part in quotes may hold anything; here nothing that stands between two texts of JSON.
_QUOTED_LOCAL = re.compile(rf'(?<!\\)\\*"[^":,{{}}\[\]]{{1,64}}"@(?={_HOST_CHARACTER}|\[)')


def escaped(text: str) -> str:
    """The text without control characters: a terminal would obey them, a log would break."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def without_secrets(text: str) -> str:
    """The text with `[secret]` for each secret, and each part of one."""
    return SECRETS.hidden_in(text)


def without_addresses(text: str) -> str:
    """The text with `[email]` for whatever may be an address, in time linear in its length."""
    if any(sign in text for sign in _ENCODED):
        text = _ENCODED_AT.sub("@", text)
    if "@" not in text:
        return text
    text = _QUOTED_LOCAL.sub("[quoted]@", _BROKEN_AT.sub("@", text))
    return _WORD.sub(lambda match: _hidden(match[0]), text)


def harmless(text: str) -> str:
    """The text without secrets, addresses and control characters."""
    return escaped(without_addresses(without_secrets(text)))


def line_of(text: str) -> str:
    """One harmless line of somebody else's text: cut, without secrets, addresses and control
    characters."""
    # First of all it is cut: nothing else is done to what nobody will read. A half address at the
    # cut would not be known as one.
    cut = " ".join(text[:_LOOKED_AT].split())
    if len(text) > _LOOKED_AT:
        cut = f"{cut[: max(cut.rfind(mark) for mark in _SEPARATORS) + 1]} ...".strip()
    shown = without_addresses(without_secrets(cut))
    if len(shown) > LINE:
        shown = shown[:LINE].rsplit(None, 1)[0] + " ..."
    return escaped(shown)


def line_of_answer(body: bytes) -> str:
    """One harmless line of an answer, as line_of; the escapes of JSON are read."""
    text = body.decode(errors="replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return line_of(text)


def _hidden(word: str) -> str:
    """The word, if it has no address; else what follows the host of its last one."""
    end = 0
    at = word.find("@")
    while at >= 0:
        if at >= end:
            host = _HOST.match(word, at + 1)
            if host and at:
                end = host.end()
        at = word.find("@", at + 1)
    return f"[email]{word[end:]}" if end else word
