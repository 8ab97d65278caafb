"""The command: tries inputs for some minutes, and tells what came of them."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from bench.tables import table
from rich.console import Console
from rich.table import Table

from fuzz.running import CORPUS, TARGETS, Finding, Tally, fuzzed, inputs

ROUND: Final = 20.0
"""Seconds of a target in a row: new inputs are made of the same seeds each time."""


@click.command()
@click.option("--minutes", default=5.0, help="minutes of all targets together")
@click.option("--seed", default=1, help="what inputs are drawn by")
@click.option("--json", "report", type=click.Path(path_type=Path), help="writes the numbers there")
@click.option("--corpus", default=CORPUS, type=click.Path(path_type=Path), hidden=True)
@click.argument("targets", nargs=-1, type=click.Choice([*TARGETS]))
def main(
    minutes: float, seed: int, report: Path | None, corpus: Path, targets: tuple[str, ...]
) -> None:
    """Tries inputs of TARGETS, or of all; ends with 1 where any breaks a rule."""
    console, names = Console(soft_wrap=True), targets or tuple(TARGETS)
    tallies = {name: Tally() for name in names}
    ends = time.monotonic() + 60 * minutes
    rounds = 0
    while time.monotonic() < ends or not rounds:
        share = min(ROUND, max(60 * minutes / len(names), 0.1))
        for name in names:
            if len(tallies[name].findings) == 0 and (time.monotonic() < ends or not rounds):
                drawn = _round(name, corpus, seed + 1000 * rounds, share)
                _add(tallies[name], drawn)
                _tell(console, drawn.findings, corpus)
        rounds += 1
        if all(tally.findings for tally in tallies.values()):
            break
    console.print(_told(tallies))
    findings = [finding for tally in tallies.values() for finding in tally.findings]
    if report is not None:
        report.write_text(json.dumps(_report(tallies, findings), indent=1) + "\n")
    sys.exit(int(bool(findings)))


def _round(name: str, corpus: Path, seed: int, seconds: float) -> Tally:
    seeds = [*inputs(name, corpus).values()]
    return fuzzed(TARGETS[name], seeds, seed, _until(time.monotonic() + seconds))


def _until(end: float) -> Callable[[Tally], bool]:
    return lambda _: time.monotonic() < end


def _add(tally: Tally, more: Tally) -> None:
    tally.tried += more.tried
    tally.refused += more.refused
    tally.accepted += more.accepted
    tally.outcomes = max(tally.outcomes, more.outcomes)
    tally.seconds += more.seconds
    tally.findings += more.findings


def _tell(console: Console, findings: list[Finding], corpus: Path) -> None:
    for finding in findings:
        place = finding.save(corpus)
        console.print(f"{finding.target}: {finding.what}", style="bold red", markup=False)
        console.print(f"  the input is kept in {place}", markup=False)


def _told(tallies: dict[str, Tally]) -> Table:
    columns = ("target", "what it reads", "inputs", "a second", "refused", "accepted")
    made = table("Inputs", *columns, "outcomes", "findings")
    for name, tally in tallies.items():
        speed = tally.tried / tally.seconds if tally.seconds else 0.0
        numbers = (tally.tried, speed, tally.refused, tally.accepted, tally.outcomes)
        cells = [f"{number:,.0f}" for number in (*numbers, len(tally.findings))]
        made.add_row(name, TARGETS[name].what, *cells)
    return made


def _report(tallies: dict[str, Tally], findings: list[Finding]) -> dict[str, object]:
    return {
        "what": "fuzzer",
        "tried": {name: tally.tried for name, tally in tallies.items()},
        "findings": [f"{finding.target}: {finding.what}" for finding in findings],
    }


if __name__ == "__main__":
    main()
