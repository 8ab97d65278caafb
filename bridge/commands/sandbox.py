"""The command `sandbox`: serves both emulators on loopback, for trials without an account."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import click
from aiohttp import web

from bridge import clock
from bridge.errors import UsageError
from bridge.sandbox.clock import Clock
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.faults import Faults
from bridge.sandbox.judge import judge
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH, Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.sandbox.switches import Switches
from bridge.sandbox.verdict import Verdict
from bridge.sandbox.world import World

CLIENT_ID, CLIENT_SECRET, WRITE_KEY = "sandbox-client", "sandbox-secret", "sandbox-write-key"
FAULTS = Faults.catalogue()
USER_ID_FIELD = "Customer ID"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The emulation to run; the command's options have the names of these fields.

    contacts: number of contacts of each list.
    history: time that has passed in the world before.
    speed: seconds of the world's time in a second.
    listrak_port: 0 for any.
    segment_port: 0 for any.
    received: SQLite file that keeps what Segment received.
    switches: text, see Switches.parse.
    listrak_faults: texts, see Faults.parse.
    segment_faults: likewise.
    """

    seed: int = 1
    contacts: int = 200
    lists: int = 2
    history: timedelta = timedelta(days=3)
    speed: float = 60.0
    listrak_port: int = 0
    segment_port: int = 0
    received: Path
    switches: str = ""
    listrak_faults: Sequence[str] = ()
    segment_faults: Sequence[str] = ()


@dataclass
class Sandbox:
    """Both emulators, served.

    since: start horizon for a bridge.
    environment: settings that lead a bridge to the emulators.
    """

    world: World
    clock: Clock
    listrak: Listrak
    segment: Segment
    since: datetime
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def lists(self) -> dict[int, int | None]:
        """The lists by id, each with the profile field that holds the userId."""
        return {
            number: next(
                (key for key, value in owner.fields.items() if value.name == USER_ID_FIELD), None
            )
            for number, owner in self.world.lists.items()
        }

    def verdict(self) -> Verdict:
        """Judges what Segment received against what happened in the world."""
        expectations = Expectations(lists=self.lists, since=self.since)
        return judge(self.world, self.segment.received(), expectations)


@asynccontextmanager
async def open_sandbox(plan: Plan) -> AsyncIterator[Sandbox]:
    """Serves a world on loopback. Raises UsageError for a switch or fault that isn't one."""
    now = clock.utc_now().replace(microsecond=0)
    try:
        switches = Switches.parse(plan.switches)
        source_faults = _faults(plan.listrak_faults, plan.seed)
        sink_faults = _faults(plan.segment_faults, plan.seed)
    except ValueError as error:
        raise UsageError(str(error)) from None
    world = populated_world(
        seed=plan.seed, start=now, contacts=plan.contacts, lists=plan.lists, history=plan.history
    )
    world_clock = Clock(world.now, plan.speed)
    listrak = Listrak(
        world,
        world_clock,
        Integration(CLIENT_ID, CLIENT_SECRET),
        switches=switches,
        faults=source_faults,
        seed=plan.seed,
    )
    with Segment(plan.received, write_key=WRITE_KEY, faults=sink_faults) as segment:
        sandbox = Sandbox(world, world_clock, listrak, segment, now - plan.history)

        async def show_verdict(_: web.Request) -> web.Response:
            verdict = sandbox.verdict()
            return web.Response(text=f"{verdict}\n", status=200 if verdict.ok else 409)

        listrak.app.router.add_get("/_sandbox/verdict", show_verdict)
        async with AsyncExitStack() as stack:
            try:
                source = await stack.enter_async_context(serve(listrak.app, port=plan.listrak_port))
                sink = await stack.enter_async_context(serve(segment.app, port=plan.segment_port))
            except OSError as error:
                raise UsageError(f"can't serve there: {error}. Name other ports") from None
            sandbox.environment = _environment(sandbox, source, sink)
            yield sandbox


def _faults(texts: Sequence[str], seed: int) -> Faults:
    """The faults of some texts. Raises ValueError for a text that is no fault."""
    faults = Faults(seed=seed)
    for text in texts:
        faults.add(Faults.parse(text))
    return faults


def _environment(sandbox: Sandbox, source: str, sink: str) -> dict[str, str]:
    """The settings that lead a bridge to the two servers, given the base addresses of these."""
    return {
        "LISTRAK_CLIENT_ID": CLIENT_ID,
        "LISTRAK_CLIENT_SECRET": CLIENT_SECRET,
        "SEGMENT_WRITE_KEY": WRITE_KEY,
        "LISTRAK_LISTS": ",".join(
            f"{number}={key}" if key else str(number) for number, key in sandbox.lists.items()
        ),
        "LISTRAK_API_URL": source + API_PATH,
        "LISTRAK_TOKEN_URL": source + TOKEN_PATH,
        "SEGMENT_API_URL": f"{sink}/v1",
        "BRIDGE_SINCE": sandbox.since.isoformat(),
    }


async def run_sandbox(plan: Plan) -> None:
    """Serves until SIGTERM or SIGINT; prints the environment, and at the end the verdict."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_sandbox(plan) as sandbox:
            click.echo("# Both servers are up. In another terminal:")
            for name, value in sandbox.environment.items():
                click.echo(f"export {name}='{value}'")
            click.echo("export BRIDGE_POLL_INTERVAL=1 LISTRAK_REQUESTS_PER_SECOND=0")
            source = sandbox.environment["LISTRAK_API_URL"].removesuffix(API_PATH)
            click.echo(
                f"# Then: listrak-bridge run, and to judge it: curl {source}/_sandbox/verdict"
            )
            click.echo(f"# Everything that Segment received: {plan.received}. Ctrl-C ends it.")
            async for _ in signals:
                break
            click.echo(str(sandbox.verdict()))
