"""The build: from the same files the same bytes, and in them what they should have."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from supply.lock_file import ROOT
from supply.sbom import FILE

import bridge

WHEEL = f"listrak_segment_bridge-{bridge.VERSION}-py3-none-any.whl"
ARCHIVE = f"listrak_segment_bridge-{bridge.VERSION}.tar.gz"
INFO = f"listrak_segment_bridge-{bridge.VERSION}.dist-info"

SOURCES = [
    *(
        "bridge",
        "tests",
        "scripts",
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
    ),
    *("pyproject.toml", "requirements.lock", "requirements-runtime.lock"),
]

PLAIN = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}
ODD = {"PATH": os.environ["PATH"], "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "2"}


def copied(folder: Path, names: list[str]) -> Path:
    """The sources, copied in this order; returns the folder."""
    folder.mkdir()
    for name in names:
        if (source := ROOT / name).is_dir():
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=left_out)
        else:
            shutil.copy2(source, folder / name)
    return folder


def built(folder: Path, environment: dict[str, str], umask: int) -> dict[str, bytes]:
    """What `make build` makes of the folder: name -> content."""
    (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        [folder / "scripts" / "build"],
        cwd="/",
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    files = {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}
    assert set(files) == {WHEEL, ARCHIVE} == {line.split()[1] for line in done.stdout.splitlines()}
    return files


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, bytes]]]:
    """Builds of copies that differ in all that doesn't count, then of the source archive."""
    folder = tmp_path_factory.mktemp("builds")
    first = built(copied(folder / "first", SOURCES), PLAIN, 0o022)

    other = copied(folder / "an other one", SOURCES[::-1])
    for number, path in enumerate(other.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    (other / "bridge" / "__pycache__").mkdir()
    (other / "bridge" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"compiled")
    second = built(other, ODD, 0o077)

    subprocess.run(["tar", "-xzf", folder / "first" / "dist" / ARCHIVE, "-C", folder], check=True)
    third = built(folder / ARCHIVE.removesuffix(".tar.gz"), PLAIN, 0o022)
    yield [first, second, third]
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", [WHEEL, ARCHIVE])
def test_a_build_is_reproducible(builds: list[dict[str, bytes]], name: str) -> None:
    """From another folder, time, mode, umask, zone, locale or order, and from its own archive."""
    first, second, third = (each[name] for each in builds)
    assert first == second, "the place or the time of the build is in it"
    assert first == third, "the archive doesn't have all that it was built from"


def test_the_wheel_has_the_package_and_its_bill(
    builds: list[dict[str, bytes]], tmp_path: Path
) -> None:
    """All modules, the licence and the bill of materials (PEP 770), and no file of developers."""
    wheel = tmp_path / WHEEL
    wheel.write_bytes(builds[0][WHEEL])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read(f"{INFO}/sboms/{FILE.name}") == FILE.read_bytes()
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bridge").rglob("*.py")}
    assert package <= names
    assert {name.split("/")[0] for name in names} == {"bridge", INFO}
    assert f"{INFO}/licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]
