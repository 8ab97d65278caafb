"""Processes under a tracer that kills them, or fails them, at an exact system call."""

import os
import shutil
from pathlib import Path


def traced(inject: str, log: Path = Path(os.devnull)) -> list[str] | None:
    """What to put before a command; `inject`: the system call, and what happens when it is made.

    log: has a line for each of these calls afterwards; those that were struck say INJECTED.
    None where this machine has no tracer.
    """
    calls = inject.split(":")[0]
    tracer = recorded(calls, log)
    return tracer and [*tracer, "-e", f"inject={inject}"]


def recorded(calls: str, log: Path) -> list[str] | None:
    """What to put before a command to have such calls written to a file, a line each."""
    tracer = shutil.which("strace")
    if tracer is None:
        return None
    return [tracer, "-f", "-qq", "-o", str(log), "-e", f"trace={calls}"]
