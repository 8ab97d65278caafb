"""The bill of materials: exactly what runs, as locked and as installed, in CycloneDX's form."""

import json
from email.message import Message
from importlib.metadata import metadata
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name
from supply.lock_file import RUNTIME, read
from supply.sbom import FILE, licences, lines, needed, text

import bridge

KEPT = FILE.read_text(encoding="utf-8")
BILL: dict[str, Any] = json.loads(KEPT)


def test_it_is_up_to_date() -> None:
    """What is kept is what `make lock` would write."""
    assert text() == KEPT, "run: make lock"


def test_it_lists_exactly_what_runs() -> None:
    """The project, and each package that it requires, directly or not, as installed here."""
    required, left = set(), needed(bridge.NAME)
    while left:
        if (name := left.pop()) not in required:
            required.add(name)
            left += needed(name)
    listed = {each["name"]: each["version"] for each in BILL["components"]}
    assert listed == {name: metadata(name)["Version"] for name in required}
    project = BILL["metadata"]["component"]
    assert (project["name"], project["version"]) == (bridge.NAME, bridge.VERSION)


def test_it_has_the_hashes_of_the_lock() -> None:
    """All of each package, and no others."""
    for component in BILL["components"]:
        (distribution,) = component["externalReferences"]
        digests = {(each["alg"], each["content"]) for each in distribution["hashes"]}
        pin = read(RUNTIME)[canonicalize_name(component["name"])]
        assert digests == {("SHA-256", digest) for digest in pin.hashes}


def test_it_tells_what_requires_what() -> None:
    """Each entry once, with references that lead to entries; the project's are those of its own."""
    required = {each["ref"]: each["dependsOn"] for each in BILL["dependencies"]}
    project = BILL["metadata"]["component"]["bom-ref"]
    components = [each["bom-ref"] for each in BILL["components"]]
    assert list(required) == [project, *components]
    assert {ref for refs in required.values() for ref in refs} == set(components)
    names = [ref.removeprefix("pkg:pypi/").split("@")[0] for ref in required[project]]
    assert names == needed(bridge.NAME)


def test_every_licence_is_known() -> None:
    """A package that tells none would have to be looked at before it is taken in."""
    for component in [BILL["metadata"]["component"], *BILL["components"]]:
        assert component.get("licenses"), component["name"]


def test_it_is_valid() -> None:
    """By the format's own schema, which refuses what has a field too many or too few."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(KEPT) is None
    hashes = BILL["components"][0]["externalReferences"][0]["hashes"]
    broken = KEPT.replace(hashes[0]["content"], "0" * 63)
    assert validator.validate_str(broken) is not None
    assert validator.validate_str(json.dumps({**BILL, "made": "today"})) is not None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            [("License-Expression", "MIT OR 0BSD"), ("License", "both")],
            [("expression", "MIT OR 0BSD")],
        ),
        ([("License", " MIT "), ("Classifier", "License :: Public Domain")], [("name", "MIT")]),
        (
            [
                ("License", "Permission is hereby granted\nto any person"),
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "License :: OSI Approved"),
                ("Classifier", "Typing :: Typed"),
            ],
            [("name", "MIT License")],
        ),
        ([("Classifier", "Typing :: Typed")], []),
    ],
)
def test_a_licence_is_told_as_declared(
    fields: list[tuple[str, str]], told: list[tuple[str, str]]
) -> None:
    """By its expression, else by its name, else by classifiers; a licence's text is no name."""
    package = Message()
    for name, value in fields:
        package[name] = value
    found = [each.get("license", each) for each in licences(package)]  # type: ignore[arg-type]
    assert [(key, each[key]) for each, (key, _) in zip(found, told, strict=True)] == told


def test_its_lines_are_json() -> None:
    """One for each item of a list, for differences that can be read."""
    document = {"a": 1, "b": [{"c": [2]}, 3], "d": {"e": None}, "f": []}
    written = list(lines(document))
    assert json.loads("\n".join(written)) == document
    assert '  "b": [\n    {"c": [2]},\n    3\n  ],' in written
