"""The lock files: each version within bounds, with hashes, and nothing that runs left out."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from supply.advisories import LOCK as ADVISORIES
from supply.lock_file import ALL, ROOT, RUNTIME, read
from supply.sbom import needed

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNS: list[str] = PROJECT["project"]["dependencies"]
DEVELOPS: list[str] = PROJECT["project"]["optional-dependencies"]["dev"]
BUILDS: list[str] = PROJECT["build-system"]["requires"]
PEERS = ROOT / "scripts" / "bench" / "peers" / "requirements.lock"
HASH = "0" * 64


@pytest.mark.parametrize("lock", [ALL, RUNTIME, PEERS, ADVISORIES], ids=lambda lock: lock.name)
def test_every_lock_file_has_exact_versions_with_hashes(lock: Path) -> None:
    """Of each package one version, and at least one hash."""
    assert read(lock)


@pytest.mark.parametrize(
    ("lock", "requirements"), [(ALL, RUNS + DEVELOPS + BUILDS), (RUNTIME, RUNS)]
)
def test_what_is_declared_is_locked_within_its_bounds(lock: Path, requirements: list[str]) -> None:
    """A bound that was moved without `make lock` is found here."""
    pins = read(lock)
    for requirement in map(Requirement, requirements):
        pin = pins[canonicalize_name(requirement.name)]
        assert pin.version in requirement.specifier, requirement


def test_what_runs_is_locked_with_all_that_it_requires_and_nothing_else() -> None:
    """No package of developers gets into production, none is missing there."""
    required, left = set(), [canonicalize_name(Requirement(each).name) for each in RUNS]
    while left:
        if (name := left.pop()) not in required:
            required.add(name)
            left += needed(name)
    assert set(read(RUNTIME)) == required


def test_production_has_what_was_tested() -> None:
    """The same versions and hashes as for developers."""
    pins = read(ALL)
    assert all(pins[name] == pin for name, pin in read(RUNTIME).items())


@pytest.mark.parametrize(
    "line",
    [
        "click>=8 --hash=sha256:" + HASH,
        "click==8.5.1",
        "click==8.5.1 --hash=md5:" + HASH,
        "click==8.5.1 --hash=sha256:" + HASH[1:],
        "click @ file:///click.whl --hash=sha256:" + HASH,
    ],
)
def test_a_line_without_version_or_hash_is_refused(line: str, tmp_path: Path) -> None:
    """An unpinned package is an error, not one package less."""
    lock = tmp_path / "some.lock"
    lock.write_text(f"# first\nidna==3.20 \\\n    --hash=sha256:{HASH}\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no exact version with hashes"):
        read(lock)


def test_a_package_is_locked_once(tmp_path: Path) -> None:
    """Also under two spellings of its name."""
    lock = tmp_path / "some.lock"
    lines = [
        f"{name}==1.0 --hash=sha256:{HASH}\n" for name in ("typing-extensions", "Typing_Extensions")
    ]
    lock.write_text(lines[0], encoding="utf-8")
    (pin,) = read(lock).values()
    assert (pin.name, pin.hashes) == ("typing-extensions", (HASH,))
    lock.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match="typing-extensions is there twice"):
        read(lock)
