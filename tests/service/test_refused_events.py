"""What Segment refuses of one kind, or fails on by itself, holds up nothing beside it."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from rig import quiet_world, retailer

from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

SINCE = "2026-06-01T00:00:00Z"


def sent(world: World) -> int:
    return sum(fact.what == "send" for fact in world.log)


@pytest.mark.parametrize("code", [400, 500])
async def test_refused_identifies_hold_up_no_tracks(rig_of: Any, code: int) -> None:
    """Segment takes no identify from the first start on: all tracks arrive, also after a restart.

    No identify is given up; each arrives once Segment takes them.
    """
    world = retailer(contacts=15)
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.1",
        BRIDGE_DRAIN_TIMEOUT="2",
    ) as rig:
        rig.segment.faults.add(f'poison:"identify",code={code}')
        for _start in range(2):
            process = await rig.start("run")
            await rig.until(lambda: rig.segment.counts().get("Email Sent", 0) == sent(world))
            await rig.until(lambda: "segment.waiting" in rig.log())
            process.send_signal(signal.SIGTERM)
            await process.wait()
            rig.later(hours=4)
        # A catch-up says that it isn't complete; whatever can be sent is sent.
        done = await rig.run("run", "--once", within=120)
        assert done.code == 75, done.err
        assert rig.segment.counts()["Email Sent"] == sent(world)
        assert "identify" not in rig.segment.counts()
        assert "No dead letters" in (await rig.run("dead-letters", "list")).out
        rig.segment.faults.clear()
        await rig.caught_up()
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
        assert rig.adds_up()


def small_world() -> tuple[World, int]:
    world = quiet_world()
    list_id = world.add_list("News").list_id
    people = [f"person{number}@example.com" for number in range(30)]
    for email in [*people, "bad@example.com"]:
        world.subscribe(list_id, email)
    world.send_broadcast(list_id, [*people, "bad@example.com"], subject="all")
    return world, list_id


async def test_a_poison_event_waits_by_itself(rig_of: Any) -> None:
    """Segment answers 500 to whatever holds one address: all else goes on, also of its page.

    The polls of its message and of its list go on, too; the events wait in the state file, are
    told, are counted as in flight, and arrive once they may, under the same ids.
    """
    world, list_id = small_world()
    async with rig_of(
        world=world, lists=str(list_id), BRIDGE_SINCE=SINCE, BRIDGE_POLL_INTERVAL="0.1"
    ) as rig:
        rig.segment.faults.add("poison:bad@example.com")
        process = await rig.start("run")
        await rig.until(lambda: rig.segment.accepted >= 60 and rig.in_outbox(set_aside=True) == 2)
        assert rig.log().count("event.set_aside") == 2
        assert "bad@example.com" not in rig.log()
        # What comes later isn't held up: of the same contact, it is set aside as well.
        world.subscribe(list_id, "late@example.com")
        world.send_broadcast(list_id, ["late@example.com", "bad@example.com"], subject="more")
        await rig.until(lambda: rig.segment.accepted >= 62 and rig.in_outbox(set_aside=True) == 3)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        counts = dict(rig.rows("SELECT name, value FROM counters"))
        assert counts["fetched"] == counts["delivered"] + counts.get("known", 0) + 3
        done = await rig.run("run", "--once")
        assert done.code == 75, done.err
        assert "3 events wait" in done.err
        assert rig.in_outbox(set_aside=True) == 3
        rig.segment.faults.clear()
        await rig.caught_up()
        assert rig.in_outbox(set_aside=True) == 0
        assert rig.adds_up()
        assert not rig.complaints()
        assert rig.segment.counts() == {"identify": 32, "Email Sent": 33}
