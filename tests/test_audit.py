"""The audit: which locked versions have advisories, told with what it was looked up in."""

import hashlib
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version
from supply import audit
from supply.advisories import MEMBER, Database, UnavailableError, load, wheel_in
from supply.lock_file import ALL, Pin, read

TODAY = date(2026, 8, 1)


def pin(name: str, version: str) -> Pin:
    """One locked package."""
    return Pin(canonicalize_name(name), Version(version), ("0" * 64,))


def wheel(folder: Path, versions: dict[str, list[str]]) -> Path:
    """A wheel with advisories for these ranges of versions of each package, of the 7th of July."""
    advisories = {
        name: [
            {"id": f"GHSA-{number}", "cve": "N/A", "severity": "HIGH", "advisory": "Hole", "v": one}
            for number, one in enumerate(ranges)
        ]
        for name, ranges in versions.items()
    }
    path = folder / "ships-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER, (2026, 7, 7, 4, 38, 0)), json.dumps(advisories))
    return path


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Advisories for three packages."""
    ranges = {"a.b": ["<2", ">=3,<3.2"], "c": ["==1.0"], "d": ["<0.1.patched"]}
    return load(wheel(tmp_path, ranges))


@pytest.mark.parametrize(
    ("package", "numbers"),
    [
        (pin("A_b", "1.9"), ["GHSA-0"]),
        (pin("a-b", "2"), []),
        (pin("a-b", "3.1rc1"), ["GHSA-1"]),
        (pin("a-b", "3.2"), []),
        (pin("c", "1.0"), ["GHSA-0"]),
        (pin("c", "1.0.1"), []),
        (pin("d", "9"), ["GHSA-0"]),
        (pin("e", "1"), []),
    ],
    ids=lambda one: f"{one.name} {one.version}" if isinstance(one, Pin) else None,
)
def test_a_version_in_a_range_is_affected(
    database: Database, package: Pin, numbers: list[str]
) -> None:
    """Under any spelling of its name; so is one whose range can't be read, and no other."""
    assert [advisory.id for _, advisory in database.affecting([package])] == numbers


def test_it_says_what_it_looked_up_in_what(database: Database) -> None:
    """How many packages, in how many advisories, of which day, and where each finding runs."""
    pins = [pin("a-b", "1"), pin("c", "1.0"), pin("e", "1")]
    told = list(audit.report(database, pins, {"c"}, TODAY))
    assert told[0] == (
        "3 locked packages looked up in 2 advisories of 2026-07-07, 25 days ago;"
        " 2 of them had one in some version."
    )
    assert told[-3:] == [
        "a-b 1 (for developers): GHSA-0, N/A, HIGH, versions <2: Hole",
        "c 1.0 (in production): GHSA-0, N/A, HIGH, versions ==1.0: Hole",
        "Affected: 2.",
    ]
    assert list(audit.report(database, pins[2:], set(), TODAY))[-1] == "Affected: none."


@pytest.mark.parametrize(("today", "old"), [(date(2027, 7, 7), False), (date(2027, 7, 8), True)])
def test_old_advisories_are_said_to_be_of_no_use(
    database: Database, today: date, old: bool
) -> None:
    """After a year."""
    told = " ".join(audit.report(database, [], set(), today))
    assert ("too old to go by" in told) is old


def test_only_the_locked_file_is_opened(tmp_path: Path) -> None:
    """One of its name with another content is none."""
    path = wheel(tmp_path, {"c": ["<1"]})
    lock = tmp_path / "advisories.lock"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lock.write_text(f"ships==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
    assert wheel_in(tmp_path, lock) == path
    # Nothing of that name can be downloaded: where pip has no index there is no network either.
    lock.write_text(f"ships==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(
            UnavailableError, match=r"No matching distribution found for ships==1\.0"
        ):
            wheel_in(tmp_path, lock)
        patch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(ValueError, match="doesn't have the hash"):
            wheel_in(tmp_path / "empty", lock)


def test_the_command_ends_by_what_it_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 1 where a locked version is affected, else with 0; that it is skipped is said."""
    affected = str(next(iter(read(ALL))))
    for versions, code, last in (
        ({affected: [">0"]}, 1, "Affected: 1.\n"),
        ({affected: ["<0.0.1"]}, 0, "Affected: none.\n"),
    ):
        path = wheel(tmp_path, versions)
        monkeypatch.setattr(audit, "wheel_in", lambda path=path: path)
        assert audit.main() == code
        assert capsys.readouterr().out.endswith(last)

    def missing() -> Path:
        raise UnavailableError("no network")

    monkeypatch.setattr(audit, "wheel_in", missing)
    assert audit.main() == 0
    assert capsys.readouterr().out == "Skipped, nothing was looked up: no network\n"
