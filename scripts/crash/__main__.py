"""The command: storms, stops, sweeps and damaged files; ends with 1 where anything was wrong."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Final

import click
from rich.console import Console

from crash import corpus, report, stops, storm, sweeps
from crash.outcome import Outcome, total
from crash.tasks import Task, done, worlds

MOST_TOLD: Final = 20
PER_CORPUS: Final = 50
"""Damaged files of one run of their tests."""


@click.command()
@click.option("--kills", default=200, help="SIGKILLs at drawn moments")
@click.option("--stops", "terms", default=50, help="SIGTERMs, the two sides in all conditions")
@click.option("--injections", default=48, help="kills, EIO and ENOSPC at the nth sync or write")
@click.option("--damaged", default=100, help="state files that are damaged")
@click.option("--seed", default=1, help="of the first world; the others follow")
@click.option("--processes", default=2, help="side by side")
def main(kills: int, terms: int, injections: int, damaged: int, seed: int, processes: int) -> None:
    """Kills, stops and fails real processes of the service, and judges what arrived."""
    console, began = Console(soft_wrap=True), time.perf_counter()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        run = partial(_all, pool, console)
        killed = run("SIGKILLs", worlds(storm.storm, seed, kills, storm.PER_WORLD))
        stopped = run("SIGTERMs", worlds(stops.stops, seed, terms, stops.PER_WORLD))
        calls = pool.submit(done, (sweeps.made, (seed,))).result() if injections else None
        struck = Outcome()
        if calls:
            trials = sweeps.spread_over(calls, injections)
            struck = run("system calls", [(sweeps.injected, (seed, *each)) for each in trials])
        spoiled = run("damaged files", _corpora(seed, damaged))
    if kills:
        console.print(report.figures("SIGKILL at drawn moments", killed))
    if terms:
        console.print(report.figures("SIGTERM at drawn moments", stopped))
        console.print(report.times("From SIGTERM to the end", stopped))
    if calls:
        console.print(
            report.of_kinds(f"Struck at the nth call; one catch-up makes {dict(calls)}", struck)
        )
    elif injections:
        console.print("No system call was struck: strace is missing.")
    if damaged:
        console.print(report.of_kinds("Damaged state files", spoiled))
    findings = total((killed, stopped, struck, spoiled)).findings
    for finding in findings[:MOST_TOLD]:
        console.print(finding, markup=False, style="bold red")
    console.print(f"{len(findings)} findings. It took {time.perf_counter() - began:,.0f} s.")
    sys.exit(int(bool(findings)))


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
