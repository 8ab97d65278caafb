"""The command: writes the page of what the proofs in a folder say."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from proofs.proof import Proof, kept

HEAD = """\
# What was tried to break it

Made by `make proofs` from what each trial has counted itself. A finding is anything that is lost,
wrong, sent again otherwise, or not ended in time, and every error that nobody expected.
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("page", type=click.Path(path_type=Path, dir_okay=False))
def main(folder: Path, page: Path) -> None:
    """Writes a page of the proofs in FOLDER to PAGE."""
    proofs = kept(folder)
    if not proofs:
        raise click.ClickException(f"{folder} has no proofs: `make proofs` makes them")
    page.write_text(f"{HEAD}\n{chr(10).join(page_of(proofs))}", encoding="utf-8")


def page_of(proofs: Sequence[Proof]) -> Iterator[str]:
    """The lines of the page below its head."""
    for proof in proofs:
        yield from (f"## {proof.title}", "", proof.about, "")
        yield from ("| what | number |", "| --- | ---: |")
        yield from (f"| {what} | {_shown(number)} |" for what, number in proof.tried.items())
        yield f"| **findings** | **{len(proof.findings)}** |"
        yield from (f"\nIt took {_long(proof.seconds)}." if proof.seconds else "", "")
        yield from (f"- {finding}" for finding in proof.findings)


def _shown(number: float | str) -> str:
    if isinstance(number, str):
        return number
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"


def _long(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{seconds:.0f} seconds"


if __name__ == "__main__":
    main()
