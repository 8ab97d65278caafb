"""The first poll of a list's contacts: each becomes an identify."""

from statistics import median

from rich.table import Table

from bench.contenders import SERVICE
from bench.run import Bench, Run, fresh_folder
from bench.tables import spread, table


def measure_contacts(bench: Bench, rounds: int) -> Table:
    """Runs with nothing and with everything in turns."""
    idle: list[Run] = []
    runs: list[Run] = []
    for _ in range(rounds):
        with fresh_folder() as folder:
            idle.append(bench.run_empty(SERVICE, folder))
        with fresh_folder() as folder:
            runs.append(bench.run(SERVICE, folder))
    base = median(run.cpu for run in idle)
    shown = table(
        "First poll of contacts (median, least to most)",
        "",
        "thousand contacts/s",
        "CPU µs a contact",
        "peak RSS MB",
        "wire bytes a contact",
    )
    shown.add_row(
        f"{bench.events:,} contacts",
        spread([run.rate / 1000 for run in runs], ",.1f"),
        spread([(run.cpu - base) / bench.events * 1e6 for run in runs], ".2f"),
        spread([run.peak for run in runs], ".0f"),
        spread([run.report.wire_bytes / bench.events for run in runs], ".1f"),
    )
    return shown
