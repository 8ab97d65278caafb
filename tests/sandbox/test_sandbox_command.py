"""The sandbox command hands its options over by name."""

import re
from dataclasses import fields

from click.testing import CliRunner

from bridge.cli import cli
from bridge.commands.sandbox import Plan
from bridge.sandbox.faults import KINDS


def test_the_options_are_the_plan() -> None:
    """Each option is a field of the plan, and each field has its option."""
    options = {parameter.name for parameter in cli.commands["sandbox"].params}
    assert options == {field.name for field in fields(Plan)} | {"show_faults"}


def test_the_faults_are_listed() -> None:
    """Each by name, with its options, and what it is."""
    shown = CliRunner().invoke(cli, ["sandbox", "--faults"]).output
    for name, kind in KINDS.items():
        assert re.search(rf"^{name}\b", shown, re.MULTILINE), name
        assert (kind.__doc__ or "").split("\n")[0] in shown
