"""The command `python -m histories.mutations`: plants bugs, to see that histories find them."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

import click
from bench.tables import table
from proofs.proof import Proof, keep
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from histories.bugs import BUGS, UNFOUND, planted
from histories.life import lived

ALL: Final = BUGS | UNFOUND
ABOUT: Final = "Bugs that a careless change could bring, and the history that finds each first."
LONGEST: Final = 110
"""Characters of a finding that are shown."""


class Search(NamedTuple):
    """The search for a bug.

    seed: at which it was found, None where it wasn't.
    finding: the first of that history.
    seconds: how long it took, of the real clock.
    """

    name: str
    seed: int | None
    finding: str
    seconds: float


def search(name: str, seeds: range) -> Search:
    """Lives histories with a bug until there is a finding that the same one hasn't without it."""
    began = time.perf_counter()
    for seed in seeds:
        with planted(ALL[name]):
            findings = lived(seed).findings
        if findings and not lived(seed).findings:
            return Search(name, seed, findings[0], time.perf_counter() - began)
    return Search(name, None, "", time.perf_counter() - began)


def search_all(names: list[str], seeds: range, processes: int) -> Iterator[Search]:
    """Searches for bugs side by side; yields what came of it in order."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(search, names, [seeds] * len(names))


def shown(searches: list[Search]) -> Table:
    """Which bug was found by what."""
    made = table("Planted bugs", "bug", "what it does", "found at seed", "by", "seconds")
    for name, seed, finding, seconds in searches:
        at = "[bold red]not found[/]" if seed is None else str(seed)
        told = escape(finding[:LONGEST])
        made.add_row(name, escape(ALL[name].what), at, told, f"{seconds:.0f}")
    return made


def proof_of(searches: list[Search]) -> Proof:
    """What is kept of them."""
    at = {one.name: "not found" if one.seed is None else f"seed {one.seed}" for one in searches}
    missed = [f"not found: {one.name}" for one in searches if one.seed is None]
    return Proof("Planted bugs", ABOUT, at, missed, sum(one.seconds for one in searches))


@click.command()
@click.option("--seeds", default=200, help="how many at most for each bug")
@click.option("--processes", default=2, help="side by side")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="where proofs are kept")
@click.argument("names", nargs=-1)
def main(seeds: int, processes: int, folder: Path | None, names: tuple[str, ...]) -> None:
    """Plants bugs (NAMES, or all that are to be found); ends with 1 where one isn't found."""
    if unknown := set(names) - ALL.keys():
        raise click.UsageError(f"no such bug: {', '.join(sorted(unknown))}")
    console = Console(soft_wrap=True)
    searches: list[Search] = []
    for one in search_all([*(names or BUGS)], range(seeds), processes):
        searches.append(one)
        console.print(f"{one.name}: " + ("not found" if one.seed is None else f"seed {one.seed}"))
    console.print(shown(searches))
    keep([proof_of(searches)], folder)
    sys.exit(int(any(one.seed is None for one in searches)))


if __name__ == "__main__":
    main()
