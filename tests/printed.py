"""All that the bridge has printed in a test, held to its word: no secret anywhere, and no address
but where an operator asked for one, or in a log at level debug.

`conftest.py` asks for it after each test.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import unquote

SECRETS = ("LISTRAK_CLIENT_ID", "LISTRAK_CLIENT_SECRET", "SEGMENT_WRITE_KEY")

SHOW_ADDRESSES = (("explain",), ("preview",), ("dead-letters", "show"), ("sandbox",))
"""Commands whose output is meant to show addresses; what they log is not."""

# On purpose not the bridge's own idea of an address.
_ADDRESS = re.compile(r"""[^\s"'<>(),;:=/\\\[\]{}]+(?:@|%40)[\w-]+(?:\.[\w-]+)+""", re.IGNORECASE)
_CODE = re.compile(r"\\+(?:u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
_MAIL_AT = re.compile(r"(?<=\w)=40(?=(?:[\w-]+\.)+[a-z]{2})", re.IGNORECASE)
_BROKEN = re.compile(r"[\w.+-]+(?:=?\s*\n\s*@|@=?\s*\n\s*)(?:[\w-]+\.)+[a-z]{2}")
"""An address that stands on two lines."""
_BASE64 = re.compile(r"[\w+/-]{12,}", re.ASCII)
_TOKEN = re.compile(r"\b[0-9a-f]{64}\b")
"""The access tokens of the emulated Listrak."""


@dataclass(frozen=True)
class Printed:
    """What a command wrote.

    out, err: the text, or the file that it stands in.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    out: str | Path
    err: str | Path

    def leaks(self) -> Iterator[str]:
        """What of it nobody may see."""
        shows = any(self.arguments[: len(name)] == name for name in SHOW_ADDRESSES)
        for name, stream, addresses in (("out", self.out, not shows), ("err", self.err, True)):
            for line in _lines(stream):
                for leak in (*self._secrets(line), *(_addresses(line) if addresses else ())):
                    command = " ".join(self.arguments)
                    yield f"`{command}` shows {leak!r} on std{name}: {line[:1000]}"

    def _secrets(self, line: str) -> Iterator[str]:
        for name in SECRETS:
            secret = self.environment.get(name, "")
            if len(secret) >= 8 and any(secret in text for text in (line, *_decoded(line))):
                yield secret
        yield from _TOKEN.findall(line)


_kept: list[Printed] = []

IN_PROCESS = {
    "LISTRAK_CLIENT_ID": "the-cl1ent-1d",
    "LISTRAK_CLIENT_SECRET": "the-cl1ent-s3cret",
    "SEGMENT_WRITE_KEY": "the-wr1te-k3y",
}
"""The secrets of what runs in the process of the tests themselves: those of their rigs."""


def keep(
    arguments: Sequence[str], environment: Mapping[str, str], *, out: str | Path, err: str | Path
) -> None:
    """Keeps what a command wrote until it is looked through."""
    _kept.append(Printed(tuple(arguments), environment, out, err))


def look_through() -> None:
    """Looks through all that was kept; fails where something should not be there."""
    kept = _kept.copy()
    _kept.clear()
    leaks = [leak for printed in kept for leak in printed.leaks()]
    assert not leaks, "\n".join(leaks[:10])


def leaks_of_a_test(said: str) -> list[str]:
    """What nobody may see of that which a test has printed in its own process."""
    return list(Printed(("the test",), IN_PROCESS, said, "").leaks())


def _lines(stream: str | Path) -> Iterator[str]:
    text = (
        stream.read_text(encoding="utf-8", errors="replace") if isinstance(stream, Path) else stream
    )
    for line in text.splitlines():
        yield line
        read = line
        # Perhaps encoded twice.
        for _ in range(2):
            read = _CODE.sub(
                lambda match: chr(int(match[1] or match[2], 16)), unescape(unquote(read))
            )
            read = _MAIL_AT.sub("@", read)
        if read != line:
            yield read
    yield from (match[0] for match in _BROKEN.finditer(text))


def _decoded(line: str) -> Iterator[str]:
    """What stands in base64 in a line, wherever in it that begins."""
    for word in _BASE64.findall(line):
        for start in range(4):
            whole = word[start:].translate(str.maketrans("-_", "+/"))
            yield b64decode(whole + "A" * (-len(whole) % 4)).decode("latin-1")


def _addresses(line: str) -> list[str]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if (isinstance(said, dict) and said.get("level") == "debug") or "[debug " in line:
        return []
    return _ADDRESS.findall(re.sub(r"=?\s*\n\s*", "", line))
