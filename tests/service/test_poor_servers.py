"""What servers and networks do to each other: nothing is lost, nothing is dropped."""

import re
from datetime import timedelta
from typing import Any

import pytest
from rig import peak_memory, quiet_world, retailer

from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "fault",
    [
        "status:code=429,retry_after=1,times=3",
        "status:code=500,path=Message,times=3",
        "reset:path=Contact,times=2",
        "torn:path=Activity,times=3",
        "garbage:path=Clicker,times=3",
        "lost:path=Summary,times=3",
        "expire_token:path=Activity,times=6",
        "status:code=404,path=Activity,times=2",
        # Twice in a row for one message would set it aside.
        "huge:size=20000000,path=Activity,times=1",
        "deep:path=Contact,times=2",
        "circle:path=Activity,times=3",
        "denial:path=Contact,times=2",
    ],
)
async def test_a_catch_up_outlasts_a_poor_listrak(rig_of: Any, fault: str) -> None:
    """Throttled, failing, torn or expired: tried again until all is read."""
    world = retailer()
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world, switches=Switches(page_rows=40), BRIDGE_SINCE=since.isoformat()
    ) as rig:
        rig.listrak.faults.add(fault)
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        rig.listrak.faults.clear()
        verdict = rig.verdict(since)
        if "404" in fault:
            # A message that was not there for once is caught up with the next time.
            assert (await rig.run("run", "--once")).code == 0
            verdict = rig.verdict(since)
        assert verdict.ok, verdict


@pytest.mark.parametrize(
    "fault",
    [
        "status:code=429,retry_after=1,times=2",
        "status:code=503,times=4",
        "reset:times=3",
        "torn:times=3",
        "lost:times=4",
        "status:code=413,times=1",
        "status:code=408,times=2",
        "garbage:times=3",
        "status:code=302,times=2",
    ],
)
async def test_a_catch_up_outlasts_a_poor_segment(rig_of: Any, fault: str) -> None:
    """Whatever Segment answers for a while, everything arrives, and no event is given up."""
    world = retailer()
    since = world.now - timedelta(days=4)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat(), BRIDGE_BATCH_EVENTS="40") as rig:
        rig.segment.faults.add(fault)
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
        assert not rig.complaints()
        assert "No dead letters" in (await rig.run("dead-letters", "list")).out


@pytest.mark.parametrize(
    "fault",
    [
        "circle:path=/Contact",
        "circle:3,path=Activity",
        "circle:0,path=/Message",
    ],
)
async def test_what_never_ends_is_left_in_time(rig_of: Any, fault: str) -> None:
    """Few calls are made, the catch-up says that it isn't complete, and the next one completes it.

    What doesn't concern the resource at fault has arrived.
    """
    world = retailer(contacts=10)
    since = world.now - timedelta(days=4)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        bad = rig.listrak.faults.add(fault)
        done = await rig.run("run", "--once", within=120)
        assert done.code in (75, 78), done.err
        assert 0 < bad.hits < 1500
        assert "Traceback" not in done.err
        rig.listrak.faults.clear()
        assert (await rig.run("run", "--once")).code == 0
        verdict = rig.verdict(since)
        assert verdict.ok, verdict


@pytest.mark.parametrize("fault", ["huge", "huge:packed=true", "huge:path=/Activity,packed=true"])
async def test_a_huge_answer_costs_no_memory(rig_of: Any, fault: str) -> None:
    """300 MB, packed or not, are not read, from whichever server; the process stays small."""
    world = retailer(contacts=10)
    async with rig_of(world=world, BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.1") as rig:
        (rig.listrak if "path" in fault else rig.segment).faults.add(fault)
        process = await rig.start("run")
        await rig.until(lambda: "an answer of more than" in rig.log())
        assert peak_memory(process.pid) < 150_000_000
        process.terminate()
        assert await process.wait() == 0
        assert "Traceback" not in rig.log()


async def test_no_storm_of_requests(rig_of: Any) -> None:
    """Retry-After: 0 is a second at least: neither server is asked again at once."""
    async with rig_of(BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.1") as rig:
        bad = rig.segment.faults.add("status:code=503,retry_after=0")
        process = await rig.start("run")
        await rig.until(lambda: bad.hits >= 8)
        # Four batches at once, each a second later again.
        assert len(re.findall("segment.waiting", rig.log())) <= bad.hits
        assert min(float(wait) for wait in re.findall(r'"seconds": ([\d.]+)', rig.log())) >= 1
        process.terminate()
        assert await process.wait() == 0


async def test_expiring_cursors_and_tokens(rig_of: Any) -> None:
    """A cursor that isn't taken any more restarts its scan; a token is renewed before it ends."""
    world = retailer()
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        token_lifetime=1.0,
        switches=Switches(page_rows=15, cursor_lifetime=3600.0),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_BATCH_EVENTS="30",
    ) as rig:
        process = await rig.start("run", "--once")
        await rig.segment.wait_for(60, timeout=30)
        process.kill()
        await process.wait()
        # Every cursor that the checkpoints hold is refused from now on.
        rig.clock.advance(timedelta(hours=3))
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(since)
        assert verdict.ok, verdict


async def test_one_bad_event_never_takes_its_batch_along(rig_of: Any) -> None:
    """An event that Segment refuses becomes a dead letter with the reason; all others arrive."""
    world = retailer()
    since = world.now - timedelta(days=4)
    poisoned = sorted(contact for contact in world.lists[12345].contacts)[:2]
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        rig.segment.refuse = lambda event: (
            event.get("anonymousId") in poisoned and event["type"] == "identify"
        )
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        told = {e["anonymousId"] for e in rig.segment.received() if e["type"] == "identify"}
        assert told.isdisjoint(poisoned)
        assert len(told) > 20
        letters = await rig.run("dead-letters", "list")
        assert letters.code == 0
        assert "identify" in letters.out
        assert "answered 400" in letters.out
        # They are not tried again by themselves, and nobody's address is in the log.
        sent = rig.segment.accepted
        again = await rig.run("run", "--once")
        assert again.code == 0
        assert rig.segment.accepted == sent
        assert not any(email in done.err + again.err for email in poisoned)


async def test_a_segment_that_refuses_everything_is_waited_for(rig_of: Any) -> None:
    """400 to everything is no reason to give events up: 75, and all of them arrive later."""
    world = retailer()
    since = world.now - timedelta(days=4)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        rig.segment.faults.add("status:code=400")
        done = await rig.run("run", "--once", within=90)
        assert done.code == 75, done.err
        assert rig.segment.accepted == 0
        assert "No dead letters" in (await rig.run("dead-letters", "list")).out
        rig.segment.faults.clear()
        assert (await rig.run("run", "--once")).code == 0
        verdict = rig.verdict(since)
        assert verdict.ok, verdict


async def test_what_segment_would_drop_silently_is_caught_before(rig_of: Any) -> None:
    """An event over 32,000 bytes is a dead letter, not a loss without a word."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    world.subscribe(list_id, "ann@example.com")
    world.send_broadcast(list_id, ["é" * 8_000 + "@example.com", "ann@example.com"])
    async with rig_of(world=world, lists=str(list_id), BRIDGE_SINCE="2026-06-01T00:00:00Z") as rig:
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        sent = [e for e in rig.segment.received() if e.get("event") == "Email Sent"]
        assert [event["anonymousId"] for event in sent] == ["ann@example.com"]
        assert not rig.segment.dropped
        letters = await rig.run("dead-letters", "list")
        assert "larger than Segment takes" in letters.out


@pytest.mark.parametrize("fault", ["status:code=503,path=List/12345", "lost:path=List/12345"])
async def test_a_list_that_fails_does_not_hold_up_another(rig_of: Any, fault: str) -> None:
    """While every call about one list fails, the other's events go on arriving; then it follows."""
    world = retailer(contacts=20, days=2, seed=7)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.1",
        BRIDGE_POLL_CONCURRENCY="2",
    ) as rig:
        process = await rig.start("run")

        def sends(list_id: int) -> tuple[int, int]:
            happened = [f for f in world.log if f.what == "send" and f.list_id == list_id]
            arrived = [
                event
                for event in rig.segment.received()
                if event.get("event") == "Email Sent"
                and event["properties"]["list_id"] == str(list_id)
            ]
            return len(happened), len(arrived)

        def all_there(list_id: int) -> bool:
            happened, arrived = sends(list_id)
            return happened == arrived

        await rig.until(lambda: all_there(12345) and all_there(13456))
        rig.listrak.faults.add(fault)
        await rig.until(lambda: "listrak.waiting" in rig.log())
        for _ in range(3):
            rig.clock.advance(timedelta(hours=4))
            world.advance(rig.clock.now)
            await rig.until(lambda: all_there(13456))
        assert not all_there(12345)
        rig.listrak.faults.clear()
        process.terminate()
        assert await process.wait() == 0
        assert (await rig.run("run", "--once")).code == 0
        verdict = rig.verdict(since)
        assert verdict.ok, verdict


async def test_what_takes_long_does_not_hold_up_what_is_fresh(rig_of: Any) -> None:
    """While the first reading of all contacts hangs, one list's events arrive all the same."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    world.subscribe(list_id, "ann@example.com")
    async with rig_of(
        world=world,
        lists=str(list_id),
        BRIDGE_SINCE="2026-06-01T00:00:00Z",
        BRIDGE_POLL_INTERVAL="0.1",
        BRIDGE_POLL_CONCURRENCY="1",
    ) as rig:
        hanging = rig.listrak.faults.add("latency:seconds=600,path=/Contact")
        process = await rig.start("run")
        for number in range(3):
            await rig.until(lambda: hanging.hits > 0)
            world.send_broadcast(list_id, ["ann@example.com"], subject=f"{number}")
            await rig.segment.wait_for(number + 1, timeout=30)
        assert set(rig.segment.counts()) == {"Email Sent"}
        rig.listrak.faults.clear()
        await rig.until(lambda: "identify" in rig.segment.counts())
        process.terminate()
        assert await process.wait() == 0


async def test_half_a_character_holds_up_nothing(rig_of: Any) -> None:
    """In a subject, in a name, or in a list that isn't even configured."""
    world = quiet_world()
    list_id = world.add_list("half \ud83d").list_id
    world.add_list("\ud83d")
    world.subscribe(list_id, "ann@example.com")
    for subject in ("cut \ud83d", "whole"):
        world.send_broadcast(list_id, ["ann@example.com"], subject=subject)
    async with rig_of(world=world, lists=str(list_id), BRIDGE_SINCE="2026-06-01T00:00:00Z") as rig:
        assert "row.unreadable" not in await rig.caught_up()
        sent = [event for event in rig.segment.received() if event.get("event") == "Email Sent"]
        assert {event["properties"]["email_subject"] for event in sent} == {"cut \ufffd", "whole"}
        assert {event["properties"]["list_name"] for event in sent} == {"half \ufffd"}
        assert not rig.complaints()
        assert (await rig.run("lists")).code == 0
