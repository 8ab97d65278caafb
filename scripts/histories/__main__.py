"""The command: goes through many histories, and tells of each that has a finding."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

import click
from proofs.proof import keep
from rich.console import Console

from histories.drawing import drawn
from histories.history import History
from histories.life import lived, lived_through
from histories.outcome import Outcome
from histories.report import proofs_of, reached, totals, troubles
from histories.shrinking import shrunk

T = TypeVar("T")

ENOUGH: Final = 1000
"""Histories of which each rare path is reached by one at least."""

PER_POOL: Final = 60
"""Histories that the same processes live."""

MOST_TOLD: Final = 5
"""Histories with findings whose stories are told."""


@click.command()
@click.option("--seeds", default="200", help="how many, or from one to another, as in 137:138")
@click.option("--processes", default=2, help="side by side")
@click.option("--shrink", is_flag=True, help="makes each that has a finding small first (minutes)")
@click.option("--story", is_flag=True, help="tells every story")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="where proofs are kept")
def main(seeds: str, processes: int, folder: Path | None, *, shrink: bool, story: bool) -> None:
    """Lives histories of the whole service on a virtual clock; ends with 1 where any is wrong."""
    console, began = Console(soft_wrap=True), time.perf_counter()
    first, _, last = seeds.rpartition(":")
    numbers = range(int(first or 0), int(last))
    outcomes: list[Outcome] = []
    told = 0
    for seed, outcome in zip(numbers, in_processes(lived, numbers, processes), strict=True):
        outcomes.append(outcome)
        if outcome.findings and told < MOST_TOLD:
            told += 1
            history = small(seed, outcome) if shrink else drawn(seed)
            tell(console, seed, lived_through(history) if shrink else outcome, history)
        elif story or len(numbers) == 1:
            tell(console, seed, outcome, drawn(seed))
        if (seed + 1) % 50 == 0:
            console.print(f"{seed + 1 - numbers.start} of {len(numbers)}")
    keep(proofs_of(outcomes, time.perf_counter() - began), folder)
    paths, never = reached(outcomes)
    for made in (totals(outcomes), troubles(outcomes), paths):
        console.print(made)
    console.print(f"It took {time.perf_counter() - began:,.0f} s, in {processes} processes.")
    found = any(outcome.findings for outcome in outcomes)
    if len(outcomes) >= ENOUGH and never:
        console.print(f"Never reached: {', '.join(never)}")
        found = True
    sys.exit(int(found))


def in_processes(do: Callable[[int], T], seeds: range, processes: int) -> Iterator[T]:
    """Does something with each of all seeds, side by side; yields what comes of it in order."""
    for first in range(0, len(seeds), PER_POOL):
        # New processes now and then: what a process remembers of its histories grows.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(do, seeds[first : first + PER_POOL])


def small(seed: int, outcome: Outcome) -> History:
    """A small history with the first finding of a seed's."""
    kind = outcome.findings[0].partition(":")[0]
    return shrunk(drawn(seed), lambda one: _has(lived_through(one), kind))


def _has(outcome: Outcome, kind: str) -> bool:
    return any(finding.startswith(kind) for finding in outcome.findings)


def tell(console: Console, seed: int, outcome: Outcome, history: History) -> None:
    """Tells the story of a history, and what was found."""
    console.print(f"\nSeed {seed} (digest {outcome.digest}), switches {dict(history.switches)}")
    for line in outcome.story:
        console.print(line, markup=False, highlight=False)
    for finding in outcome.findings:
        console.print(f"  {finding}", markup=False, style="bold red")


if __name__ == "__main__":
    main()
