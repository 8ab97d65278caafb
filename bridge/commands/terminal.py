"""Where commands print their tables."""

import sys

from rich.console import Console

UNBROKEN = 1000
"""Columns for what is read by a program or a file: no line of it is broken."""


def terminal() -> Console:
    """A console as wide as the terminal, or, without one, as wide as it takes."""
    return Console() if sys.stdout.isatty() else Console(width=UNBROKEN)
