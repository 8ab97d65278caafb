"""A whole bridge between two emulated servers: the installed command as a subprocess."""

import lzma
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import fork_server
import printed
from aiohttp import web
from machine_clock import MachineClock
from virtual_machine import VirtualMachineClock, virtual_loop

from bridge.sandbox.clock import Clock
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.faults import Faults
from bridge.sandbox.history import History
from bridge.sandbox.judge import judge
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH, Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.sandbox.switches import Switches
from bridge.sandbox.verdict import Verdict
from bridge.sandbox.world import World

START = datetime(2026, 6, 3, 15, 0, tzinfo=UTC)
LISTS: dict[int, int | None] = {12345: 777, 13456: 779}
"""The lists of a world with people, each with the profile field that holds the userId."""

SETTING = "12345=777,13456=Customer ID"
CLIENT, SECRET, KEY = printed.IN_PROCESS.values()


def retailer(*, contacts: int = 25, days: int = 2, seed: int = 3) -> World:
    """A small retailer with some days behind it."""
    return populated_world(seed=seed, start=START, contacts=contacts, history=timedelta(days=days))


def lay_older_format(state: Path) -> None:
    """Puts a state file of an older format in place, without a trace of the one before."""
    recorded = Path(__file__).parent / "service" / "recorded" / "format-3-catch-up.db.xz"
    state.write_bytes(lzma.decompress(recorded.read_bytes()))
    for beside in ("-wal", "-shm", ".lock"):
        state.with_name(f"{state.name}{beside}").unlink(missing_ok=True)


def quiet_world() -> World:
    """An account in which nothing happens by itself."""
    return World(start=START)


def drawn_seeds(variable: str, number: int) -> range:
    """The seeds to draw from: so many, or as an environment variable says, as in 500 or 20:30."""
    first, _, last = os.environ.get(variable, str(number)).rpartition(":")
    return range(int(first or 0), int(last))


def peak_memory(pid: int) -> int:
    """The most memory, in bytes, that a process has had so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def open_files(pid: int) -> int:
    """The number of files and connections that a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@dataclass
class Run:
    """A command that ended: exit code and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Rig:
    """Two emulated servers, a place for the state file, and the command.

    machine: the clocks that the command has. They go along with the world's.
    """

    world: World
    clock: Clock
    listrak: Listrak
    segment: Segment
    folder: Path
    environment: dict[str, str]
    machine: MachineClock | VirtualMachineClock
    processes: list[anyio.abc.Process] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """Where the bridge keeps its state."""
        return self.folder / "bridge.db"

    def command(self, *arguments: str) -> list[str]:
        """The command as the package installs it."""
        return [sys.executable, "-m", "bridge", *arguments]

    async def run(
        self, *arguments: str, within: float = 60, cold: bool = False, **more: str | None
    ) -> Run:
        """Runs a command to its end; not cold, its imports are those of `fork_server`."""
        environment = self.with_settings(more)
        with anyio.fail_after(within):
            if cold:
                command = self.command(*arguments)
                done = await anyio.run_process(command, env=environment, check=False)
            else:
                done = await fork_server.run("bridge", *arguments, environment=environment)
        run = Run(done.returncode, done.stdout.decode(), done.stderr.decode())
        printed.keep(arguments, environment, out=run.out, err=run.err)
        return run

    def with_settings(self, more: Mapping[str, str | None]) -> dict[str, str]:
        """The environment, with some variables changed or (None) left out."""
        merged: dict[str, str | None] = {**self.environment, **more}
        return {name: value for name, value in merged.items() if value is not None}

    async def start(self, *arguments: str, log: Path | None = None, **more: str | None) -> Any:
        """Starts a command and leaves it running; what it logs goes to `log`."""
        path = log or self.folder / f"log-{len(self.processes)}"
        with path.open("wb") as stream:
            process = await anyio.open_process(
                self.command(*arguments),
                env=self.with_settings(more),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self.processes.append(process)
        # Where both go, what is said is no output.
        printed.keep(arguments, self.with_settings(more), out="", err=path)
        return process

    async def caught_up(self, **settings: Any) -> str:
        """Makes a catch-up, with some settings changed, that has to succeed; what it logged."""
        done = await self.run("run", "--once", **settings)
        assert done.code == 0, done.err
        return done.err

    def later(self, **delta: float) -> World:
        """Lets time pass; the world then."""
        self.clock.advance(timedelta(**delta))
        self.world.advance(self.clock.now)
        return self.world

    def fail(self, pattern: str, fault: str) -> None:
        """Puts a fault in force on calls to Listrak whose path fits, with its query or without.

        pattern: a regular expression, found anywhere.
        """
        added = Faults.parse(fault)
        strikes = added.strikes

        def strikes_there(request: web.Request, rng: Random) -> bool:
            fits = any(re.search(pattern, each) for each in (request.path, request.path_qs))
            return fits and strikes(request, rng)

        added.strikes = strikes_there  # type: ignore[method-assign]
        self.listrak.faults.add(added)

    def rows(self, query: str) -> list[Any]:
        """What a query finds in the state file."""
        with closing(sqlite3.connect(self.state)) as db:
            return db.execute(query).fetchall()

    def in_outbox(self, *, set_aside: bool = False) -> int:
        """The number of events that are saved and not acknowledged, or of those set aside alone."""
        where = "WHERE set_aside" if set_aside else ""
        ((number,),) = self.rows(f"SELECT coalesce(sum(events), 0) FROM outbox {where}")
        return int(number)

    def adds_up(self) -> bool:
        """fetched = delivered + known + filtered + dead-lettered, once nothing is in flight."""
        counts = Counter(dict(self.rows("SELECT name, value FROM counters")))
        return counts.pop("fetched") == counts.total()

    def verdict(self, since: datetime, **options: Any) -> Verdict:
        """The judge's word on all that Segment received."""
        expectations = Expectations(lists=LISTS, since=since, **options)
        return judge(self.world, self.segment.received(), expectations)

    def verdict_on(self, history: History) -> Verdict:
        """The judge's word on all that Segment received, and when, in a history."""
        return judge(self.world, self.segment.received(stamped=True), history)

    def delivered(self) -> dict[str, Any]:
        """All that Segment has, by messageId."""
        return {event["messageId"]: event for event in self.segment.received()}

    def complaints(self) -> object:
        """What Segment dropped or a strict reader has to say; empty if all is well."""
        return dict(self.segment.dropped) or dict(self.segment.complaint_examples)

    async def until(self, what: Callable[[], bool], within: float = 30) -> None:
        """Waits for something that nobody announces."""

        async def ask() -> bool:
            return what()

        await self.until_async(ask, within)

    async def until_async(self, what: Callable[[], Awaitable[bool]], within: float = 30) -> None:
        """Waits for something that must be asked for."""
        with anyio.fail_after(within):
            while not await what():  # noqa: ASYNC110
                await anyio.sleep(0.02)

    def log(self, number: int = -1) -> str:
        """What a started command has logged so far."""
        logs = sorted(self.folder.glob("log-*"), key=lambda path: int(path.name[4:]))
        return logs[number].read_text(encoding="utf-8")


MakeRig = Callable[..., Any]


@asynccontextmanager
async def make_rig(
    folder: Path,
    *,
    world: World | None = None,
    lists: str = SETTING,
    switches: Switches | None = None,
    clock: Clock | None = None,
    token_lifetime: float = 3599.0,
    max_page: int = 5000,
    **environment: str,
) -> AsyncIterator[Rig]:
    """A rig on loopback; ends every process that it started."""
    world = world or retailer()
    loop = virtual_loop()
    clock = clock or Clock.manual(world.now, monotonic=loop.time if loop else time.monotonic)
    machine = VirtualMachineClock(loop) if loop else MachineClock(folder / "machine-clock")
    clock.on_set = lambda: machine.follow(clock.now.timestamp(), clock.rate)
    clock.on_set()
    listrak = Listrak(
        world,
        clock,
        Integration(CLIENT, SECRET, token_lifetime, max_page),
        switches=switches,
        faults=Faults(seed=7),
    )
    async with AsyncExitStack() as stack:
        segment = stack.enter_context(
            Segment(
                folder / "segment.db",
                write_key=KEY,
                faults=Faults(seed=8),
                world_now=lambda: clock.now,
            )
        )
        source = await stack.enter_async_context(serve(listrak.app))
        sink = await stack.enter_async_context(serve(segment.app))
        settings = {
            "PATH": os.environ["PATH"],
            # Loopback needs no certificates; reading the machine's takes a tenth of a start.
            "SSL_CERT_FILE": os.devnull,
            "LISTRAK_CLIENT_ID": CLIENT,
            "LISTRAK_CLIENT_SECRET": SECRET,
            "SEGMENT_WRITE_KEY": KEY,
            "LISTRAK_LISTS": lists,
            "LISTRAK_API_URL": source + API_PATH,
            "LISTRAK_TOKEN_URL": source + TOKEN_PATH,
            "SEGMENT_API_URL": f"{sink}/v1",
            "LISTRAK_REQUESTS_PER_SECOND": "0",
            "BRIDGE_EVENTS_PER_SECOND": "0",
            "BRIDGE_STATE": str(folder / "bridge.db"),
            "BRIDGE_STATUS_BIND": "",
            "BRIDGE_FLUSH_INTERVAL": "0.05",
            "BRIDGE_LOG_LEVEL": "info",
            **machine.environment,
        }
        rig = Rig(world, clock, listrak, segment, folder, settings | environment, machine)
        try:
            yield rig
        finally:
            with anyio.CancelScope(shield=True):
                for process in rig.processes:
                    if process.returncode is None:
                        process.send_signal(signal.SIGKILL)
                    await process.aclose()
