"""Commands under a tracer that kills them, or fails them, at an exact system call."""

import os
from collections.abc import Sequence

import pytest
from crash import injection


def traced(command: Sequence[str], inject: str) -> list[str]:
    """The command under a tracer; `inject`: the system call, and what happens when it is made."""
    tracer = injection.traced(inject)
    if tracer is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing")
        pytest.skip("needs strace")
    return [*tracer, *command]
