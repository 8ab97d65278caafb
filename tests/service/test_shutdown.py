"""A stop finishes in time, whatever the servers do, and the next start goes on without loss."""

import signal
import time
from datetime import timedelta
from typing import Any

import anyio
import pytest
from rig import quiet_world, retailer

from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio

DRAIN = 3.0


@pytest.mark.parametrize(
    ("segment", "listrak", "number"),
    [
        ("", "", signal.SIGTERM),
        ("", "", signal.SIGINT),
        ("status:code=400", "", signal.SIGTERM),
        ("status:code=401", "", signal.SIGINT),
        ("status:code=503", "", signal.SIGTERM),
        ("silent", "", signal.SIGTERM),
        ("reset", "", signal.SIGINT),
        ("", "silent:path=Activity", signal.SIGTERM),
        ("silent", "silent:path=Activity", signal.SIGINT),
        ("latency:seconds=0.3", "status:code=500,path=Contact", signal.SIGTERM),
    ],
    ids=["well", "int", "400", "401", "503", "silent", "gone", "no-listrak", "neither", "slow"],
)
async def test_a_stop_ends_in_time_and_loses_nothing(
    rig_of: Any, segment: str, listrak: str, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT: exit 0 within BRIDGE_DRAIN_TIMEOUT, both servers well or not."""
    world = retailer(contacts=30, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        switches=Switches(page_rows=20),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_DRAIN_TIMEOUT=str(DRAIN),
        BRIDGE_POLL_INTERVAL="0.2",
        BRIDGE_BATCH_EVENTS="30",
    ) as rig:
        for faults, text in ((rig.segment.faults, segment), (rig.listrak.faults, listrak)):
            if text:
                faults.add(text)
        process = await rig.start("run")
        asked = "/v1/List/{listId}/Contact"
        await rig.until(lambda: rig.listrak.requests[asked] > 0)
        # Somewhere in the middle of it, at another point for each case.
        await anyio.sleep(0.1 + 0.05 * (len(segment) % 5))
        began = time.monotonic()
        process.send_signal(number)
        with anyio.fail_after(DRAIN + 10):
            code = await process.wait()
        assert code == 0, rig.log()
        assert time.monotonic() - began < DRAIN
        rig.segment.faults.clear()
        rig.listrak.faults.clear()
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
        assert not rig.complaints()
        letters = await rig.run("dead-letters", "list")
        assert "No dead letters" in letters.out


async def test_a_stop_before_anything_began(rig_of: Any) -> None:
    """SIGTERM while the service can't reach Listrak yet ends it as well."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    async with rig_of(world=world, lists=str(list_id)) as rig:
        rig.listrak.faults.add("silent")
        process = await rig.start("run")
        await rig.until(lambda: "bridge.starting" in rig.log())
        await rig.until(lambda: rig.listrak.requests["/OAuth2/Token"] > 0)
        process.terminate()
        # At once: there is nothing on its way that a drain could wait for.
        with anyio.fail_after(5):
            assert await process.wait() == 0


async def test_what_was_read_arrives_before_the_end(rig_of: Any) -> None:
    """With both servers well, a stop sends on what was read and saves it: nothing is repeated."""
    world = retailer(contacts=30, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world, BRIDGE_SINCE=since.isoformat(), BRIDGE_FLUSH_INTERVAL="30"
    ) as rig:
        process = await rig.start("run")
        await rig.until(lambda: rig.listrak.requests["/v1/List/{listId}/Contact"] > 0)
        await anyio.sleep(0.3)
        process.terminate()
        with anyio.fail_after(15):
            assert await process.wait() == 0
        assert rig.segment.accepted > 0
        assert (await rig.run("run", "--once")).code == 0
        assert rig.segment.duplicates == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("fault", ["silent:path=Activity", "latency:seconds=0.5"])
async def test_a_catch_up_that_is_stopped_says_so(
    rig_of: Any, fault: str, number: signal.Signals
) -> None:
    """75: it isn't complete. Nothing is lost, the next one goes on."""
    world = retailer(contacts=20, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world, BRIDGE_SINCE=since.isoformat(), BRIDGE_DRAIN_TIMEOUT=str(DRAIN)
    ) as rig:
        bad = rig.listrak.faults.add(fault)
        process = await rig.start("run", "--once")
        await rig.until(lambda: bad.hits > 3)
        process.send_signal(number)
        with anyio.fail_after(DRAIN + 10):
            assert await process.wait() == 75, rig.log()
        assert "stopped before the end" in rig.log()
        rig.listrak.faults.clear()
        assert (await rig.run("run", "--once")).code == 0
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
