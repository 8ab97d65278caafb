"""Real conditions: both servers behind TLS and a tenth of a second, at growing concurrency."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from rich.table import Table

from bench.contenders import SERVICE, service_environment
from bench.run import (
    SCRIPTS,
    Bench,
    BenchmarkError,
    Contender,
    Cores,
    Run,
    fresh_folder,
    pinned,
    serving,
)
from bench.tables import spread, table

CONCURRENCIES = (1, 4, 8, 16)
EACH_WAY = 0.05
"""Seconds; a tenth of a second there and back."""

EVENTS_EACH = 40_000
"""Events for each place of concurrency: all runs then take about as long."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Makes an authority, and a certificate of this machine signed by it: authority, server."""
    authority, server = folder / "authority", folder / "server"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl("req", "-x509", *key, "-subj", "/CN=bench authority",
             "-addext", "keyUsage=critical,keyCertSign", "-keyout", f"{authority}.key",
             "-out", f"{authority}.pem")  # fmt: skip
    _openssl("req", "-x509", *key, "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
             "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
             "-keyout", f"{server}.key", "-out", f"{server}.pem")  # fmt: skip
    return authority, server


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise BenchmarkError("openssl is needed to make a certificate") from None
    if done.returncode != 0:
        raise BenchmarkError(f"openssl: {done.stderr}")


@contextmanager
def distant(address: str, server: Path) -> Iterator[str]:
    """The address at which a server is reached from afar."""
    command = [sys.executable, "-m", "bench.distance", address.rpartition(":")[2]]
    command += [str(EACH_WAY), f"{server}.pem", f"{server}.key"]
    with subprocess.Popen(
        command, cwd=SCRIPTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            reached_at = process.stdout.readline().strip()
            if not reached_at:
                raise BenchmarkError("the line to the servers ended")
            yield reached_at
        finally:
            process.kill()


def far_contender(concurrency: int, address: str, authority: Path) -> Contender:
    """The service, which trusts the authority, at some concurrency."""

    def environment(_near: str, folder: Path) -> dict[str, str]:
        return service_environment(address, folder) | {
            "SSL_CERT_FILE": f"{authority}.pem",
            "BRIDGE_POLL_CONCURRENCY": str(concurrency),
            "BRIDGE_SEND_CONCURRENCY": str(concurrency),
        }

    return Contender(f"{concurrency} at once", SERVICE.command, environment)


def measure_conditions(cores: Cores, rounds: int) -> list[Table]:
    """All concurrencies in turns, every other round the other way round."""
    runs: dict[int, list[Run]] = {concurrency: [] for concurrency in CONCURRENCIES}
    with ExitStack() as stack:
        stack.enter_context(pinned(cores.servers))
        authority, server = certificate(stack.enter_context(fresh_folder()))
        benches: dict[int, Bench] = {}
        contenders: dict[int, Contender] = {}
        for number in CONCURRENCIES:
            servers = stack.enter_context(serving(number * EVENTS_EACH))
            far = stack.enter_context(distant(servers.ready.address, server))
            benches[number] = Bench(servers, 120)
            contenders[number] = far_contender(number, far, authority)
        stack.enter_context(pinned(cores.client))
        for turn in range(rounds):
            for number in CONCURRENCIES[:: -1 if turn % 2 else 1]:
                with fresh_folder() as folder:
                    runs[number].append(benches[number].run(contenders[number], folder))
    return [_table(runs)]


def _table(runs: dict[int, list[Run]]) -> Table:
    shown = table(
        f"TLS and {EACH_WAY * 2000:.0f} ms there and back (median, least to most)",
        "readers and posts at once",
        "events",
        "thousand events/s",
        "times one's",
        "CPU µs an event",
        "peak RSS MB",
    )
    single = median(run.rate for run in runs[CONCURRENCIES[0]])
    for number, those in runs.items():
        shown.add_row(
            str(number),
            f"{those[0].report.events:,}",
            spread([run.rate / 1000 for run in those], ",.1f"),
            f"{median(run.rate for run in those) / single:.1f}",
            spread([run.cpu / run.report.events * 1e6 for run in those], ".2f"),
            spread([run.peak for run in those], ".0f"),
        )
    return shown
