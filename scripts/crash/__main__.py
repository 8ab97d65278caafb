"""The command: storms, stops, failing calls, power losses, damaged files; 1 where one was wrong."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import click
from proofs.proof import Proof, keep
from rich.console import Console

from crash import corpus, cuts, report, stops, storm, sweeps
from crash.outcome import Outcome, total
from crash.tasks import Task, done, worlds

MOST_TOLD: Final = 20
PER_CORPUS: Final = 50
"""Damaged files of one run of their tests."""


@click.command()
@click.option("--kills", default=200, help="SIGKILLs at drawn moments")
@click.option("--stops", "terms", default=50, help="SIGTERMs, the two sides in all conditions")
@click.option("--injections", default=48, help="kills, EIO and ENOSPC at the nth sync or write")
@click.option("--losses", default=30, help="power losses at drawn writes")
@click.option("--damaged", default=100, help="state files that are damaged")
@click.option("--seed", default=1, help="of the first world; the others follow")
@click.option("--processes", default=2, help="side by side")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="where proofs are kept")
def main(seed: int, processes: int, folder: Path | None, **numbers: int) -> None:
    """Kills, stops and fails real processes of the service, and judges what arrived."""
    console, began = Console(soft_wrap=True), time.perf_counter()
    proofs: list[Proof] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for title, tasks in _trials(seed, numbers, pool):
            start = time.perf_counter()
            outcome = _all(pool, console, title, tasks)
            for made in report.tables(title, outcome):
                console.print(made)
            proofs.append(report.proof_of(title, outcome, time.perf_counter() - start))
            keep(proofs[-1:], folder)
    findings = [finding for proof in proofs for finding in proof.findings]
    for finding in findings[:MOST_TOLD]:
        console.print(finding, markup=False, style="bold red")
    console.print(f"{len(findings)} findings. It took {time.perf_counter() - began:,.0f} s.")
    sys.exit(int(bool(findings)))


def _trials(
    seed: int, numbers: Mapping[str, int], pool: ProcessPoolExecutor
) -> Iterator[tuple[str, Sequence[Task]]]:
    """Each kind of trial that is wanted, with its tasks."""
    if number := numbers["kills"]:
        yield report.KILLS, worlds(storm.storm, seed, number, storm.PER_WORLD)
    if number := numbers["terms"]:
        yield report.STOPS, worlds(stops.stops, seed, number, stops.PER_WORLD)
    if number := numbers["injections"]:
        calls = pool.submit(done, (sweeps.made, (seed,))).result()
        trials = sweeps.spread_over(calls, number)
        yield report.CALLS, [(sweeps.injected, (seed, *each)) for each in trials]
    if number := numbers["losses"]:
        yield report.LOSSES, worlds(cuts.cuts, seed, number, cuts.PER_WORLD)
    if number := numbers["damaged"]:
        yield report.DAMAGE, _corpora(seed, number)


def _corpora(seed: int, number: int) -> list[Task]:
    start = (seed - 1) * number
    return [
        (corpus.damaged, (start + first, start + min(first + PER_CORPUS, number)))
        for first in range(0, number, PER_CORPUS)
    ]


def _all(pool: ProcessPoolExecutor, console: Console, what: str, tasks: Sequence[Task]) -> Outcome:
    outcomes = []
    for number, outcome in enumerate(pool.map(done, tasks)):
        outcomes.append(outcome)
        console.print(f"{what}: {number + 1} of {len(tasks)}")
    return total(outcomes)


if __name__ == "__main__":
    main()
