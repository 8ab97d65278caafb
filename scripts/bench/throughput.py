"""The same events by all contenders, and a second poll of what was seen."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.table import Table

from bench.contenders import BARE, PACKAGED, PEERS, SCRIPT, SERVICE
from bench.run import SCRIPTS, Bench, Contender, Cores, Run, fresh_folder, pinned, serving
from bench.tables import Target, spread, table

CONTENDERS = (BARE, SERVICE, SCRIPT, *PACKAGED)

OF_THE_BARE = Target(0.7)
OF_THE_SCRIPT = Target(2.5)
OF_THE_PACKAGED = Target(10)
SECOND_POLL = Target(0.9)
PEAK = Target(100, most=True)


@dataclass
class Results:
    """The runs of one contender, a round each; in those of `idle` there was nothing to bring."""

    idle: list[Run] = field(default_factory=list)
    first: list[Run] = field(default_factory=list)
    again: list[Run] = field(default_factory=list)

    @property
    def start_and_stop(self) -> float:
        """CPU seconds of a run with nothing to bring."""
        return median(run.cpu for run in self.idle)


def measure_throughput(cores: Cores, events: int, rounds: int, picture: Path) -> list[Table]:
    """All contenders in turns, every other round the other way round; draws a picture too."""
    results = {one: Results() for one in CONTENDERS}
    with pinned(cores.servers), serving(events) as servers, pinned(cores.client):
        bench = Bench(servers, 60 + events // 5000)
        for number in range(rounds):
            for contender in CONTENDERS[:: -1 if number % 2 else 1]:
                _round(bench, contender, results[contender])
        rows = servers.ready.rows
    _draw(results, picture)
    return [_first(results), _again(results[SERVICE], rows), _judged(results)]


def _round(bench: Bench, contender: Contender, results: Results) -> None:
    """A run with nothing to bring, one with everything, and one with everything seen before."""
    with fresh_folder() as folder:
        results.idle.append(bench.run_empty(contender, folder))
    with fresh_folder() as folder:
        results.first.append(bench.run(contender, folder))
        if contender.remembers:
            results.again.append(bench.run_again(contender, folder))


def _first(results: dict[Contender, Results]) -> Table:
    bare = results[BARE].first
    shown = table(
        f"The same {bare[0].report.events:,} events to Segment (median, least to most)",
        "",
        "thousand events/s",
        "of the bare loop's",
        "CPU µs an event",
        "without start and stop",
        "peak RSS MB",
        "wire bytes an event",
        "on the CPU",
        "servers on theirs",
    )
    for contender, result in results.items():
        runs, base = result.first, result.start_and_stop
        shown.add_row(
            contender.name,
            spread([run.rate / 1000 for run in runs], ",.1f"),
            spread(_ratios(runs, bare), ".2f"),
            spread([run.cpu / run.report.events * 1e6 for run in runs], ".2f"),
            spread([(run.cpu - base) / run.report.events * 1e6 for run in runs], ".2f"),
            spread([run.peak for run in runs], ".0f"),
            spread([run.report.wire_bytes / run.report.events for run in runs], ".1f"),
            f"{median(run.cpu / run.lasted for run in runs):.0%}",
            f"{median(_servers_busy(run) for run in runs):.0%}",
        )
    return shown


def _servers_busy(run: Run) -> float:
    return run.report.busy / (run.report.last_post - run.report.first_page)


def _again(results: Results, rows: int) -> Table:
    both = list(zip(results.first, results.again, strict=True))
    base = results.start_and_stop
    shown = table(
        f"Reading {rows:,} rows again, all seen before (median, least to most)",
        "",
        "thousand rows/s",
        "of the first poll's",
        "CPU µs a row",
        "the first poll's",
        "peak RSS MB",
    )
    shown.add_row(
        SERVICE.name,
        spread([rows / late.since_first_page / 1000 for _, late in both], ",.1f"),
        spread(_second_poll(results), ".2f"),
        spread([(late.cpu - base) / rows * 1e6 for _, late in both], ".2f"),
        spread([(early.cpu - base) / rows * 1e6 for early, _ in both], ".2f"),
        spread([late.peak for _, late in both], ".0f"),
    )
    return shown


def _second_poll(results: Results) -> list[float]:
    """Rows a second of second polls, of the first ones'; from the first page to the end."""
    both = zip(results.first, results.again, strict=True)
    return [early.since_first_page / late.since_first_page for early, late in both]


def _judged(results: dict[Contender, Results]) -> Table:
    service = results[SERVICE]

    def than(other: Contender) -> float:
        return median(_ratios(service.first, results[other].first))

    best = min(PACKAGED, key=than)
    peak = max(median(run.peak for run in runs) for runs in (service.first, service.again))
    shown = table("Targets", "", "")
    shown.add_row("events/s, of the bare loop's", OF_THE_BARE.judge(than(BARE), ".2f"))
    shown.add_row(f"events/s, of {best.name}'s", OF_THE_PACKAGED.judge(than(best), ".1f"))
    shown.add_row(f"events/s, of {SCRIPT.name}'s", OF_THE_SCRIPT.judge(than(SCRIPT), ".1f"))
    second = median(_second_poll(service))
    shown.add_row("rows/s of a second poll, of the first's", SECOND_POLL.judge(second, ".2f"))
    shown.add_row("peak RSS MB", PEAK.judge(peak, ".0f"))
    return shown


def _ratios(runs: Sequence[Run], others: Sequence[Run]) -> list[float]:
    """Rates of some runs to those of others, round by round."""
    return [run.rate / other.rate for run, other in zip(runs, others, strict=True)]


def _draw(results: dict[Contender, Results], file: Path) -> None:
    """Events a second as bars, drawn in the peers' environment, which has what it takes."""
    rates = {one.name: [run.rate for run in result.first] for one, result in results.items()}
    subprocess.run(
        [str(PEERS), "-m", "bench.peers.picture", str(file)],
        cwd=SCRIPTS,
        input=json.dumps(rates).encode(),
        check=True,
    )
