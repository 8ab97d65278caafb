"""A soak: the service runs for minutes while weeks of the world pass, and nothing may grow.

Memory, open files, threads, tasks, the state file and its -wal are read all the time. After a
warm-up each has to be flat: what its slope comes to over the rest may be its allowance at most.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import click
import numpy as np
import task_count
from bench.tables import table
from proofs.proof import Proof, keep
from rich.console import Console
from rich.table import Table

from crash.outcome import Outcome
from crash.stand import Stand, open_stand

ABOUT: Final = (
    "A real process for minutes, in which weeks of the world pass (`make soak`): after a warm-up "
    "nothing may grow."
)
TRACK_DAYS: Final = 2
"""Of the world's, which are 48 seconds: what is tracked comes and goes many times."""

EVERY: Final = 1.0
"""Seconds between two readings."""

WARM_UP: Final = 0.4
"""Part of the time that isn't judged: what is tracked and what is cached fills up."""


class Measure(NamedTuple):
    """Something that has to be flat.

    share: of its median, by which it may grow.
    least: by which it may grow in any case.
    unit: what it is divided by where it is shown.
    """

    name: str
    share: float
    least: float
    unit: float = 1.0


MEASURES: Final = (
    Measure("memory, MB", 0.05, 4e6, 1e6),
    Measure("open files", 0.0, 3),
    Measure("threads", 0.0, 1),
    Measure("tasks", 0.0, 4),
    Measure("-wal, kB", 0.1, 1e6, 1e3),
    Measure("state file, kB", 0.1, 1e5, 1e3),
)


class Course(NamedTuple):
    """The course of a measure: its median, the most there was, its growth and what it may be."""

    measure: Measure
    readings: int
    middle: float
    highest: float
    grew: float
    may_grow: float


async def soak(seed: int, seconds: float) -> tuple[Outcome, list[Course]]:
    """Runs the service so long; what was found, and what was measured."""
    outcome, readings = Outcome(), list[tuple[float, ...]]()
    async with open_stand(seed, trusted=True, BRIDGE_TRACK_DAYS=str(TRACK_DAYS)) as stand:
        counted = stand.folder / "tasks"
        process = await stand.start(more={task_count.VARIABLE: str(counted)})
        # Whoever asks before it listens would end it.
        with anyio.fail_after(30):
            await stand.sandbox.segment.wait_for(1, timeout=30)
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.returncode is None:
            process.send_signal(task_count.ASK)
            await anyio.sleep(EVERY)
            if process.returncode is None:
                readings.append(_read(stand, process.pid, counted))
        if process.returncode is not None:
            outcome.findings.append(f"it ended by itself: {stand.last_words()}")
        else:
            process.terminate()
            if (code := await process.wait()) != 0:
                outcome.findings.append(f"it ended with {code}: {stand.last_words()}")
        if stand.has_crashed:
            outcome.findings.append(f"an error of its own: {stand.last_words()}")
        outcome.findings += await stand.judged()
        outcome.counts["events delivered"] += stand.sandbox.segment.accepted
        outcome.counts["calls of Listrak"] += sum(stand.sandbox.listrak.requests.values())
    courses = courses_of(readings)
    for measure, _, _, _, grew, most in courses:
        if grew > most:
            outcome.findings.append(f"{measure.name} grew by {grew / measure.unit:,.1f}")
    return outcome, courses


def courses_of(readings: Sequence[tuple[float, ...]]) -> list[Course]:
    """The course of each measure after the warm-up."""
    courses, rest = [], np.array(readings[int(len(readings) * WARM_UP) :])
    for place, measure in enumerate(MEASURES):
        values = rest[:, place]
        slope = float(np.polyfit(np.arange(len(values)), values, 1)[0])
        middle, highest = float(np.median(values)), float(values.max())
        most = max(measure.share * middle, measure.least)
        courses.append(Course(measure, len(values), middle, highest, slope * len(values), most))
    return courses


def shown(courses: Sequence[Course]) -> Table:
    """What was measured, as a table."""
    made = table("While it ran", "what", "readings", "median", "most", "grew by", "may grow by")
    for measure, readings, *figures in courses:
        row = (f"{one / measure.unit:,.1f}" for one in figures)
        made.add_row(measure.name, f"{readings}", *row)
    return made


def proof_of(outcome: Outcome, courses: Sequence[Course], seconds: float) -> Proof:
    """What is kept of it."""
    tried: dict[str, int | float | str] = {"minutes": round(seconds / 60, 1), **outcome.counts}
    for measure, _, middle, _, grew, _ in courses:
        tried[f"{measure.name}: median"] = round(middle / measure.unit, 1)
        tried[f"{measure.name}: grew by"] = round(grew / measure.unit, 1)
    return Proof("Soak", ABOUT, tried, outcome.findings, seconds)


def _read(stand: Stand, pid: int, tasks: Path) -> tuple[float, ...]:
    """What is measured, in the order of MEASURES, in bytes or numbers."""
    place = Path(f"/proc/{pid}")
    pages = int((place / "statm").read_text(encoding="ascii").split()[1])
    state = stand.folder / "bridge.db"
    return (
        float(pages * os.sysconf("SC_PAGE_SIZE")),
        float(sum(1 for _ in (place / "fd").iterdir())),
        float(sum(1 for _ in (place / "task").iterdir())),
        float(tasks.read_text(encoding="ascii") or 0),
        float(_size(state.with_name(f"{state.name}-wal"))),
        float(_size(state)),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@click.command()
@click.option("--minutes", default=2.0, help="of real time; each is two and a half days")
@click.option("--seed", default=1, help="of the world")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="where proofs are kept")
def main(minutes: float, seed: int, folder: Path | None) -> None:
    """Runs the service while weeks of the world pass; ends with 1 where anything grew."""
    console = Console(soft_wrap=True)
    outcome, courses = anyio.run(soak, seed, minutes * 60)
    console.print(shown(courses))
    keep([proof_of(outcome, courses, minutes * 60)], folder)
    told = ", ".join(f"{number:,} {name}" for name, number in outcome.counts.items())
    console.print(f"{told}, {len(outcome.findings)} findings.")
    for finding in outcome.findings[:20]:
        console.print(finding, markup=False, style="bold red")
    sys.exit(int(bool(outcome.findings)))


if __name__ == "__main__":
    main()
