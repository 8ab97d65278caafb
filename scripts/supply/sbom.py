"""The bill of materials: what runs, with versions, hashes and licences, as CycloneDX 1.6.

It is kept in the repository, as licences are told by installed metadata, which isn't there when a
wheel is built; the build puts it into the wheel (PEP 770). It says nothing of when or where.
"""

import json
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata, requires
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

import bridge
from supply.lock_file import RUNTIME, Pin, read

FILE: Final = Path(__file__).parent / f"{bridge.NAME}.cdx.json"

PYTHON: Final = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}
"""The oldest Python that is supported, which needs the most: the bill is the same under each."""

LONGEST_NAME: Final = 60
"""Letters of a licence's name; what is longer in the field of a name is a licence's whole text."""

NO_LICENCE: Final = "License :: OSI Approved"
"""A classifier that says no more than that there is one."""


def needed(name: str) -> list[NormalizedName]:
    """Returns what an installed package requires under PYTHON, without its extras, sorted.

    Raises PackageNotFoundError where it isn't installed.
    """
    wanted = (Requirement(text) for text in requires(name) or ())
    return sorted(
        {
            canonicalize_name(one.name)
            for one in wanted
            if one.marker is None or one.marker.evaluate(PYTHON)
        }
    )


def licences(told: PackageMetadata) -> list[dict[str, Any]]:
    """Returns CycloneDX's `licenses` of a package, as it declares them: none where it doesn't.

    1. An SPDX expression (PEP 639) stands for itself.
    2. Else a short name in the older field.
    3. Else the classifiers.
    """
    declared = {"acknowledgement": "declared"}
    if "License-Expression" in told:
        return [{"expression": told["License-Expression"], **declared}]
    name = told["License"].strip() if "License" in told else ""
    names = [name] if name and len(name) <= LONGEST_NAME and "\n" not in name else _classified(told)
    return [{"license": {"name": each, **declared}} for each in names]


def _classified(told: PackageMetadata) -> list[str]:
    classifiers = told.get_all("Classifier") or []
    ours = (each for each in classifiers if each.startswith("License ::") and each != NO_LICENCE)
    return sorted(each.rpartition(" :: ")[2] for each in ours)


def bill() -> dict[str, Any]:
    """Returns the bill of materials of what is installed, by the versions of the lock.

    Raises ValueError where another version is installed than is locked, PackageNotFoundError where
    none is.
    """
    pins = read(RUNTIME)
    project = _package(bridge.NAME, bridge.VERSION)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", **project}},
        "components": [_component(pin) for pin in _sorted(pins)],
        "dependencies": [
            {"ref": project["bom-ref"], "dependsOn": _refs(bridge.NAME, pins)},
            *({"ref": _ref(pin), "dependsOn": _refs(pin.name, pins)} for pin in _sorted(pins)),
        ],
    }


def _sorted(pins: dict[NormalizedName, Pin]) -> list[Pin]:
    return sorted(pins.values(), key=lambda pin: pin.name)


def _ref(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def _refs(name: str, pins: dict[NormalizedName, Pin]) -> list[str]:
    return [_ref(pins[each]) for each in needed(name)]


def _package(name: str, version: str) -> dict[str, Any]:
    told = metadata(name)
    if told["Version"] != version:
        raise ValueError(f"{name} {told['Version']} is installed, {version} is locked")
    url = f"pkg:pypi/{name}@{version}"
    package = {"bom-ref": url, "name": name, "version": version, "purl": url}
    return {**package, "licenses": found} if (found := licences(told)) else package


def _component(pin: Pin) -> dict[str, Any]:
    # The published files are several, one a platform, and which of them is installed isn't known
    # here: so the hashes stand with the distribution, as a component has one content alone.
    hashes = [{"alg": "SHA-256", "content": digest} for digest in pin.hashes]
    distribution = {"type": "distribution", "url": _ref(pin), "hashes": hashes}
    package = _package(pin.name, str(pin.version))
    return {"type": "library", **package, "externalReferences": [distribution]}


def lines(document: dict[str, Any]) -> Iterator[str]:
    """Yields a JSON document's lines, one for each item of its lists, as differences read well."""
    yield "{"
    for number, (key, value) in enumerate(document.items(), 1):
        comma = "," * (number < len(document))
        if isinstance(value, list):
            items = ",\n".join(f"    {json.dumps(item)}" for item in value)
            yield f"  {json.dumps(key)}: [\n{items}\n  ]{comma}"
        else:
            yield f"  {json.dumps(key)}: {json.dumps(value)}{comma}"
    yield "}"


def text() -> str:
    """Returns the bill of materials as it is kept."""
    return "".join(f"{line}\n" for line in lines(bill()))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
