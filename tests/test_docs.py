"""The documentation is tested: every setting, command, event and exit code stands in it."""

import re
from pathlib import Path

import click

from bridge.cli import cli
from bridge.environment.settings import DECLARATIONS
from bridge.event_types import EXTRA_PROPERTIES, TRACKS
from bridge.metrics import Metrics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

NO_LOG_EVENTS = re.compile(r"(context|traits)\..*|.*\.(db|lock)")
"""Fields of Segment's and names of files in it, which look like names of log events."""


def environment_table() -> dict[str, list[str]]:
    """Variable -> its other cells, from the README."""
    section = README.split("## Environment")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \|(.*)\|$", section, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in rows}


def test_every_setting_is_documented_as_declared() -> None:
    """Name, default and meaning in the README are those of the declaration, in its order."""
    table = environment_table()
    assert list(table) == [declared.variable for declared in DECLARATIONS.values()]
    for declared in DECLARATIONS.values():
        default, meaning = table[declared.variable]
        shown = "required" if declared.default is None else declared.default
        assert default.strip("`| ") == shown, declared.variable
        assert meaning == declared.help


def test_every_command_is_documented() -> None:
    """Each command, with its subcommands, stands in the README and explains itself."""
    for name, command in cli.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        for sub, leaf in inner.items():
            assert f"`listrak-bridge {name} {sub}".rstrip() in README
            assert leaf.help


def test_every_event_and_exit_code_is_documented() -> None:
    """The seven events and the exit codes of the contract."""
    for name in TRACKS:
        assert f"| `{name}` |" in README
    for code in (0, 64, 65, 73, 75, 78, 130):
        assert re.search(rf"\b{code}\b", README.split("Exit codes:")[1].split("\n\n")[0])


def test_every_extra_property_is_documented() -> None:
    """As an optional one, and where it is asked for."""
    _, meaning = environment_table()["BRIDGE_EXTRA_PROPERTIES"]
    for name in EXTRA_PROPERTIES:
        assert f"| `{name}` (optional) |" in README
        assert f"`{name}`" in meaning


def test_the_paths_it_names_exist() -> None:
    """Files and folders that the README sends a reader to are there."""
    named = re.findall(r"`((?:bridge|scripts|tests)/[\w/.-]*)`", README)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_sections_it_links_to_exist() -> None:
    """Each link within the README leads to a heading, by the name that GitHub gives it."""
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    linked = re.findall(r"\]\(#([^)]+)\)", README)
    assert linked
    assert set(linked) <= anchors


def test_the_log_events_it_names_exist() -> None:
    """What an operator is told to look for in the log is logged by that name."""
    named = {
        name
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", README)
        if not NO_LOG_EVENTS.fullmatch(name)
    }
    assert len(named) > 20
    source = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("bridge/**/*.py"))
    for event in named:
        assert f'"{event}"' in source, event


def test_the_metrics_it_names_exist() -> None:
    """They are those of the catalogue, as /metrics shows them."""
    shown = {
        name
        for family in Metrics().registry.collect()
        for name in (family.name, f"{family.name}_total")
    }
    named = set(re.findall(r"`(bridge_[a-z_]+)", README))
    assert named
    assert named <= shown
