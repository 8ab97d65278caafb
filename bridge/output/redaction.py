"""Secrets, hidden in whatever is shown: whole or in parts, and in the forms others give them.

Every secret is told here as soon as it is known: what is loaded of the settings, and tokens. It is
the process's, as the texts in which they could stand come from everywhere.
"""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterator
from itertools import product
from string import ascii_lowercase, ascii_uppercase
from typing import Final
from urllib.parse import quote

LEAST: Final = 8
"""Characters of a part of a secret that is hidden at least."""

SHORTEST: Final = 4
"""Characters of a secret at least that is hidden: one or two letters stand in every word, and no
credential is so short. Below LEAST it is hidden where it stands as a word."""

SHOWN: Final = "[secret]"

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_WORDS: Final = re.compile("[^0-9]*")
_TURN: Final = re.compile("[a-z][A-Z]")

_SPECIAL: Final = (re.compile("[&<>\"'/]"), re.compile(r"[^\w.~-]"))
_SPELLED: Final = ("&#{:d};", "&#{:03d};", "&#x{:x};", "\\u{:04x}", "={:02x}")
"""Characters that others write otherwise in HTML, JSON and mail, few or many; and how."""


class Secrets:
    """The secrets of a process. Servers may repeat them in any case, encoded, or cut in the middle:
    whatever shares LEAST characters in a row with one of them is hidden, unless these could be
    words, as in names that people think of: of such a secret only the whole is hidden."""

    def __init__(self) -> None:
        self._lasting: set[str] = set()
        self._passing: deque[str] = deque(maxlen=4)
        self._parts: frozenset[str] = frozenset()
        self._whole: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Hides a secret from now on; one of less than SHORTEST characters is none."""
        if secret not in self._lasting:
            self._lasting.add(secret)
            self._learn()

    def add_passing(self, secret: str) -> None:
        """Hides a secret that others follow, such as a token, until some of them have."""
        self._passing.append(secret)
        self._learn()

    def _learn(self) -> None:
        known = {*self._lasting, *self._passing}
        self._parts = frozenset().union(*map(_parts_of, known))
        patterns = {pattern for each in known for pattern in _patterns_of(each)}
        # The longest first: of two, one may begin with the other.
        ordered = sorted(patterns, key=len, reverse=True)
        self._whole = re.compile("|".join(ordered)) if ordered else None

    def clear(self) -> None:
        """Forgets them all."""
        self._lasting.clear()
        self._passing.clear()
        self._parts = frozenset()
        self._whole = None

    def hidden_in(self, text: str) -> str:
        """The text with `[secret]` for each of them, in time linear in its length."""
        if self._whole is not None:
            text = self._whole.sub(SHOWN, text)
        parts = self._parts
        if not parts:
            return text
        lower = text.lower() if text.isascii() else text.translate(_LOWER)
        kept, shown_to, at = [], 0, 0
        while at + LEAST <= len(lower):
            if lower[at : at + LEAST] not in parts:
                at += 1
                continue
            kept += [text[shown_to:at], SHOWN]
            while lower[at : at + LEAST] in parts:
                at += 1
            at = shown_to = at + LEAST - 1
        return "".join([*kept, text[shown_to:]])


def _patterns_of(secret: str) -> Iterator[str]:
    """Patterns of a secret as a whole, in the case that it has."""
    if len(secret) >= LEAST:
        yield from (re.escape(form) for form in _forms(secret))
    elif len(secret) >= SHORTEST:
        # Not where it is the name of a field, in JSON or in a line of the console.
        for form in map(re.escape, _forms(secret)):
            yield rf"(?<!\w)(?!(?<=\s){form}=){form}(?!\w|\":)"


def _parts_of(secret: str) -> frozenset[str]:
    """The parts of a secret that are hidden, in lower case."""
    if len(secret) < LEAST:
        return frozenset()
    return frozenset(
        form[at : at + LEAST].translate(_LOWER)
        for form in {*_forms(secret)}
        for at in range(len(form) - LEAST + 1)
        if not _could_be_words(form[at : at + LEAST])
    )


def _could_be_words(part: str) -> bool:
    """Tells whether a part has no digit, and no more than one capital inside a word."""
    return _WORDS.fullmatch(part) is not None and len(_TURN.findall(part)) < 2


def _forms(secret: str) -> Iterator[str]:
    """A secret in the forms that a text may show: plain, as JSON, as Python's repr, or both; in an
    address, in HTML, and in base64, as an Authorization header has it."""
    quoted = repr(secret)[1:-1]
    yield from (secret, quoted, repr(f"'{secret}")[2:-1])
    yield from (json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1])
    yield from (quote(secret, safe=""), quote(quote(secret, safe=""), safe=""), html.escape(secret))
    yield secret.replace("/", r"\/")
    for special, spelled in product(_SPECIAL, _SPELLED):
        yield "".join(spelled.format(ord(one)) if special.match(one) else one for one in secret)
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(f"{secret}:".encode()).decode()
        for before, cut in ((0, 0), (1, 2), (2, 3)):
            data = bytes(before) + secret.encode()
            # What stands around it has a part in the first and the last of these characters.
            yield encode(data).decode()[cut : len(data) * 8 // 6]


SECRETS: Final = Secrets()
"""The secrets of this process."""
