"""What a trial keeps of what it has tried."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

TITLES: Final = (
    "Histories",
    "Troubles in histories",
    "Rare paths in histories",
    "Planted bugs",
    "SIGKILL",
    "SIGTERM",
    "System calls that fail",
    "Power losses",
    "Damaged state files",
    "Soak",
    "Fuzzer",
)
"""Of all proofs, in the order of the page."""


class Proof(msgspec.Struct, frozen=True):
    """A proof.

    title: one of TITLES.
    about: a sentence on what was done.
    tried: what, and how often or how much, in order.
    findings: sentences about what was wrong.
    seconds: how long it took.
    """

    title: str
    about: str
    tried: Mapping[str, int | float | str]
    findings: Sequence[str] = ()
    seconds: float = 0.0


def keep(proofs: Sequence[Proof], folder: Path | None) -> None:
    """Writes proofs into a folder, each in place of an earlier one; nothing without a folder."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for proof in proofs:
        assert proof.title in TITLES, proof.title
        _path(folder, proof.title).write_bytes(msgspec.json.format(msgspec.json.encode(proof)))


def kept(folder: Path) -> list[Proof]:
    """The proofs in a folder, in the order of the page."""
    paths = (_path(folder, title) for title in TITLES)
    return [msgspec.json.decode(one.read_bytes(), type=Proof) for one in paths if one.exists()]


def _path(folder: Path, title: str) -> Path:
    return folder / f"{title.lower().replace(' ', '-')}.json"
