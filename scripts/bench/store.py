"""What the state file costs: checkpoints, and twenty million events seen before."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.table import Table

from bench.contenders import SERVICE, SPENT, WATCHED, service_environment
from bench.run import SCRIPTS, Bench, Contender, Run, fresh_folder
from bench.tables import Target, spread, table

SEEN_BEFORE = 20_000_000
STATE = "bridge.db"
CHECKPOINTS = Target(0.6, most=True)
FULL_STORE = Target(0.9)
BYTES_AN_EVENT = Target(12, most=True)

FULL = Contender(f"with {SEEN_BEFORE:,} keys in the store", SERVICE.command, service_environment)


@dataclass
class Outcome:
    """The runs of one contender, a round each; `sizes` are those of its state files in bytes.

    `remembering`: CPU µs an event of comparing, checkpoints and acknowledgement.
    """

    idle: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    remembering: list[float] = field(default_factory=list)

    @property
    def cost(self) -> list[float]:
        """CPU µs an event of each round, start and stop taken off."""
        base = median(run.cpu for run in self.idle)
        return [(run.cpu - base) / run.report.events * 1e6 for run in self.runs]


def full_store(bench: Bench, folder: Path) -> Path:
    """A state file of the service's own making, filled up."""
    bench.run_empty(SERVICE, folder)
    state = folder / STATE
    # In a process of its own: this one's memory would count as that of the runs it starts.
    command = [sys.executable, "-m", "bench.fill", str(state), str(SEEN_BEFORE)]
    subprocess.run(command, cwd=SCRIPTS, check=True)
    return state


def measure_store(bench: Bench, rounds: int, full: Path) -> list[Table]:
    """Runs the three in turns, every other round the other way round."""
    contenders = (SERVICE, WATCHED, FULL)
    outcomes = {one: Outcome() for one in contenders}
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            _round(bench, contender, outcomes[contender], full)
    return _tables(outcomes, full.stat().st_size)


def _round(bench: Bench, contender: Contender, outcome: Outcome, full: Path) -> None:
    """A run with nothing to bring and one with everything."""
    spent: list[float] = []
    for runs, run in ((outcome.idle, bench.run_empty), (outcome.runs, bench.run)):
        with fresh_folder() as folder:
            if contender is FULL:
                copy_to_disk(full, folder / STATE)
            runs.append(run(contender, folder))
            outcome.sizes.append((folder / STATE).stat().st_size)
            if contender is WATCHED:
                spent.append(float((folder / SPENT).read_text()))
    # Of the empty run only what it takes off is wanted.
    del outcome.sizes[-2]
    if spent:
        outcome.remembering.append((spent[1] - spent[0]) / bench.events * 1e6)


def copy_to_disk(source: Path, target: Path) -> None:
    """A copy that is on disk: it must not be written while something is measured."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _tables(outcomes: dict[Contender, Outcome], filled: int) -> list[Table]:
    plain = outcomes[SERVICE]
    runs = table(
        "What the state file costs (median, least to most)",
        "",
        "thousand events/s",
        "of the service's",
        "CPU µs an event",
        "of that to remember",
        "peak RSS MB",
    )
    for contender, outcome in outcomes.items():
        runs.add_row(
            contender.name,
            spread([run.rate / 1000 for run in outcome.runs], ",.1f"),
            spread(_ratios(outcome.runs, plain.runs), ".2f"),
            spread(outcome.cost, ".2f"),
            spread(outcome.remembering, ".2f") if outcome.remembering else "",
            spread([run.peak for run in outcome.runs], ".0f"),
        )
    events = plain.runs[0].report.events
    watched, full = outcomes[WATCHED], outcomes[FULL]
    judged = table("The state file", "", "")
    judged.add_row(
        "checkpoints and acknowledgement, CPU µs an event",
        CHECKPOINTS.judge(median(watched.remembering), ".2f"),
    )
    judged.add_row(
        f"events/s with {SEEN_BEFORE:,} keys, of an empty store's",
        FULL_STORE.judge(median(_ratios(full.runs, plain.runs)), ".2f"),
    )
    for name, size in (
        ("bytes a tracked event, an empty store", median(plain.sizes)),
        ("bytes a tracked event, added to the full store", median(full.sizes) - filled),
    ):
        judged.add_row(name, BYTES_AN_EVENT.judge(size / events, ".1f"))
    return [runs, judged]


def _ratios(runs: Sequence[Run], others: Sequence[Run]) -> list[float]:
    return [run.rate / other.rate for run, other in zip(runs, others, strict=True)]
