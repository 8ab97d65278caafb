"""A run: one process brings the load from one server to the other, and is measured meanwhile."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec

from bench.load import Ready, Report

SCRIPTS = Path(__file__).parent.parent


class BenchmarkError(Exception):
    """A run that failed, or did not do the work."""


@dataclass(frozen=True)
class Contender:
    """Somebody who brings the load from one server to the other.

    Its command and environment depend on the servers' address, the latter on a folder of its own
    as well. `remembers`: a second run brings nothing.
    """

    name: str
    command: Callable[[str], list[str]]
    environment: Callable[[str, Path], dict[str, str]] = lambda _address, _folder: {}
    remembers: bool = False


@dataclass(frozen=True)
class Run:
    """One process from its start to its end, and what the servers saw of it."""

    report: Report
    cpu: float
    peak: float
    """MB (2**20 bytes) resident at most."""
    lasted: float
    since_first_page: float
    """Seconds from the first page asked for to the end of the process."""

    @property
    def rate(self) -> float:
        """Events a second, from the first page asked for to the last batch accepted."""
        return self.report.events / (self.report.last_post - self.report.first_page)


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
def serving(number: int, module: str = "bench.servers") -> Iterator[Servers]:
    """Runs the servers of so many events."""
    with subprocess.Popen(
        [sys.executable, "-m", module, str(number)],
        cwd=SCRIPTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Servers(process)
        finally:
            process.kill()


class Bench:
    """Runs contenders against the servers; `limit` is in seconds a run."""

    def __init__(self, servers: Servers, limit: int) -> None:
        self.servers = servers
        self._limit = limit
        self._content: int | None = None

    @property
    def events(self) -> int:
        """How many there are to bring."""
        return self.servers.ready.events

    def run(self, contender: Contender, folder: Path) -> Run:
        """All events are due; each run must bring the same ones."""
        run = self._run(contender, folder, expected=self.events)
        if self._content is None:
            self._content = run.report.content
        if run.report.content != self._content:
            raise BenchmarkError(f"{contender.name} delivered other events than the first")
        return run

    def run_again(self, contender: Contender, folder: Path) -> Run:
        """Everything is there to be read, but seen in the run before."""
        return self._run(contender, folder, expected=0)

    def run_empty(self, contender: Contender, folder: Path) -> Run:
        """There is nothing: what start and stop take."""
        return self._run(contender, folder, expected=0, empty=True)

    def _run(
        self, contender: Contender, folder: Path, *, expected: int, empty: bool = False
    ) -> Run:
        """One process from its start to its end; BenchmarkError unless it did the work."""
        self.servers.begin(empty=empty)
        log = folder / "log"
        address = self.servers.ready.address
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
        report = self.servers.report()
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


@dataclass(frozen=True)
class Cores:
    """Which core is whose; None for any."""

    client: int | None
    servers: int | None

    @staticmethod
    def here() -> "Cores":
        """As far as this machine has them."""
        cores = sorted(os.sched_getaffinity(0))
        return Cores(cores[-1], cores[0]) if len(cores) > 1 else Cores(None, None)


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
