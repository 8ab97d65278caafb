"""The console that commands print to."""

import sys

from rich.console import Console

UNBROKEN = 1000
"""Columns of output for a program or a file: no line of it is wrapped."""


def terminal() -> Console:
    """A console as wide as the terminal or, without one, as wide as the longest line needs."""
    return Console() if sys.stdout.isatty() else Console(width=UNBROKEN)
