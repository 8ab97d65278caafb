"""Goes through a history, from an empty account to the judge's word."""

import asyncio
import gc
import hashlib
import re
import tempfile
import time
from pathlib import Path
from typing import Final

import anyio
from virtual.loop import VirtualLoop

from histories.account import drawn_account
from histories.drawing import drawn
from histories.history import History
from histories.lives import Lives, placeless
from histories.outcome import Outcome
from histories.service import Stage, stage_of

MEMORY: Final = Path("/dev/shm")
"""Where the state file is, if this machine has it: nothing here proves anything of a real disk."""

_STAMP = re.compile(r', "timestamp": "[^"]*"')


def lived(seed: int) -> Outcome:
    """Goes through the history of a seed."""
    return lived_through(drawn(seed))


def lived_through(history: History) -> Outcome:
    """Goes through a history: the same twice."""
    began, outcome = time.perf_counter(), Outcome()

    async def go() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            switches = ",".join(f"{name}={value}" for name, value in history.switches)
            world = drawn_account()
            # Of calls to SQLite whose caller was cancelled nobody wants to know.
            loop.set_exception_handler(lambda *_: None)
            async with stage_of(
                world, Path(folder), loop, switches=switches, seed=history.seed
            ) as stage:
                lives = Lives(stage, outcome, stands=history.stands)
                try:
                    await lives.go_through(history)
                except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
                    lives.find(f"an unexpected end: {error!r}")
                finally:
                    _sum_up(stage, outcome)
                    outcome.virtual = loop.time()

    anyio.run(go, backend_options={"loop_factory": VirtualLoop})
    # Circles of all that was served and logged: tens of megabytes.
    gc.collect()
    outcome.seconds = time.perf_counter() - began
    return outcome


def _sum_up(stage: Stage, outcome: Outcome) -> None:
    outcome.counts["calls"] = sum(stage.listrak.requests.values())
    log = placeless(_STAMP.sub("", stage.log.getvalue()))
    outcome.logged.update(re.findall(r'"event": "([a-z_.]+)"', log))
    digest = hashlib.blake2b(log.encode(), digest_size=8)
    for event in stage.segment.received(stamped=True):
        digest.update(repr(sorted(event.items())).encode())
    outcome.digest = digest.hexdigest()
