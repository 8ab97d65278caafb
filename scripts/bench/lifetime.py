"""The service around its work: how soon it is ready, what it takes while idle and on disk."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.table import Table

from bench.contenders import SERVICE, service_environment
from bench.run import SCRIPTS, Bench, BenchmarkError, Servers, fresh_folder, waited
from bench.store import SEEN_BEFORE, STATE, copy_to_disk
from bench.tables import Target, spread, table

START = Target(3.0, most=True)
IDLE = Target(1.0, most=True)
INSTALLED = Target(110, most=True)

STARTS = 9
IDLE_SECONDS = 60.0
"""A whole poll interval: a shorter span may hold no poll at all, and would show nothing."""

WARM_UP = 3.0
"""Seconds after the start before idleness is measured."""

PROJECT = "listrak-segment-bridge"
COMMAND = [sys.executable, "-m", "bridge", "run"]


@contextmanager
def running(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[int, float]]:
    """The service for as long as the block lasts: process id, seconds from its start to READY=1."""
    address = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(address))
        notified.settimeout(30)
        with (folder / "log").open("wb") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                COMMAND,
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    **environment,
                    "NOTIFY_SOCKET": str(address),
                },
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            while b"READY=1" not in notified.recv(4096):
                pass
            ready_after = time.monotonic() - began
            yield process.pid, ready_after
        except TimeoutError:
            said = (folder / "log").read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"the service did not become ready:\n{said}") from None
        finally:
            process.send_signal(signal.SIGTERM)
            waited(process, 30)


def measure_start(servers: Servers, full: Path) -> Table:
    """From the start to READY=1, beside what importing the HTTP library takes, in turns."""
    servers.begin(empty=True)
    seconds: dict[str, list[float]] = {"import aiohttp": [], "an empty store": []}
    large = f"a store of {SEEN_BEFORE:,} keys"
    seconds[large] = []
    for number in range(STARTS):
        for name in list(seconds)[:: -1 if number % 2 else 1]:
            with fresh_folder() as folder:
                if name == large:
                    copy_to_disk(full, folder / STATE)
                seconds[name].append(_start(servers, folder, service=name != "import aiohttp"))
    shown = table("From exec to ready (median, least to most)", "", "seconds", "of the import's")
    imports = seconds["import aiohttp"]
    for name, values in seconds.items():
        ratio = median(value / other for value, other in zip(values, imports, strict=True))
        judged = f"{ratio:.2f}" if values is imports else START.judge(ratio, ".2f")
        shown.add_row(name, spread(values, ".3f"), judged)
    return shown


def _start(servers: Servers, folder: Path, *, service: bool) -> float:
    """Seconds of one start."""
    if service:
        environment = service_environment(servers.ready.address, folder)
        with running(environment, folder) as (_, ready_after):
            return ready_after
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import aiohttp"], check=True, cwd=folder, env={})
    return time.monotonic() - began


def measure_idle(bench: Bench) -> float:
    """Per cent of a core that the service takes at its default settings once all is brought."""
    with fresh_folder() as folder:
        bench.run(SERVICE, folder)
        bench.servers.begin(empty=False)
        environment = service_environment(bench.servers.ready.address, folder)
        for limit in (
            "LISTRAK_REQUESTS_PER_SECOND",
            "BRIDGE_EVENTS_PER_SECOND",
            "BRIDGE_SEND_CONCURRENCY",
        ):
            del environment[limit]
        environment["BRIDGE_STATUS_BIND"] = "127.0.0.1:0"
        with running(environment, folder) as (process, _):
            time.sleep(WARM_UP)
            used, began = _cpu(process), time.monotonic()
            time.sleep(IDLE_SECONDS)
            return (_cpu(process) - used) / (time.monotonic() - began) * 100


def _cpu(process: int) -> float:
    """CPU seconds of all threads of a process so far."""
    # The name, in brackets, may hold spaces.
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def installed_size() -> float:
    """MB of the service and all that it needs at run time, as installed, without pip."""
    sizes: dict[str, int] = {}
    waiting = [PROJECT]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in sizes:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError as error:
            raise BenchmarkError(f"{error.name} is not installed") from None
        paths = [Path(str(file.locate())) for file in package.files or ()]
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file())
        for text in package.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    # This project itself is installed as a link to its folder.
    bridge = SCRIPTS.parent / "bridge"
    own = sum(path.stat().st_size for path in bridge.rglob("*") if path.is_file())
    return (sum(sizes.values()) + own) / 1e6


def measure_lifetime(bench: Bench, full: Path) -> list[Table]:
    """Start, idleness, size."""
    shown = table("At rest", "", "")
    shown.add_row("CPU while idle, % of a core", IDLE.judge(measure_idle(bench), ".2f"))
    shown.add_row("installed, MB beyond pip", INSTALLED.judge(installed_size(), ".0f"))
    return [measure_start(bench.servers, full), shown]
