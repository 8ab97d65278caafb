"""The command: tries inputs for some minutes, and tells what came of them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from bench.tables import table
from proofs.proof import Proof, keep
from rich.console import Console
from rich.table import Table

from fuzz.corpus import CORPUS
from fuzz.running import Tally, campaign
from fuzz.targets import TARGETS


@click.command()
@click.option("--minutes", default=5.0, help="minutes of all targets together")
@click.option("--seed", default=1, help="what inputs are drawn by")
@click.option("--json", "report", type=click.Path(path_type=Path), help="writes the numbers there")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="where proofs are kept")
@click.option("--corpus", default=CORPUS, type=click.Path(path_type=Path), help="another corpus")
@click.argument("targets", nargs=-1, type=click.Choice([*TARGETS]))
def main(minutes: float, seed: int, targets: tuple[str, ...], corpus: Path, **written: Any) -> None:
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
    if written["report"] is not None:
        written["report"].write_text(json.dumps(reported(tallies), indent=1) + "\n")
    keep([proof_of(tallies, 60 * minutes)], written["folder"])
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


def findings_of(tallies: Mapping[str, Tally]) -> list[str]:
    """All findings, each in a line."""
    return [
        f"{finding.target}: {finding.what}"
        for tally in tallies.values()
        for finding in tally.findings
    ]


def reported(tallies: Mapping[str, Tally]) -> dict[str, object]:
    """The numbers as JSON."""
    return {
        "what": "fuzzer",
        "tried": {name: tally.tried for name, tally in tallies.items()},
        "findings": findings_of(tallies),
    }


def proof_of(tallies: Mapping[str, Tally], seconds: float) -> Proof:
    """The numbers for the page of proofs."""
    about = (
        "Inputs that nobody expects, made of real ones. Each is read, or refused by an error of "
        "ours, in little time and memory, and no message tells an address or a secret."
    )
    tried = {TARGETS[name].what: tally.tried for name, tally in tallies.items()}
    return Proof("Fuzzer", about, tried, findings_of(tallies), seconds)


if __name__ == "__main__":
    main()
