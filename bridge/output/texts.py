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

# Wide on purpose: better a word too many hidden than one address shown.
_WORD = re.compile(r'[^\s"<>,;]+')
_SEPARATORS: Final = ' "<>,;'
_HOST = re.compile(r"""[^\s"'<>@,;:=/?\\()\[\]{}]+""")
# @ as it stands in addresses of the web (perhaps twice encoded), in HTML, and in JSON.
_ENCODED_AT = re.compile(
    r"""(?<=[^\s"<>,;])(?:%(?:25)*40|&#64;|&\#x40;|&commat;|\\+u0040|\\+x40)(?=[^\s"'<>@,;:=/?\\])""",
    re.IGNORECASE,
)
_ENCODED = ("%", "&", "\\")


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
