"""Mutations of inputs: of bytes, of texts, and of JSON by its structure."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

RAW: Final = "\x01raw\x01"
"""The beginning of a text that stands for JSON, or for what is none, as it is."""

TOKENS: Final = (
    *("null", "true", "false", "0", "-0", "-1", "1.5", "3.0", "1E2", "1e400", "-1e400", "0.1e-400"),
    *("NaN", "Infinity", "-Infinity", "nan", "9007199254740993", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551616", "9" * 50, "9" * 5000, "01", "+1", ".5", "1."),
    *('""', '"0"', '"1"', '"-1"', '"nan"', '"inf"', '"1e3"', '"true"', '"\\u0000"', '"\\ud83d"'),
    *('"\\ud83d\\ude00"', '"\\udc00\\ud83d"', '"\\x"', '"\xff"', '"\x00"', '"', "tru", "{", "]"),
    *("[]", "{}", "[[]]", '{"":{}}', "[null]", '{"a":1,"a":2}', "[" * 60 + "]" * 60),
    *("[" * 3000 + "]" * 3000, '"' + "x" * 70_000 + '"', "[1,]", "//", "\ufeff1", ""),
    *('"2026-13-45T99:99:99"', '"9999-12-31T23:59:59.9999999"', '"0001-01-01T00:00:00"'),
    *('"2026-05-10T08:00:00Z"', '"2026-11-01T01:30:00"', '"2026-W01-1"', '"20260510"', '"10:00"'),
    *('"2026-05-10T08:00:00+14:00"', '"0001-01-01T00:00:00+23:59"', '"2026-05-10 08:00:00.5"'),
)
"""Values that nobody expects, as JSON or as what is none."""

TEXTS: Final = (
    *("", " ", "\t", "\r\n", "\0", "\ud83d", "\U0001f600", "e\u0301", "\u202e", "\x1b[31m", "\x7f"),
    *("\u2028", "\ufffe", "\ufeff", "\u0130", "\u00df", "\u212a", "%00", "%s", "[/b]", "'", '"'),
    *("\\", "/", "..", "://", "@", "=", ",", ";", ":", "1", "-1", "nan", "inf", "\u0661"),
    *("x" * 999, "Aa0/" * 9),
)
"""Texts that are put into others."""


class Mutator:
    """Draws mutations.

    random: what draws.
    others: what parts are taken of, which belong to other inputs.
    """

    def __init__(self, random: Random, others: Sequence[bytes] = ()) -> None:
        self.random = random
        self.others = others
        self._of_bytes = (
            *(self._flipped, self._replaced, self._cut, self._repeated, self._spliced),
            *(self._with_token, self._cut_off),
        )
        self._of_values: tuple[Callable[[Any], Any], ...] = (
            *(self._token, self._token, self._token, self._wrapped, self._twisted, self._twisted),
        )

    def of_bytes(self, data: bytes) -> bytes:
        """Bytes of which some are other ones."""
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            data = self.random.choice(self._of_bytes)(data)
        return data

    def of_text(self, text: str) -> str:
        """A text of which some is another one."""
        at = self.random.randrange(len(text) + 1)
        match self.random.randrange(5):
            case 0:
                return self.random.choice(TEXTS)
            case 1:
                return text[:at] + text[at + self.random.randrange(4) :]
            case 2:
                end = at + self.random.randrange(1, 12)
                return text[:at] + text[at:end] * self.random.choice((2, 3, 50, 3000)) + text[end:]
            case 3:
                return text.swapcase()
        return text[:at] + self.random.choice(TEXTS) + text[at:]

    def of_json(self, body: bytes) -> bytes:
        """JSON in which something is another thing; other bytes where it is none."""
        try:
            whole = json.loads(body)
        except (ValueError, RecursionError):
            return self.of_bytes(body)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            whole = self._changed(whole)
        return written(whole, ascii_only=self.random.random() < 0.7)

    def _changed(self, whole: Any) -> Any:
        """The value, or one within it, changed; rows of a list as often as all else."""
        inner: Any = whole
        way: list[tuple[Any, Any]] = []
        while isinstance(inner, dict | list) and inner and self.random.random() < 0.85:
            key = self.random.choice([*inner] if isinstance(inner, dict) else range(len(inner)))
            way.append((inner, key))
            inner = inner[key]
        if not way:
            return self.random.choice(self._of_values)(whole)
        holder, key = way[-1]
        if self.random.random() < 0.25:
            self._rearrange(holder, key)
        else:
            holder[key] = self.random.choice(self._of_values)(inner)
        return whole

    def _rearrange(self, holder: Any, key: Any) -> None:
        """Takes something out of a value, or puts it there again."""
        match self.random.randrange(4), holder:
            case 0, _:
                del holder[key]
            case 1, list():
                holder += [holder[key]] * self.random.choice((1, 1, 5, 300))
            case 1 | 2, dict():
                holder[self.of_text(key)] = holder[key]
            case 2, list():
                self.random.shuffle(holder)
            case _:
                other = self.random.choice([*holder] if isinstance(holder, dict) else holder)
                holder[key] = holder[other] if isinstance(holder, dict) else other

    def _token(self, _: Any) -> str:
        return RAW + self.random.choice(TOKENS)

    def _wrapped(self, value: Any) -> Any:
        return self.random.choice(([value], {"value": value}, [[value, value]], str(value)))

    def _twisted(self, value: Any) -> Any:
        """A value of the same kind."""
        match value:
            case bool():
                return self.random.choice((not value, int(value), str(value)))
            case int() | float():
                # Of what no float is, too.
                part = value // 3 if abs(value) > 2**60 else value / 3
                changes = (-value, value + 1, value * 2**40, part, str(value), f"{value}.0")
                return self.random.choice(changes)
            case str():
                return self.of_text(value)
        return self.random.choice((None, False, 0, ""))

    def _flipped(self, data: bytes) -> bytes:
        content = bytearray(data)
        if content:
            content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        return bytes(content)

    def _replaced(self, data: bytes) -> bytes:
        at, size = self._span(data)
        return data[:at] + self.random.randbytes(size) + data[at + size :]

    def _cut(self, data: bytes) -> bytes:
        at, size = self._span(data)
        return data[:at] + data[at + size :]

    def _cut_off(self, data: bytes) -> bytes:
        return data[: self._span(data)[0]]

    def _repeated(self, data: bytes) -> bytes:
        at, size = self._span(data)
        return data[:at] + data[at : at + size] * self.random.choice((2, 2, 9, 200)) + data[at:]

    def _spliced(self, data: bytes) -> bytes:
        if not self.others:
            return data
        other = self.random.choice(self.others)
        at, size = self._span(other)
        return data[: self._span(data)[0]] + other[at : at + max(size, 20)]

    def _with_token(self, data: bytes) -> bytes:
        at, size = self._span(data)
        token = self.random.choice(TOKENS).encode("utf-8", "surrogatepass")
        return data[:at] + token + data[at + self.random.choice((0, size)) :]

    def _span(self, data: bytes) -> tuple[int, int]:
        """A place in bytes, and how many from there on."""
        return self.random.randrange(len(data) + 1), self.random.choice((1, 1, 2, 4, 16, 200))


def written(value: Any, *, ascii_only: bool) -> bytes:
    """A value as JSON, in which texts that begin with RAW stand as they are."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    mark = json.dumps(RAW)[:-1]
    while (at := text.find(mark)) >= 0:
        raw, end = json.JSONDecoder(strict=False).raw_decode(text, at)
        text = text[:at] + raw[len(RAW) :] + text[end:]
    return text.encode("utf-8", "surrogatepass")
