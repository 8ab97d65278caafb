"""The sandbox command hands its options over by name."""

from dataclasses import fields

from bridge.cli import cli
from bridge.commands.sandbox import Plan


def test_the_options_are_the_plan() -> None:
    """Each option is a field of the plan, and each field has its option."""
    options = {parameter.name for parameter in cli.commands["sandbox"].params}
    assert options == {field.name for field in fields(Plan)}
