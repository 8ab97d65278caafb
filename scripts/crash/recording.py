"""What a process wrote, in order, by its tracer; and what of it a power loss may leave."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

TRACED: Final = "pwrite64,write,ftruncate,fdatasync,fsync,rename,unlink"

OPTIONS: Final = ("-y", "-xx", "-ttt", "-s", "1000000")

_CALL: Final = re.compile(r"^\d+ +([\d.]+) (\w+)\((.*)\) += +\d+$", re.MULTILINE)
_FILE: Final = re.compile(r"^\d+<([^>]*)>(?:, )?(.*)$", re.DOTALL)
_TEXT: Final = re.compile(r'"([^"]*)"(?:\.\.\.)?(?:, )?')


class Deed(NamedTuple):
    """A deed on a file.

    when: seconds since 1970.
    what: `write`, `truncate`, `sync`, `rename` or `unlink`.
    name: of the file.
    at: the place of a write, or the length that a truncation leaves.
    data: what is written; of a renaming the new name.
    """

    when: float
    what: str
    name: str
    at: int = 0
    data: bytes = b""


def recorded_deeds(log: Path, stem: str) -> list[Deed]:
    """The deeds on files whose name begins with a stem, but for the shared memory of SQLite."""
    found = _deeds(log.read_text(encoding="ascii"))
    return [one for one in found if one.name.startswith(stem) and not one.name.endswith("-shm")]


def _deeds(text: str) -> Iterator[Deed]:
    appended: dict[str, int] = {}
    for time, call, arguments in _CALL.findall(text):
        when = float(time)
        if call in ("rename", "unlink"):
            old, *new = (_name(one) for one in _TEXT.findall(arguments))
            yield Deed(when, call, old, data=new[0].encode() if new else b"")
            continue
        file = _FILE.match(arguments)
        if file is None:
            continue
        name, rest = _name(file[1]), file[2]
        if call in ("fdatasync", "fsync"):
            yield Deed(when, "sync", name)
        elif call == "ftruncate":
            yield Deed(when, "truncate", name, int(rest))
        elif (data := _TEXT.match(rest)) is not None:
            content = _bytes(data[1])
            places = rest[data.end() :].split(", ")
            at = int(places[1]) if call == "pwrite64" else appended.get(name, 0)
            appended[name] = at + len(content)
            yield Deed(when, "write", name, at, content)


def left_by(deeds: Sequence[Deed], random: Random) -> dict[str, bytes]:
    """The files that are there after a power loss behind these deeds, by name.

    What was synced is there. Of what came after, any writes may be lost, and one be torn; names
    change in order.
    """
    files: dict[str, bytearray] = {}
    loose: dict[str, list[Deed]] = {}
    for deed in deeds:
        if deed.what == "sync":
            for each in loose.pop(deed.name, ()):
                _apply(files[deed.name], each)
        elif deed.what == "unlink":
            files.pop(deed.name, None)
            loose.pop(deed.name, None)
        elif deed.what == "rename":
            files[deed.data.decode()] = files.pop(deed.name, bytearray())
            loose[deed.data.decode()] = loose.pop(deed.name, [])
        else:
            files.setdefault(deed.name, bytearray())
            loose.setdefault(deed.name, []).append(deed)
    for name, unsynced in loose.items():
        kept = [each for each in unsynced if random.random() < 0.5]
        for number, each in enumerate(kept):
            is_torn = number == len(kept) - 1 and each.what == "write" and random.random() < 0.5
            half = each.data[: len(each.data) // 2]
            _apply(files[name], each._replace(data=half) if is_torn else each)
    return {name: bytes(content) for name, content in files.items()}


def _apply(content: bytearray, deed: Deed) -> None:
    if deed.what == "truncate":
        del content[deed.at :]
        content.extend(bytes(deed.at - len(content)))
    else:
        content.extend(bytes(max(0, deed.at - len(content))))
        content[deed.at : deed.at + len(deed.data)] = deed.data


def _name(text: str) -> str:
    return Path(_bytes(text).decode()).name


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
