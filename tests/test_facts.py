"""Facts about the two APIs: each has a source, and each citation of one leads somewhere."""

import re
from importlib import resources
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
FOLDERS = ("listrak", "segment")
LAST = "Where the code relies on it"

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
DEFINED = re.compile(r"^- \*\*(.+?)\*\*", re.MULTILINE)
ENDING = re.compile(r"\[([^;\[\]]+); (\w+)\]$")
# "FACTS.md: Paging" of the folder itself, or with a path; two sections are "Paging, Times".
CITATION = re.compile(r"([\w/]*)FACTS\.md: ([A-Z][^).;:\"`]*)")


def text_of(folder: str) -> str:
    """A folder's facts."""
    return (PACKAGE / folder / "FACTS.md").read_text(encoding="utf-8")


def sections(folder: str) -> dict[str, str]:
    """Heading -> what stands below it."""
    _, *parts = HEADING.split(text_of(folder))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def facts(folder: str) -> list[str]:
    """Every fact as one line, without the head and the table at the end."""
    bodies = [body for heading, body in sections(folder).items() if heading != LAST]
    items = [item for body in bodies for item in re.split(r"^- ", body, flags=re.MULTILINE)[1:]]
    return [" ".join(item.split()) for item in items]


def citations(text: str) -> list[tuple[str, str]]:
    """The path and the section of each citation, one that goes on in the next line as well."""
    plain = re.sub(r"\n[ \t]*(?:#[ \t]*)?", " ", text)
    return [
        (path, section)
        for path, named in CITATION.findall(plain)
        for section in named.strip().split(", ")
    ]


def in_code() -> list[tuple[Path, str, str]]:
    """Module, path and section of each citation in the package."""
    return [
        (module, path, section)
        for module in sorted(PACKAGE.rglob("*.py"))
        for path, section in citations(module.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_facts_are_part_of_the_package(folder: str) -> None:
    """Comments of an installed package lead somewhere, too."""
    assert resources.files(f"bridge.{folder}").joinpath("FACTS.md").is_file()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_fact_has_a_source_and_a_confidence(folder: str) -> None:
    """A line ends with its sources and one of the words for how far it can be trusted."""
    head = HEADING.split(text_of(folder))[0]
    trust, sources = (set(DEFINED.findall(part)) for part in head.split("Sources:"))
    assert trust == {"high", "medium", "low", "unknown"}
    assert facts(folder)
    for fact in facts(folder):
        ending = ENDING.search(fact)
        assert ending, fact
        assert set(ending[1].split(", ")) <= sources, fact
        assert ending[2] in trust, fact
        assert (ending[2] == "unknown") == fact.startswith("Unknown:"), fact


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_citation_in_a_file_of_facts_names_a_section_and_modules_that_exist(
    folder: str,
) -> None:
    """The table says which fact of which section the code relies on, and where."""
    found = sections(folder)
    assert list(found)[-1] == LAST
    rows = re.findall(r"^\| ([A-Z][\w ]*): .+ \| .+ \|$", found[LAST], re.MULTILINE)
    assert len(rows) == found[LAST].count("\n| ") - 1, "a row names no section"
    assert set(rows) <= set(found) - {LAST}
    for path in re.findall(r"`(bridge/[\w/]+\.\w+)(?=[`:])", text_of(folder)):
        assert (PACKAGE.parent / path).exists(), path


def test_every_citation_in_the_code_names_a_section_that_exists() -> None:
    """Of the file beside the module, or of the one whose path it gives from the root."""
    found = in_code()
    assert found
    for module, path, section in found:
        folder = PACKAGE.parent / path if path else module.parent
        where = f"{module.relative_to(PACKAGE.parent)}: {path}FACTS.md: {section}"
        assert (folder / "FACTS.md").is_file(), where
        assert section in sections(folder.name), where


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_section_is_cited(folder: str) -> None:
    """What no module and no row of the table relies on is nobody's business."""
    found = sections(folder)
    cited = {section for _, _, section in in_code()}
    cited |= set(re.findall(r"^\| ([A-Z][\w ]*): ", found[LAST], re.MULTILINE))
    assert set(found) - {LAST} <= cited


def test_citations_are_found_in_all_forms() -> None:
    """With a path or without, of two sections, and over the end of a line."""
    assert citations("x (FACTS.md: Paging).") == [("", "Paging")]
    assert citations('"""FACTS.md: Rows of Activity, Times"""') == [
        ("", "Rows of Activity"),
        ("", "Times"),
    ]
    assert citations("# as in (bridge/segment/FACTS.md:\n    # Answers)") == [
        ("bridge/segment/", "Answers")
    ]
    assert citations("What is known is in FACTS.md: not much.") == []
