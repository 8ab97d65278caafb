"""Lock files: exact versions, with the hashes of every file that was published of each."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parent.parent.parent
ALL: Final = ROOT / "requirements.lock"
RUNTIME: Final = ROOT / "requirements-runtime.lock"

_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package."""

    name: NormalizedName
    version: Version
    hashes: tuple[str, ...]  # SHA-256 in hex, one of each published file, sorted


def read(lock: Path) -> dict[NormalizedName, Pin]:
    """Returns the packages of a lock file by name, in its order.

    Raises ValueError where a line is no exact version with hashes, or a package is there twice.
    """
    pins: dict[NormalizedName, Pin] = {}
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in (" ".join(line.split()) for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        match = _PIN.fullmatch(line)
        if match is None:
            raise ValueError(f"{lock.name}: no exact version with hashes: {line[:80]}")
        name = canonicalize_name(match[1])
        if name in pins:
            raise ValueError(f"{lock.name}: {name} is there twice")
        hashes = re.findall(r"sha256:([0-9a-f]{64})", match[3])
        pins[name] = Pin(name, Version(match[2]), tuple(sorted(hashes)))
    return pins
