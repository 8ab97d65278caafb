"""The guide to the code is tested: what it names is there, and it stays short."""

import re
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
GUIDE = (PACKAGE / "README.md").read_text(encoding="utf-8")
PROJECT = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """Heading -> what stands below it."""
    _, *parts = re.split(r"^## (.+)$", GUIDE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_module_it_names_exists() -> None:
    """Each path in backquotes, and each file and folder of the picture, is in the package."""
    named = set(re.findall(r"`([\w/]+\.(?:py|md)|[\w/]+/)`", GUIDE))
    picture = sections()["The rooms"].split("```")[1]
    named |= set(re.findall(r"[\w/]+\.(?:py|md)\b|\b[\w/]+/(?=\s|$)", picture))
    assert len(named) > 40
    missing = {name for name in named if not _exists(name)}
    assert not missing


def _exists(name: str) -> bool:
    """Whether a path is in the package, in the project, or the name of a file anywhere in it."""
    places = (PACKAGE / name, PACKAGE.parent / name)
    return any(place.exists() for place in places) or ("/" not in name and _is_file(name))


def _is_file(name: str) -> bool:
    return any(path.name == name for path in PACKAGE.rglob("*.*"))


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([A-Z]\w+(?:\.\w+)?)`", GUIDE)) - {"README.md"})
)
def test_every_class_and_method_it_names_exists(name: str) -> None:
    """Each `Class` or `Class.method` in backquotes is defined in the package."""
    of, _, method = name.partition(".")
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    owners = [text for text in texts if re.search(rf"^class {of}\b", text, re.MULTILINE)]
    assert owners, name
    if method:
        assert any(
            re.search(rf"def {method}\(|^    {method}:", text, re.MULTILINE) for text in owners
        )


def test_it_stays_short() -> None:
    """Twenty words at most, and the way of a row in fifteen steps at most."""
    assert len(rows("Words")) <= 20
    steps = re.findall(r"^(\d+)\. \*\*", sections()["The way of one row"], re.MULTILINE)
    assert steps == [str(number + 1) for number in range(len(steps))]
    assert 10 <= len(steps) <= 15


def test_every_folder_has_a_room_in_the_picture() -> None:
    """A newcomer finds each folder of the package in it."""
    picture = sections()["The rooms"]
    folders = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_dir() and path.name not in ("__pycache__", "schema")
    }
    for folder in folders:
        assert f"{folder}/" in picture, folder


def test_the_project_links_to_it() -> None:
    """Who looks for it in the project's README finds it."""
    assert "(bridge/README.md)" in PROJECT
