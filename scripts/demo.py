"""The demonstration: the real service between an emulated Listrak and an emulated Segment.

A seeded retailer lives through two days in half a minute while the service polls it. The service
is killed in the middle and started again; then the clock stands still, what is left is caught up
with, and all that Segment received is judged against what truly happened. Ends with 0 if nothing
is missing, too much or wrong.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import anyio
import msgspec
from anyio.abc import Process
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live
from rich.table import Table

from bridge.commands.sandbox import Plan, Sandbox, open_sandbox
from bridge.event_types import IDENTIFY, TRACKS

LIVE_FOR = 24.0
"""Seconds that the world goes on living, in two halves with a kill -9 between them."""

SPEED = 7200.0
CATCH_UP_FOR = 30.0
LISTENING = "status.listening"

console = Console()


async def main() -> int:
    """Runs the demonstration; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-demo-") as name:
        folder = Path(name)
        plan = Plan(
            seed=11,
            contacts=300,
            history=timedelta(days=3),
            speed=SPEED,
            received=folder / "segment.db",
            switches="empty_pages=0.1,cursor_style=uri",
        )
        async with open_sandbox(plan) as sandbox:
            console.print(
                "An emulated Listrak and an emulated Segment are up on loopback; the service "
                f"between them is the real one. The world's clock runs {SPEED:,.0f} times as fast "
                "as yours.\n"
            )
            environment = {
                "PATH": os.environ["PATH"],
                **sandbox.environment,
                "BRIDGE_STATE": str(folder / "bridge.db"),
                "BRIDGE_STATUS_BIND": "127.0.0.1:0",
                "BRIDGE_POLL_INTERVAL": "1",
                "BRIDGE_FLUSH_INTERVAL": "0.2",
                "BRIDGE_LOG_FORMAT": "json",
                "LISTRAK_REQUESTS_PER_SECOND": "0",
            }
            log = folder / "log"
            async with service(environment, log) as process:
                await watch(sandbox, log, LIVE_FOR / 2)
                process.kill()
                await process.wait()
            console.print("Killed with SIGKILL in the middle of it; started again:\n")
            log.unlink()
            async with service(environment, log) as process:
                await watch(sandbox, log, LIVE_FOR / 2)
                sandbox.clock.freeze()
                process.send_signal(signal.SIGTERM)
                code = await process.wait()
            console.print(f"The clock stands still. SIGTERM: the service ended with {code}.")
            with anyio.fail_after(CATCH_UP_FOR):
                done = await anyio.run_process(command("--once"), env=environment, check=False)
            console.print(f"Caught up with `run --once`: it ended with {done.returncode}.\n")
            if code or done.returncode:
                console.print(log.read_text(), done.stderr.decode(), markup=False)
            return report(sandbox) or code or done.returncode


def command(*more: str) -> list[str]:
    """The service as it is installed."""
    return [sys.executable, "-m", "bridge", "run", *more]


@asynccontextmanager
async def service(environment: dict[str, str], log: Path) -> AsyncIterator[Process]:
    """The running service, which doesn't outlive this block."""
    with log.open("wb") as stream:
        process = await anyio.open_process(
            command(), env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def watch(sandbox: Sandbox, log: Path, seconds: float) -> None:
    """Shows what the service does, read from its metrics."""
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession() as client:
        with Live(console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
            address = ""
            while time.monotonic() < until:
                address = address or status_address(log)
                if address:
                    async with client.get(f"{address}/metrics") as answer:
                        live.update(progress(sandbox, await answer.text()))
                await anyio.sleep(0.25)
        if not console.is_terminal and address:
            async with client.get(f"{address}/metrics") as answer:
                console.print(progress(sandbox, await answer.text()))


def status_address(log: Path) -> str:
    """Where the service serves its metrics, from its log; "" as long as it doesn't say."""
    for line in log.read_bytes().splitlines():
        entry: dict[str, str] = msgspec.json.decode(line)
        if entry.get("event") == LISTENING:
            return entry["address"]
    return ""


def progress(sandbox: Sandbox, metrics: str) -> Table:
    """One row of numbers: what was fetched, mapped, delivered and committed."""
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            outcome = sample.labels.get("outcome", "")
            name = f"{sample.name} {outcome}".strip()
            totals[name] = totals.get(name, 0) + sample.value
    table = Table(title=f"the world's time: {sandbox.clock.now:%a %d %b %Y %H:%M} UTC")
    columns = {
        "calls": "bridge_listrak_calls_total",
        "rows fetched": "bridge_listrak_rows_total",
        "events mapped": "bridge_events_total fetched",
        "already known": "bridge_events_total known",
        "before the horizon": "bridge_events_total filtered",
        "delivered": "bridge_events_total delivered",
        "in flight": "bridge_events_in_flight",
        "commits": "bridge_commits_total",
    }
    for title in columns:
        table.add_column(title, justify="right")
    table.add_row(*(f"{totals.get(name, 0):,.0f}" for name in columns.values()))
    return table


def report(sandbox: Sandbox) -> int:
    """Prints an example of everything and the verdict; returns the exit code."""
    examples: dict[str, dict[str, object]] = {}
    for event in sandbox.segment.received(unique=True):
        name = str(event.get("event", IDENTIFY))
        if name == IDENTIFY:
            subscribed = True in event["traits"].values()
            name = "identify, subscribed" if subscribed else "identify, no longer subscribed"
        examples.setdefault(name, event)
    wanted = ["identify, subscribed", "identify, no longer subscribed", *TRACKS]
    for name in wanted:
        console.rule(name, align="left")
        if name in examples:
            console.print_json(data=examples[name])
    verdict = sandbox.verdict()
    complaints = sandbox.segment.complaints
    table = Table(title="Judged against what happened in the world")
    for title in ("", "expected", "delivered", "repeated (Segment drops these)"):
        table.add_column(title, justify="right" if title else "left")
    for name in (IDENTIFY, *TRACKS):
        counts = (verdict.expected[name], verdict.delivered[name], verdict.duplicates[name])
        table.add_row(name, *(f"{number:,}" for number in counts))
    console.print(table)
    console.print(
        "Delivered may exceed expected: a change that was undone since was due only if seen.\n"
    )
    for title in ("missing", "extra", "wrong"):
        sentences: list[str] = getattr(verdict, title)
        console.print(f"{len(sentences)} {title}", *sentences[:5], sep="\n  ", markup=False)
    repeated = sum(verdict.duplicates.values())
    console.print(f"0 duplicates after dedup by messageId ({repeated} repeated on the wire)")
    dropped = sandbox.segment.dropped
    console.print(
        f"{sum(dropped.values())} dropped by Segment, {sum(complaints.values())} complaints"
    )
    unseen = [name for name in wanted if name not in examples]
    if unseen:
        console.print(f"never seen: {', '.join(unseen)}")
    return int(not verdict.ok or bool(unseen) or bool(dropped) or bool(complaints))


if __name__ == "__main__":
    sys.exit(anyio.run(main))
