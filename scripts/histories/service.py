"""The whole service in this process, on a virtual clock, between two emulators."""

import logging
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final

from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.surroundings import Machine, restored_process, surroundings

from bridge.environment import settings
from bridge.environment.settings import Settings
from bridge.output.logs import configure_logging
from bridge.sandbox.clock import Clock
from bridge.sandbox.faults import Faults
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH, Integration, Listrak
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from histories.account import START

CLIENT, SECRET, KEY = "histories-client", "histories-secret", "histories-write-key"
LISTS: Final[dict[int, str | None]] = {12345: "Customer ID", 13456: "Loyalty", 14567: None}
"""The lists, each with the profile field that holds the userId."""


@dataclass
class Stage:
    """An account, both servers, a machine with its disk and clocks, and where the state file is.

    ahead: seconds by which the machine's clock of the day is.
    arrived: how many events of each name came to Segment so far, and as "" of any.
    refused: by messageId, when Segment refused an event for good.
    refuses: tells whether Segment refuses an event of that messageId.
    log: what the service has logged, in all lives.
    """

    world: World
    clock: Clock
    listrak: Listrak
    segment: Segment
    loop: VirtualLoop
    disk: Disk
    state: Path
    environment: dict[str, str]
    ahead: float = 0.0
    arrived: Counter[str] = field(default_factory=Counter)
    refused: dict[str, datetime] = field(default_factory=dict)
    refuses: Callable[[str], bool] = lambda _: False
    log: StringIO = field(default_factory=StringIO)
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine(self.loop, lambda: self.clock.now.timestamp() + self.ahead)

    def refuse(self, event: Mapping[str, Any]) -> bool:
        """Takes note of an event that comes to Segment; tells whether that refuses it."""
        self.arrived.update((event.get("event", event["type"]), ""))
        if not self.refuses(event["messageId"]):
            return False
        self.refused.setdefault(event["messageId"], self.now)
        return True

    @property
    def now(self) -> datetime:
        """The true time."""
        return self.clock.now

    def settings(self) -> Settings:
        """The settings as the environment has them."""
        loaded: Settings = settings.load(self.environment)
        return loaded


@asynccontextmanager
async def stage_of(
    world: World, folder: Path, loop: VirtualLoop, *, switches: str, seed: int
) -> AsyncIterator[Stage]:
    """A stage, on which the service goes by the machine's clocks and uses no thread.

    switches: as the sandbox parses them.
    seed: of what the emulators draw, and the service.
    """
    random.seed(seed)
    # What the emulators say of connections that are lost on purpose.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    clock = Clock(START, monotonic=loop.time)
    listrak = Listrak(
        world,
        clock,
        Integration(CLIENT, SECRET, 3599.0, 5000),
        switches=Switches.parse(switches),
        faults=Faults(seed=seed),
        seed=seed,
    )
    with ExitStack() as stack:
        segment = stack.enter_context(
            Segment(
                folder / "segment.db",
                write_key=KEY,
                faults=Faults(seed=seed + 1),
                world_now=lambda: clock.now,
            )
        )
        async with AsyncExitStack() as servers:
            source = await servers.enter_async_context(serve(listrak.app))
            sink = await servers.enter_async_context(serve(segment.app))
            stage = Stage(
                world,
                clock,
                listrak,
                segment,
                loop,
                Disk(),
                folder / "bridge.db",
                _environment(source, sink, folder / "bridge.db"),
            )
            segment.refuse = stage.refuse
            stack.enter_context(surroundings(stage.machine, stage.disk))
            stack.enter_context(restored_process())
            configure_logging(level="info", style="json", stream=stage.log)
            yield stage


def _environment(source: str, sink: str, state: Path) -> dict[str, str]:
    lists = (f"{number}={name}" if name else f"{number}" for number, name in LISTS.items())
    return {
        "PATH": os.environ["PATH"],
        # Loopback needs no certificates; reading the machine's takes a tenth of a start.
        "SSL_CERT_FILE": os.devnull,
        "LISTRAK_CLIENT_ID": CLIENT,
        "LISTRAK_CLIENT_SECRET": SECRET,
        "SEGMENT_WRITE_KEY": KEY,
        "LISTRAK_LISTS": ",".join(lists),
        "LISTRAK_API_URL": source + API_PATH,
        "LISTRAK_TOKEN_URL": source + TOKEN_PATH,
        "SEGMENT_API_URL": f"{sink}/v1",
        "LISTRAK_REQUESTS_PER_SECOND": "0",
        "BRIDGE_EVENTS_PER_SECOND": "0",
        "BRIDGE_SINCE": f"{START:%Y-%m-%dT%H:%M:%S}Z",
        "BRIDGE_STATE": str(state),
        "BRIDGE_STATUS_BIND": "",
    }


def field_ids(world: World) -> dict[int, int | None]:
    """The profile field of each list, as the account numbers them."""
    found: dict[int, Any] = {}
    for list_id, name in LISTS.items():
        fields = world.lists[list_id].fields.values()
        found[list_id] = next((one.field_id for one in fields if one.name == name), None)
    return found
