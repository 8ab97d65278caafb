"""A stand: both emulators over real HTTP, a place for the state file, and processes of the service.

The world's clock runs fast all the while. Only processes that were started here are ended here.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process
from machine_clock import MachineClock

from bridge.commands.sandbox import Plan, Sandbox, open_sandbox
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.judge import judge

SPEED: Final = 3600.0
"""Seconds of the world in a second."""

DRAIN: Final = 3.0
"""Seconds that a stop may take: BRIDGE_DRAIN_TIMEOUT."""

CATCH_UP_WITHIN: Final = 120.0
SETTLED_AFTER: Final = 5
SOON: Final = 0.005


@dataclass
class Stand:
    """What a service is tried on.

    environment: settings that lead it here.
    processes: all that were started.
    """

    sandbox: Sandbox
    folder: Path
    environment: dict[str, str]
    processes: list[Process] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What the process that was started last has said."""
        return self.folder / "log"

    async def start(
        self, *arguments: str, tracer: Sequence[str] = (), more: Mapping[str, str] | None = None
    ) -> Process:
        """Starts `listrak-bridge run` and leaves it running, with some settings changed."""
        command = [*tracer, sys.executable, "-m", "bridge", "run", *arguments]
        with self.log.open("wb") as stream:
            process = await anyio.open_process(
                command,
                env={**self.environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                # A tracer that is killed leaves its child running: both are ended as a group.
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    async def settle(self) -> None:
        """Waits until the servers have taken all that reached them before a process ended."""
        segment, quiet, before = self.sandbox.segment, 0, (-1, -1)
        while quiet < SETTLED_AFTER:
            await anyio.sleep(SOON)
            now = (segment.accepted, segment.duplicates)
            quiet = quiet + 1 if now == before and not segment.in_flight else 0
            before = now

    def unsaved(self) -> int:
        """How many events Segment has that the state file doesn't know of yet.

        Only these may come again. It is below zero where one is called delivered that never came.
        Read from a copy, as whoever opens the file itself changes it.
        """
        return self.sandbox.segment.accepted - self._counted("delivered")

    def _counted(self, name: str) -> int:
        state = self.folder / "bridge.db"
        if not state.exists():
            return 0
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            copy = Path(place) / "copy.db"
            for ending in ("", "-wal"):
                source = state.with_name(f"{state.name}{ending}")
                if source.exists():
                    copy.with_name(f"{copy.name}{ending}").write_bytes(source.read_bytes())
            with closing(sqlite3.connect(copy)) as db:
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'counters'").fetchone():
                    return 0
                found = db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
                return int(found[0]) if found else 0

    async def judged(self) -> list[str]:
        """Stops the clock, catches up, and judges all that ever arrived; a sentence a finding."""
        if findings := await self.caught_up():
            return findings
        segment = self.sandbox.segment
        findings = self.verdict_on(segment.received())
        findings += [f"repeated otherwise: {what}" for what in segment.complaints]
        findings += [f"dropped by Segment: {what}" for what in segment.dropped]
        if left := self.unsaved():
            findings.append(f"the ledger doesn't close: {left} events more at Segment")
        return findings

    async def caught_up(self) -> list[str]:
        """Catches up while all is well and the world stands still; a sentence if that fails."""
        self.sandbox.clock.freeze()
        self.sandbox.listrak.faults.clear()
        self.sandbox.segment.faults.clear()
        process = await self.start("--once")
        with anyio.move_on_after(CATCH_UP_WITHIN):
            await process.wait()
        if process.returncode != 0:
            return [f"the catch-up ended with {process.returncode}: {self.last_words()}"]
        return []

    def verdict_on(self, received: Iterable[Mapping[str, Any]]) -> list[str]:
        """The judge's word on what arrived; a sentence a finding."""
        sandbox = self.sandbox
        days = int(self.environment.get("BRIDGE_TRACK_DAYS", "30"))
        expectations = Expectations(lists=sandbox.lists, since=sandbox.since, track_days=days)
        verdict = judge(sandbox.world, received, expectations)
        return [
            f"{title}: {sentence}"
            for title in ("missing", "extra", "wrong")
            for sentence in getattr(verdict, title)
        ]

    def last_words(self) -> str:
        """The end of what the last process has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-600:]

    @property
    def has_crashed(self) -> bool:
        """Whether the last process told an error that nobody expected."""
        return b"Traceback" in self.log.read_bytes()


@asynccontextmanager
async def open_stand(
    seed: int, *, contacts: int = 120, trusted: bool = False, **settings: str
) -> AsyncIterator[Stand]:
    """Serves a seeded world; ends at its end every process that it started.

    trusted: the service's machine has the world's time, so that it forgets by it.
    """
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-crash-") as name:
        folder = Path(name)
        plan = Plan(
            seed=seed,
            contacts=contacts,
            history=timedelta(days=2),
            speed=SPEED,
            received=folder / "segment.db",
            switches="page_rows=30,empty_pages=0.1",
        )
        async with open_sandbox(plan) as sandbox:
            environment = {
                "PATH": os.environ["PATH"],
                # Loopback needs no certificates; reading the machine's takes a tenth of a start.
                "SSL_CERT_FILE": os.devnull,
                **sandbox.environment,
                "LISTRAK_REQUESTS_PER_SECOND": "0",
                "BRIDGE_EVENTS_PER_SECOND": "0",
                "BRIDGE_STATE": str(folder / "bridge.db"),
                "BRIDGE_STATUS_BIND": "",
                "BRIDGE_POLL_INTERVAL": "0.2",
                "BRIDGE_FLUSH_INTERVAL": "0.05",
                "BRIDGE_BATCH_EVENTS": "30",
                "BRIDGE_DRAIN_TIMEOUT": str(DRAIN),
                "BRIDGE_LOG_FORMAT": "json",
                **settings,
            }
            if trusted:
                machine, clock = MachineClock(folder / "machine-clock"), sandbox.clock
                clock.on_set = lambda: machine.follow(clock.now.timestamp(), clock.rate)
                clock.on_set()
                environment |= machine.environment
            stand = Stand(sandbox, folder, environment)
            try:
                yield stand
            finally:
                with anyio.CancelScope(shield=True):
                    for process in stand.processes:
                        if process.returncode is None:
                            os.killpg(process.pid, signal.SIGKILL)
                        await process.aclose()
