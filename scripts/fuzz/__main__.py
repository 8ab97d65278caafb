"""The command: tries inputs for some minutes, and tells what came of them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from bench.tables import table
from rich.console import Console
from rich.table import Table

from fuzz.corpus import CORPUS
from fuzz.running import Tally, campaign
from fuzz.targets import TARGETS


@click.command()
@click.option("--minutes", default=5.0, help="minutes of all targets together")
@click.option("--seed", default=1, help="what inputs are drawn by")
@click.option("--json", "report", type=click.Path(path_type=Path), help="writes the numbers there")
@click.option("--corpus", default=CORPUS, type=click.Path(path_type=Path), help="another corpus")
@click.argument("targets", nargs=-1, type=click.Choice([*TARGETS]))
def main(
    minutes: float, seed: int, report: Path | None, corpus: Path, targets: tuple[str, ...]
) -> None:
    """Tries inputs of TARGETS, or of all; ends with 1 where any breaks a rule.

    What breaks one is made small, and kept in the corpus, which the tests replay.
    """
    console, told = Console(soft_wrap=True), 0
    chosen = {name: TARGETS[name] for name in targets or TARGETS}
    tallies: dict[str, Tally] = {}
    for now, new in campaign(chosen, corpus, seed, 60 * minutes):
        tallies = now
        for finding in new:
            text = (
                f"{finding.target}: {finding.what}\n  the input is kept in {finding.save(corpus)}"
            )
            console.print(text, style="red", markup=False, highlight=False)
        told += len(new)
    for name, target in chosen.items():
        console.print(f"{name}: {target.what}", markup=False, highlight=False)
    console.print(shown(tallies))
    if report is not None:
        report.write_text(json.dumps(reported(tallies), indent=1) + "\n")
    sys.exit(int(told > 0))


def shown(tallies: Mapping[str, Tally]) -> Table:
    """The numbers as a table."""
    columns = ("target", "inputs", "a second", "refused", "accepted", "outcomes", "findings")
    made = table("Inputs", *columns)
    for name, tally in tallies.items():
        speed = tally.tried / tally.seconds if tally.seconds else 0.0
        numbers = (tally.tried, speed, tally.refused, tally.accepted, tally.outcomes)
        made.add_row(name, *(f"{number:,.0f}" for number in (*numbers, len(tally.findings))))
    return made


def reported(tallies: Mapping[str, Tally]) -> dict[str, object]:
    """The numbers as JSON."""
    return {
        "what": "fuzzer",
        "tried": {name: tally.tried for name, tally in tallies.items()},
        "findings": [
            f"{finding.target}: {finding.what}"
            for tally in tallies.values()
            for finding in tally.findings
        ],
    }


if __name__ == "__main__":
    main()
