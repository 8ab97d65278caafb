"""Runs the parts of the benchmark, or those that are named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.conditions import measure_conditions
from bench.contacts import measure_contacts
from bench.growth import measure_growth
from bench.lifetime import measure_lifetime
from bench.run import SCRIPTS, Bench, BenchmarkError, Cores, fresh_folder, pinned, serving
from bench.store import full_store, measure_store
from bench.tables import save
from bench.throughput import measure_throughput

LIMIT = 180
"""Seconds that a run of the details may take."""

console = Console(soft_wrap=False)
if not console.is_terminal:
    console.width = 110


@dataclass(frozen=True)
class Extent:
    """How much is measured, and where the results go."""

    events: int
    contacts: int
    rounds: int
    out: Path


def throughput(cores: Cores, extent: Extent) -> list[Table]:
    """All contenders."""
    return measure_throughput(cores, extent.events, extent.rounds, extent.out / "throughput.png")


def details(cores: Cores, extent: Extent) -> list[Table]:
    """The state file, contacts, start, idleness, size."""
    with (
        pinned(cores.servers),
        serving(extent.events) as servers,
        serving(extent.contacts, "bench.contact_servers") as of_contacts,
        pinned(cores.client),
        fresh_folder() as folder,
    ):
        bench = Bench(servers, LIMIT)
        full = full_store(bench, folder)
        return [
            *measure_store(bench, extent.rounds, full),
            measure_contacts(Bench(of_contacts, LIMIT), extent.rounds),
            *measure_lifetime(bench, full),
        ]


def growth(cores: Cores, _extent: Extent) -> list[Table]:
    """Up to ten million events in one go."""
    return measure_growth(cores)


def conditions(cores: Cores, extent: Extent) -> list[Table]:
    """Servers far away, behind TLS."""
    return measure_conditions(cores, extent.rounds)


PARTS: dict[str, Callable[[Cores, Extent], list[Table]]] = {
    part.__name__: part for part in (throughput, details, growth, conditions)
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--events", default=300_000, show_default=True, type=click.IntRange(10_000))
@click.option("--contacts", default=100_000, show_default=True, type=click.IntRange(5_000))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 50))
@click.option(
    "--out",
    default=SCRIPTS.parent / "bench-results",
    type=click.Path(path_type=Path),
    help="Folder of tables and picture; bench-results beside the scripts unless told.",
)
def main(parts: tuple[str, ...], events: int, contacts: int, rounds: int, out: Path) -> None:
    """Measure the service: all PARTS unless some are named."""
    cores = Cores.here()
    extent = Extent(events, contacts, rounds, out)
    out.mkdir(parents=True, exist_ok=True)
    console.print(
        f"client on core {cores.client}, servers on core {cores.servers}"
        if cores.client is not None
        else "everything on one core: the servers' work is part of every figure of time"
    )
    for name in parts or PARTS:
        try:
            tables = PARTS[name](cores, extent)
        except (BenchmarkError, TimeoutError) as error:
            raise click.ClickException(f"{name}: {error}") from None
        for shown in tables:
            console.print(shown)
        console.print(f"written to {save(out, name, tables)}")


if __name__ == "__main__":
    main()
