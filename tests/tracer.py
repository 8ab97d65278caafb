"""Commands under a tracer that kills them, or fails them, at an exact system call."""

import os
import shutil
from collections.abc import Sequence

import pytest


def traced(command: Sequence[str], inject: str) -> list[str]:
    """The command under a tracer; `inject`: the system call, and what happens when it is made."""
    tracer = shutil.which("strace")
    if tracer is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing")
        pytest.skip("needs strace")
    calls = inject.split(":")[0]
    options = ["-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={inject}"]
    return [tracer, *options, *command]
