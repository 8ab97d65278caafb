"""Whatever the servers answer, one process lives through it, within its bounds."""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import anyio
import pytest
from rig import Rig, peak_memory, retailer

from bridge.sandbox.fault import Fault
from bridge.sandbox.faults import KINDS
from bridge.sandbox.listrak import API_PATH

pytestmark = pytest.mark.anyio

MOST_MEMORY = 150_000_000
MOST_LINES = 10
"""Bytes of memory, and lines of the log a second on the average."""

OF_BOTH = [
    "blank:200",
    "blank:204",
    "charset:latin-1",
    "cut_short",
    "deep",
    "echo:400",
    "echo:401",
    "echo:500",
    "garbage",
    "huge",
    "huge:packed=true",
    "latency:0.3",
    "lost",
    "no_http",
    "no_http:200000",
    "not_packed",
    "not_packed:br",
    "redirect",
    "reset",
    "silent",
    "slow",
    "status:418",
    "status:503",
    "throttle:zero",
    "throttle:negative",
    "throttle:garbage",
    "torn",
    "wrong_type:null",
    "wrong_type:kind=list,bare=true",
]
OF_LISTRAK = ["circle", "circle:0", "denial:401", "denial:500", "empty", "expire_token"]
OF_SEGMENT = ["poison:Email", "throttle:past"]


def test_no_fault_is_left_out() -> None:
    """Each kind of fault is tried on each server where it makes sense."""
    tried = {text.partition(":")[0] for text in OF_BOTH + OF_LISTRAK + OF_SEGMENT}
    # Values in rows, and dates, don't stand for a whole answer.
    assert tried == set(KINDS) - {"bad_values", "wrong_date"}


async def test_within_bounds_under_every_answer(rig_of: Any) -> None:
    """One bad answer after the other, from both servers.

    Meanwhile the process answers, small and quiet; afterwards all that is due arrives.
    """
    world = retailer(contacts=10)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.2",
        BRIDGE_BATCH_EVENTS="4",
        BRIDGE_STATUS_BIND="127.0.0.1:0",
        BRIDGE_DRAIN_TIMEOUT="2",
    ) as rig:
        began = time.monotonic()
        bad = [rig.segment.faults.add(f"{text},times=1") for text in OF_BOTH + OF_SEGMENT]
        process = await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        async with aiohttp.ClientSession(address_of(rig.log())) as session:
            await all_given(rig, bad, session)
            # Those that hang hold up no others, and end here.
            rig.segment.faults.clear()
            # Without a token nothing goes on: that request is not kept waiting here.
            bad = [
                rig.listrak.faults.add(f"{text},times=1,path={API_PATH}")
                for text in OF_BOTH + OF_LISTRAK
            ]
            await all_given(rig, bad, session)
            rig.listrak.faults.clear()
        assert peak_memory(process.pid) < MOST_MEMORY
        process.terminate()
        assert await process.wait() == 0
        seconds, lines = time.monotonic() - began, rig.log().splitlines()
        assert len(lines) < MOST_LINES * seconds
        assert "Traceback" not in rig.log()
        assert "pipeline.restarting" not in rig.log()
        for _ in range(2):
            await rig.caught_up()
        verdict = rig.verdict(since)
        assert verdict.ok, f"{verdict.missing} {verdict.extra} {verdict.wrong}"
        assert rig.adds_up()


async def all_given(rig: Rig, faults: Sequence[Fault], session: aiohttp.ClientSession) -> None:
    """Until each of the bad answers was given; meanwhile the process says that it lives."""
    with anyio.move_on_after(60):
        while not all(fault.hits for fault in faults):
            rig.later(minutes=2)
            async with session.get("/livez") as response:
                assert response.status == 200
            await anyio.sleep(0.05)
    assert [str(fault) for fault in faults if not fault.hits] == []


def address_of(log: str) -> str:
    """Where the status page is, by the log."""
    (line,) = (line for line in log.splitlines() if "status.listening" in line)
    return str(json.loads(line)["address"])
