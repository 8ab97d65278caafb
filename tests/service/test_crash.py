"""Killed at any instant and started again, the bridge loses nothing and repeats only itself."""

import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from rig import quiet_world, retailer
from tracer import traced

from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio


async def assert_recovers(rig: Any, since: datetime) -> None:
    """A later start finishes the work, and all that ever arrived is right."""
    done = await rig.run("run", "--once")
    assert done.code == 0, done.err
    verdict = rig.verdict(since)
    assert verdict.ok, verdict
    # A strict reader has nothing to say: above all, every repeat is the identical event.
    assert not rig.complaints()


@pytest.mark.parametrize("nth", [3, 7, 12, 19, 28, 40])
async def test_killed_at_a_disk_sync(rig_of: Any, nth: int) -> None:
    """SIGKILL at the nth fdatasync: before a commit is on disk, with batches on their way."""
    world = retailer(contacts=40, days=3, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        switches=Switches(page_rows=25),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_BATCH_EVENTS="40",
    ) as rig:
        command = traced(rig.command("run", "--once"), f"fdatasync:signal=KILL:when={nth}")
        with anyio.fail_after(60):
            killed = await anyio.run_process(command, env=rig.environment, check=False)
        assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
        await assert_recovers(rig, since)


@pytest.mark.parametrize("batches", [1, 5, 11, 20])
async def test_killed_after_segment_took_a_batch(rig_of: Any, batches: int) -> None:
    """SIGKILL right when Segment has taken a batch: it is sent again, as the identical events."""
    world = retailer(contacts=40, days=3, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        switches=Switches(page_rows=25),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_BATCH_EVENTS="40",
        BRIDGE_POLL_INTERVAL="0.2",
    ) as rig:
        process = await rig.start("run")
        await rig.segment.wait_for(lambda segment: segment.requests[200] >= batches, timeout=30)
        process.kill()
        await process.wait()
        # Meanwhile the world goes on: what was on its way must not be counted twice for it.
        rig.clock.advance(timedelta(hours=5))
        await assert_recovers(rig, since)


async def test_killed_again_and_again_while_the_world_goes_on(rig_of: Any) -> None:
    """Six kills at moments of their own, changes in between: in the end all is right."""
    world = retailer(contacts=40, days=3, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        switches=Switches(page_rows=30, empty_pages=0.1),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_BATCH_EVENTS="50",
        BRIDGE_POLL_INTERVAL="0.1",
    ) as rig:
        for round_ in range(6):
            taken = rig.segment.requests[200] + 1 + round_ % 4
            process = await rig.start("run")
            await rig.segment.wait_for(
                lambda segment, taken=taken: segment.requests[200] >= taken, timeout=30
            )
            process.kill()
            await process.wait()
            rig.clock.advance(timedelta(hours=2))
        await assert_recovers(rig, since)


async def test_a_scan_goes_on_where_it_was(rig_of: Any) -> None:
    """After a crash in the middle of a long message, its pages are not read from the start."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    emails = [f"contact{number}@example.com" for number in range(600)]
    world.send_broadcast(list_id, emails)
    async with rig_of(
        world=world,
        lists=str(list_id),
        switches=Switches(page_rows=10),
        BRIDGE_SINCE="2026-06-01T00:00:00Z",
        BRIDGE_BATCH_EVENTS="50",
        BRIDGE_QUEUE_PAGES="1",
        BRIDGE_SEND_CONCURRENCY="1",
    ) as rig:
        route = "/v1/List/{listId}/Message/{messageId}/Activity"
        # By a clock that stands, a poll may seem to begin before the catch-up that it is of.
        rig.clock.resume()
        # Slow enough that commits come in between.
        rig.segment.faults.add("latency:seconds=0.1")
        process = await rig.start("run", "--once")
        await rig.segment.wait_for(400, timeout=30)
        process.kill()
        await process.wait()
        rig.segment.faults.clear()
        before = rig.listrak.requests[route]
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        assert len(list(rig.segment.received(unique=True))) == 600
        # The rest of the first look, and the whole of the one that a catch-up owes after it.
        assert rig.listrak.requests[route] - before < 60 + 40
        assert before > 40


async def test_a_full_disk_only_delays(rig_of: Any) -> None:
    """Writes that fail for want of space are tried again, and nothing is lost."""
    world = retailer(contacts=40, days=3, seed=5)
    since = world.now - timedelta(days=4)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        assert (await rig.run("run", "--once")).code == 0
        rig.clock.advance(timedelta(hours=8))
        command = traced(rig.command("run", "--once"), "pwrite64:error=ENOSPC:when=60..61")
        with anyio.fail_after(90):
            done = await anyio.run_process(command, env=rig.environment, check=False)
        assert b"state.waiting" in done.stderr
        assert done.returncode == 0, done.stderr[-2000:]
        await assert_recovers(rig, since)


def test_the_interpreter_is_the_one_with_the_bridge() -> None:
    """Subprocesses run the code under test."""
    assert Path(sys.executable).exists()
