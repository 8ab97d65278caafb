"""The service over ever more events in one go: what an event costs, and memory."""

from rich.table import Table

from bench.contenders import SERVICE
from bench.run import Bench, Cores, fresh_folder, pinned, serving
from bench.store import BYTES_AN_EVENT, STATE
from bench.tables import Target, table
from bench.throughput import PEAK

STEPS = (100_000, 1_000_000, 10_000_000)
SAME_PEAK = Target(5, most=True)


def measure_growth(cores: Cores) -> list[Table]:
    """A run of each size."""
    grown = table(
        "Growth: a backlog in one go",
        "events",
        "thousand events/s",
        "CPU µs an event",
        "peak RSS MB",
        "state bytes an event",
    )
    costs: list[float] = []
    peaks: list[float] = []
    sizes: list[float] = []
    for events in STEPS:
        with pinned(cores.servers), serving(events) as servers, pinned(cores.client):
            bench = Bench(servers, 120 + events // 5000)
            with fresh_folder() as folder:
                idle = bench.run_empty(SERVICE, folder)
            with fresh_folder() as folder:
                run = bench.run(SERVICE, folder)
                sizes.append((folder / STATE).stat().st_size / bench.events)
        costs.append((run.cpu - idle.cpu) / bench.events * 1e6)
        peaks.append(run.peak)
        grown.add_row(
            f"{bench.events:,}",
            f"{run.rate / 1000:,.1f}",
            f"{costs[-1]:.2f}",
            f"{run.peak:.0f}",
            f"{sizes[-1]:.1f}",
        )
    judged = table("Targets", "", "")
    judged.add_row("peak RSS MB, the highest", PEAK.judge(max(peaks), ".0f"))
    judged.add_row(
        "more MB at the last step than before", SAME_PEAK.judge(peaks[-1] - peaks[-2], ".1f")
    )
    judged.add_row("state bytes an event, the most", BYTES_AN_EVENT.judge(max(sizes), ".1f"))
    judged.add_row(
        "CPU µs an event, the last step's of the one before's", f"{costs[-1] / costs[-2]:.2f}"
    )
    return [grown, judged]
