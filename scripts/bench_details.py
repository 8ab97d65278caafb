"""What else is worth knowing of the service, beside its throughput (`bench.py`).

The state file's cost, contacts, start, idleness and size; with `--conditions`, distant servers.
"""

import os
from pathlib import Path
from statistics import median

import click
from bench import (
    CONTENDERS,
    SERVICE,
    Bench,
    BenchmarkError,
    Run,
    Servers,
    console,
    fresh_folder,
    pinned,
    serving,
)
from bench_conditions import measure_conditions
from bench_lifetime import measure_lifetime
from bench_state import full_store, measure_state
from bench_tables import save, spread, table
from rich.table import Table

AS_IT_IS = next(one for one in CONTENDERS if one.name == SERVICE)
LIMIT = 180
"""Seconds that a run may take."""


def measure_contacts(servers: Servers, rounds: int) -> Table:
    """The first look at a list: every contact becomes an identify."""
    bench = Bench(servers, servers, LIMIT)
    idle: list[Run] = []
    runs: list[Run] = []
    for _ in range(rounds):
        for found, empty in ((idle, True), (runs, False)):
            with fresh_folder() as folder:
                due = 0 if empty else servers.ready.events
                found.append(bench.run(AS_IT_IS, folder, servers, expected=due, empty=empty))
    contacts = servers.ready.events
    if any(run.report.content != contacts for run in runs):
        raise BenchmarkError("not every contact was identified")
    base = median(run.cpu for run in idle)
    shown = table(
        "First look at contacts (median, least to most)",
        "",
        "thousand contacts/s",
        "CPU µs a contact",
        "peak RSS MB",
        "wire bytes a contact",
    )
    shown.add_row(
        f"{contacts:,} contacts",
        spread([run.rate / 1000 for run in runs], ",.1f"),
        spread([(run.cpu - base) / contacts * 1e6 for run in runs], ".2f"),
        spread([run.peak for run in runs], ".0f"),
        spread([run.report.wire_bytes / contacts for run in runs], ".1f"),
    )
    return shown


def measure_details(
    here: int | None, there: int | None, rounds: int, events: int, contacts: int
) -> list[Table]:
    """All but the conditions."""
    with (
        pinned(there),
        serving(events) as servers,
        serving(contacts, "bench_contacts.py") as of_contacts,
        pinned(here),
        fresh_folder() as folder,
    ):
        bench = Bench(servers, servers, LIMIT)
        full = full_store(bench, servers, folder)
        return [
            *measure_state(bench, servers, rounds, full),
            measure_contacts(of_contacts, rounds),
            *measure_lifetime(servers, full),
        ]


@click.command()
@click.option("--events", default=300_000, show_default=True, type=click.IntRange(10_000))
@click.option("--contacts", default=100_000, show_default=True, type=click.IntRange(5_000))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 50))
@click.option("--conditions", is_flag=True, help="Only distant servers (minutes).")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path))
def main(events: int, contacts: int, rounds: int, conditions: bool, out: Path) -> None:
    """Measure what surrounds the service's throughput."""
    cores = sorted(os.sched_getaffinity(0))
    here, there = (cores[-1], cores[0]) if len(cores) > 1 else (None, None)
    try:
        if conditions:
            name, tables = "conditions", [measure_conditions(here, there, rounds)]
        else:
            name, tables = "details", measure_details(here, there, rounds, events, contacts)
    except (BenchmarkError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
    for shown in tables:
        console.print(shown)
    console.print(f"written to {save(out, name, tables)}")


if __name__ == "__main__":
    main()
