"""The corpus of damaged state files: the tests of them, with many more seeds than usual."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from crash.outcome import Outcome

ROOT: Final = Path(__file__).parents[2]
TEST: Final = "tests/service/test_damaged.py::test_refused_or_as_if_nothing_was"
LINE: Final = re.compile(r"^\d+ (\w+) large=\w+ (\w+):", re.MULTILINE)


def damaged(first: int, last: int) -> Outcome:
    """What came of the files that these seeds damage."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-n0", TEST],
            cwd=ROOT,
            env={**os.environ, "DAMAGED": f"{first}:{last}", "DAMAGED_LOG": str(log)},
            capture_output=True,
            text=True,
            check=False,
        )
        text = log.read_text(encoding="utf-8") if log.exists() else ""
    told = LINE.findall(text)
    for kind, error in told:
        outcome.counts[f"{kind}: tried"] += 1
        refused = error == "StateDamagedError"
        outcome.counts[f"{kind}: {'refused' if refused else 'all sent as if nothing was'}"] += 1
    if done.returncode or len(told) != last - first:
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        outcome.findings += failed or [f"seeds {first} to {last}: {done.stdout[-1000:]}"]
    return outcome
