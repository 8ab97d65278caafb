"""The benchmark: the service as it is installed against the least that could do its work.

All runs read the same pages from one server and post to another, on loopback, in rounds, one run
after the other, so that what disturbs the machine disturbs all of them. Where there are two cores,
the client has one and the servers have the other. Only ratios within one run of this program mean
anything: absolute figures are this machine's, today. The state file lies in the folder for
temporary files (TMPDIR); where that is in memory, durability costs nothing and the figures flatter.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType

import click
import msgspec
from bench_load import LIST_ID, Ready, Report
from bench_tables import Target, save, spread, table
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-bench" / "bin" / "python"
BARE, SERVICE = "bare loop", "the service"
SLOWER = 10
"""The peers bring so many times fewer events: what counts is how many a second."""

OF_THE_BARE = Target(0.7)
PEAK = Target(100, most=True)
SAME_PEAK = Target(5, most=True)

GROWTH = (100_000, 1_000_000, 10_000_000)
BUDGET = 300.0
"""Seconds after which no further round is begun."""

console = Console(soft_wrap=False)
if not console.is_terminal:
    console.width = 110


class BenchmarkError(Exception):
    """A run that failed, or did not do the work."""


@dataclass(frozen=True)
class Contender:
    """Somebody who brings the load from one server to the other.

    `knows`: a second run is short. `slow`: gets a tenth of the load.
    """

    name: str
    command: Callable[[str], list[str]]
    environment: Callable[[str, Path], dict[str, str]] = lambda _address, _folder: {}
    knows: bool = False
    slow: bool = False


@dataclass(frozen=True)
class Run:
    """One process from its start to its end, and what the servers saw of it."""

    report: Report
    cpu: float
    peak: float
    """MB resident at most."""
    lasted: float
    since_first_page: float
    """Seconds from the first page asked for to the end of the process."""

    @property
    def rate(self) -> float:
        """Events a second, from the first page asked for to the last batch accepted."""
        return self.report.events / (self.report.last_post - self.report.first_page)


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


class Servers:
    """Both servers, in a process of their own."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.ready = msgspec.json.decode(self._line(), type=Ready)

    def begin(self, *, empty: bool) -> None:
        """A run begins."""
        self._ask(b"begin empty" if empty else b"begin")

    def report(self) -> Report:
        """What arrived since."""
        return msgspec.json.decode(self._ask(b"report"), type=Report)

    def _ask(self, command: bytes) -> bytes:
        assert self._process.stdin is not None
        self._process.stdin.write(command + b"\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError("the servers ended")
        return line.rstrip()


@contextmanager
def serving(events: int, script: str = "bench_servers.py") -> Iterator[Servers]:
    """Runs the servers."""
    command = [sys.executable, str(HERE / script), str(events)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Servers(process)
        finally:
            process.kill()


def service_environment(address: str, folder: Path) -> dict[str, str]:
    """The service without its limits, else as it comes."""
    return {
        "LISTRAK_CLIENT_ID": "bench",
        "LISTRAK_CLIENT_SECRET": "bench",
        "SEGMENT_WRITE_KEY": "bench",
        "LISTRAK_LISTS": str(LIST_ID),
        "LISTRAK_API_URL": f"{address}/email/v1",
        "LISTRAK_TOKEN_URL": f"{address}/OAuth2/Token",
        "SEGMENT_API_URL": f"{address}/v1",
        "LISTRAK_REQUESTS_PER_SECOND": "0",
        "BRIDGE_EVENTS_PER_SECOND": "0",
        "BRIDGE_SEND_CONCURRENCY": "8",
        "BRIDGE_SINCE": "7d",
        "BRIDGE_STATE": str(folder / "bridge.db"),
        "BRIDGE_STATUS_BIND": "",
    }


def peer(name: str, script: str) -> Contender:
    """What a user could take today, in an environment of its own."""
    path = str(HERE / "bench_peers" / script)
    return Contender(
        name,
        lambda address: [str(PEERS), path, address, str(LIST_ID)],
        lambda _address, _folder: {"RUNTIME__DLTHUB_TELEMETRY": "false"},
        slow=True,
    )


CONTENDERS = (
    Contender(
        BARE,
        lambda address: [
            sys.executable,
            str(HERE / "bench_peers" / "bare.py"),
            address,
            str(LIST_ID),
        ],
    ),
    Contender(
        SERVICE,
        lambda _: [sys.executable, "-m", "bridge", "run", "--once"],
        service_environment,
        knows=True,
    ),
    peer("requests and json", "with_requests.py"),
    peer("segment-analytics-python", "with_segment_client.py"),
    peer("dlt", "with_dlt.py"),
)


class Bench:
    """Runs contenders against the servers; `limit` is in seconds a run."""

    def __init__(self, servers: Servers, fewer: Servers, limit: int) -> None:
        self._full = servers
        self._fewer = fewer
        self._limit = limit
        self._content: dict[Servers, int] = {}

    def round(self, contender: Contender, results: Results) -> None:
        """A run with nothing to bring, one with everything, and one with everything known."""
        servers = self._fewer if contender.slow else self._full
        with fresh_folder() as folder:
            results.idle.append(self.run(contender, folder, servers, expected=0, empty=True))
        with fresh_folder() as folder:
            run = self.run(contender, folder, servers, expected=servers.ready.events)
            if run.report.content != self._content.setdefault(servers, run.report.content):
                raise BenchmarkError(f"{contender.name} delivered other events than the one before")
            results.first.append(run)
            if contender.knows:
                results.again.append(self.run(contender, folder, servers, expected=0))

    def run(
        self,
        contender: Contender,
        folder: Path,
        servers: Servers,
        *,
        expected: int,
        empty: bool = False,
    ) -> Run:
        """One process from its start to its end; BenchmarkError unless it did the work."""
        servers.begin(empty=empty)
        log = folder / "log"
        address = servers.ready.address
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        environment |= contender.environment(address, folder)
        began = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                contender.command(address),
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        status, cpu, peak = waited(process, self._limit)
        ended = time.monotonic()
        report = servers.report()
        if status != 0:
            said = log.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"{contender.name} ended with {status}:\n{said}")
        if (report.events, report.distinct) != (expected, expected):
            raise BenchmarkError(
                f"{contender.name} delivered {report.events:,} events with {report.distinct:,} "
                f"ids; {expected:,} were due"
            )
        return Run(report, cpu, peak, ended - began, ended - report.first_page)


def waited(process: "subprocess.Popen[bytes]", limit: int) -> tuple[int, float, float]:
    """Waits until a process ends: exit code, CPU seconds, peak MB. TimeoutError after `limit`."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"a run took longer than {limit} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(limit)
    try:
        # A child's peak is at least its parent's at the fork, so this program imports little.
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        signal.alarm(0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """An empty folder for a run's state and log."""
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-bench-") as name:
        yield Path(name)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Processes started in this block keep to one core; None for any."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(bench: Bench, rounds: int, until: float) -> dict[str, Results]:
    """All runs; every other round the other way round."""
    results = {one.name: Results() for one in CONTENDERS}
    for number in range(rounds):
        for contender in CONTENDERS if number % 2 == 0 else reversed(CONTENDERS):
            bench.round(contender, results[contender.name])
        if time.monotonic() > until and number + 1 < rounds:
            console.print(f"Out of time after {number + 1} of {rounds} rounds.")
            break
    return results


def show(results: dict[str, Results], rows: int) -> list[Table]:
    """The tables: medians, with the least and the most below them."""
    first = table(
        "The same events to Segment (median, least to most)",
        "",
        "events a round",
        "thousand events/s",
        "of the bare loop's",
        "CPU µs an event",
        "without start and stop",
        "peak RSS MB",
        "wire bytes an event",
        "process s",
    )
    bare = results[BARE].first
    for name, result in results.items():
        runs, base = result.first, result.start_and_stop
        first.add_row(
            name,
            f"{runs[0].report.events:,}",
            spread([run.rate / 1000 for run in runs], ",.1f"),
            spread([run.rate / other.rate for run, other in zip(runs, bare, strict=True)], ".2f"),
            spread([run.cpu / run.report.events * 1e6 for run in runs], ".2f"),
            spread([(run.cpu - base) / run.report.events * 1e6 for run in runs], ".2f"),
            spread([run.peak for run in runs], ".0f"),
            spread([run.report.wire_bytes / run.report.events for run in runs], ".1f"),
            spread([run.lasted for run in runs], ".2f"),
        )
    console.print(first)

    again = table(
        "Reading it all again, everything known",
        "",
        "thousand rows/s",
        "of the first time's",
        "CPU µs a row",
        "first time",
        "peak RSS MB",
    )
    for name, result in results.items():
        if not result.again:
            continue
        base = result.start_and_stop
        both = list(zip(result.first, result.again, strict=True))
        again.add_row(
            name,
            spread([rows / late.since_first_page / 1000 for _, late in both], ",.1f"),
            spread([early.since_first_page / late.since_first_page for early, late in both], ".2f"),
            spread([(late.cpu - base) / rows * 1e6 for _, late in both], ".2f"),
            spread([(early.cpu - base) / rows * 1e6 for early, _ in both], ".2f"),
            spread([late.peak for _, late in both], ".0f"),
        )
    console.print(again)

    served = results[SERVICE].first
    ratio = median(run.rate / other.rate for run, other in zip(served, bare, strict=True))
    peak = median(run.peak for run in served)
    judged = table("Targets", "", "")
    judged.add_row("events/s, of the bare loop's", OF_THE_BARE.judge(ratio, ".2f"))
    judged.add_row("peak RSS MB", PEAK.judge(peak, ".0f"))
    console.print(judged)

    for name, result in results.items():
        idle = median(run.lasted for run in result.idle)
        used = median(run.cpu / run.lasted for run in result.first)
        busy = median(
            run.report.busy / (run.report.last_post - run.report.first_page) for run in result.first
        )
        console.print(
            f"{name}: {used:.0%} of its time on the CPU, its servers {busy:.0%}; start and stop "
            f"alone take {idle:.2f} s, {result.start_and_stop:.2f} s of CPU"
        )
    return [first, again, judged]


def draw(results: dict[str, Results], file: Path) -> None:
    """The picture of events a second, drawn in the peers' environment, which has what it takes."""
    rates = {name: [run.rate for run in result.first] for name, result in results.items()}
    subprocess.run(
        [str(PEERS), str(HERE / "bench_peers" / "picture.py"), str(file)],
        input=json.dumps(rates).encode(),
        check=True,
    )


def grow(steps: Sequence[int], here: int | None, there: int | None) -> list[Table]:
    """The service alone, over ever more events in one go: what an event costs, and memory."""
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
    contender = next(one for one in CONTENDERS if one.name == SERVICE)
    for events in steps:
        with pinned(there), serving(events) as servers, pinned(here), fresh_folder() as folder:
            bench = Bench(servers, servers, 120 + events // 5000)
            idle = bench.run(contender, folder, servers, expected=0, empty=True)
            (folder / "bridge.db").unlink()
            run = bench.run(contender, folder, servers, expected=servers.ready.events)
            costs.append((run.cpu - idle.cpu) / run.report.events * 1e6)
            peaks.append(run.peak)
            grown.add_row(
                f"{servers.ready.events:,}",
                f"{run.rate / 1000:,.1f}",
                f"{costs[-1]:.2f}",
                f"{run.peak:.0f}",
                f"{(folder / 'bridge.db').stat().st_size / run.report.events:.1f}",
            )
    judged = table("Targets", "", "")
    judged.add_row("peak RSS MB, the highest", PEAK.judge(max(peaks), ".0f"))
    judged.add_row(
        "more MB at the last step than before", SAME_PEAK.judge(peaks[-1] - peaks[-2], ".1f")
    )
    judged.add_row(
        "CPU µs an event, the last step's of the one before's", f"{costs[-1] / costs[-2]:.2f}"
    )
    console.print(grown)
    console.print(judged)
    return [grown, judged]


@click.command()
@click.option(
    "--events", default=300_000, show_default=True, type=click.IntRange(10_000, 3_000_000)
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 50))
@click.option("--growth", is_flag=True, help="The service alone, over 100 thousand to 10 million.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path))
def main(events: int, rounds: int, growth: bool, out: Path) -> None:
    """Measure the service against a bare loop over the same pages and the same sink."""
    until = time.monotonic() + BUDGET
    cores = sorted(os.sched_getaffinity(0))
    here, there = (cores[-1], cores[0]) if len(cores) > 1 else (None, None)
    if growth:
        try:
            tables = grow(GROWTH, here, there)
        except (BenchmarkError, TimeoutError) as error:
            raise click.ClickException(str(error)) from None
        console.print(f"written to {save(out, 'growth', tables)}")
        return
    where = (
        f"client on core {here}, servers on core {there}."
        if len(cores) > 1
        else "everything on one core: the servers' work is part of every figure of time."
    )
    try:
        with (
            pinned(there),
            serving(events) as servers,
            serving(events // SLOWER) as fewer,
            pinned(here),
        ):
            ready = servers.ready
            console.print(
                f"{ready.events:,} events of {ready.rows:,} rows in {ready.messages} messages, "
                f"rounds: {rounds}; {where}"
            )
            results = measure(Bench(servers, fewer, 60 + events // 5000), rounds, until)
    except (BenchmarkError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
    tables = show(results, ready.rows)
    console.print(f"written to {save(out, 'throughput', tables)}")
    draw(results, out / "throughput.png")


if __name__ == "__main__":
    main()
