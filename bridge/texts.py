"""The words of others, made harmless before they reach a log or a terminal."""

import re
from typing import Final

LINE: Final = 300
"""Characters of somebody else's text that are shown."""

# C0 and C1 (ESC and CSI among them), what breaks lines or turns their direction, half characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Wide on purpose: better a word too many hidden than one address shown. %40 is @ in a URL.
_WORD = re.compile(r'[^\s"<>,;]+')
_AT = re.compile(r"@|%40")
_HOST = re.compile(r"""[^\s"'<>@,;:=/?\\()\[\]{}]+""")


def escaped(text: str) -> str:
    """The text without control characters: a terminal would obey them, a log would break."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def without_addresses(text: str) -> str:
    """The text with `[email]` for whatever may be an address, in time linear in its length."""
    if "@" not in text and "%40" not in text:
        return text
    return _WORD.sub(lambda match: _hidden(match[0]), text)


def line_of(text: str) -> str:
    """One harmless line of somebody else's text: cut, without addresses and control characters."""
    # First of all it is cut: nothing else is done to what nobody will read. A half address at the
    # cut would not be known as one.
    cut = text[: LINE + 1]
    if len(cut) > LINE:
        cut = cut[:LINE].rsplit(None, 1)[0] + " ..."
    return escaped(without_addresses(" ".join(cut.split())))


def _hidden(word: str) -> str:
    """The word, if it has no address; else what follows the host of its last one."""
    end = 0
    for at in _AT.finditer(word):
        if at.end() <= end:
            continue
        host = _HOST.match(word, at.end())
        if host and at.start():
            end = host.end()
    return f"[email]{word[end:]}" if end else word
