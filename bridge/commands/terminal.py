"""The console that commands print to."""

import errno
import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from bridge.output import texts

UNBROKEN = 100_000
"""Columns of output for a program or a file: no line of it is wrapped."""


class _Terminal(Console):
    """A console that shows all text as text: no markup, no emoji codes, no control characters."""

    def on_broken_pipe(self) -> None:
        """Leaves it to the command line to say what became of the output."""
        raise BrokenPipeError(errno.EPIPE, "the reader has gone")

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is."""
        options |= {"markup": False, "emoji": False, "highlight": False, "highlighter": None}
        shown = "\n".join(texts.escaped(texts.without_secrets(line)) for line in text.split("\n"))
        return super().render_str(shown, **options)


def print_json(value: object) -> None:
    """Prints a value for programs; in ASCII, so that no text of others is more than text."""
    click.echo(texts.without_secrets(json.dumps(value)))


def terminal(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal or, without one, as wide as the longest line needs.

    stderr: it is standard error's, else standard output's.
    """
    stream = sys.stderr if stderr else sys.stdout
    return _Terminal(stderr=stderr, width=None if stream.isatty() else UNBROKEN)
