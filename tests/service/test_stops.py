"""Commands that a person runs: one signal ends each in time, with the code that says so."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from typing import Any

import anyio
import pytest
from rig import Rig, retailer

from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio

DRAIN = 3.0
BACKFILL, IDENTIFY = ["backfill", "--since", "3d"], ["identify", "--all"]


@pytest.mark.parametrize(
    ("arguments", "silent", "number", "code"),
    [
        (BACKFILL, "segment", signal.SIGTERM, 75),
        (BACKFILL, "listrak", signal.SIGINT, 130),
        (IDENTIFY, "segment", signal.SIGINT, 130),
        (["reconcile", "--repair"], "listrak", signal.SIGTERM, 75),
        (["explain", "someone@example.com"], "listrak", signal.SIGINT, 130),
        (["preview"], "listrak", signal.SIGINT, 130),
        (["erase", "someone@example.com"], "reader", signal.SIGTERM, 75),
    ],
)
async def test_one_signal_ends_it(
    rig_of: Any, arguments: list[str], silent: str, number: signal.Signals, code: int
) -> None:
    """75 for SIGTERM, 130 for Ctrl-C; the next time it is done to its end."""
    world = retailer(contacts=15, days=1, seed=5)
    async with rig_of(
        world=world,
        switches=Switches(page_rows=5),
        BRIDGE_SINCE=world.now.isoformat(),
        BRIDGE_DRAIN_TIMEOUT=str(DRAIN),
        BRIDGE_BATCH_EVENTS="30",
    ) as rig:
        await rig.caught_up()
        assert await stopped(rig, arguments, silent, number) == code, rig.log()
        assert "Traceback" not in rig.log()
        assert ("goes on where it was" in rig.log()) == (silent == "segment")
        done = await rig.run(*arguments)
        assert done.code == 0, done.err
        assert rig.adds_up()


async def stopped(rig: Rig, arguments: list[str], silent: str, number: signal.Signals) -> int:
    """The exit code of a command that is told to end while one thing keeps it waiting."""
    with closing(sqlite3.connect(rig.state)) as reader:
        if silent == "reader":
            # What was removed can't be overwritten while another program reads the file.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM meta").fetchone()
        faults = rig.segment.faults if silent == "segment" else rig.listrak.faults
        bad = faults.add("silent")
        process = await rig.start(*arguments)
        await rig.until(lambda: bad.hits > 0 or "erase.waiting" in rig.log())
        began = time.monotonic()
        process.send_signal(number)
        with suppress(TimeoutError), anyio.fail_after(DRAIN + 10):
            await process.wait()
        assert time.monotonic() - began < DRAIN
        faults.clear()
        return int(process.returncode)


def test_a_signal_where_python_ignores_errors() -> None:
    """Before the command begins, it ends the process also amid a callback of Python's own."""
    lines = (
        "import os, signal, sys, weakref, bridge.__main__ as entry",
        "class Thing: pass",
        "signal.signal(signal.SIGTERM, entry._leave)",
        "thing = Thing()",
        "met = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))",
        "del thing",
        "sys.exit(3)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False
    )
    assert done.returncode == 75
    assert not done.stderr
