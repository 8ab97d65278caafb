"""`backfill`: history from before the start, brought once, whatever happens on the way."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from rig import Rig, retailer

from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio


def lived() -> World:
    """A retailer with five days behind it."""
    return retailer(contacts=20, days=5, seed=7)


async def started(rig: Rig) -> None:
    """The first start, from which on everything is the service's own to send."""
    done = await rig.run("run", "--once")
    assert done.code == 0, done.err
    assert set(rig.segment.counts()) == {"identify"}


def assert_exact(rig: Rig, since: datetime) -> None:
    """All history of emails since then arrived once, and nothing before it.

    Of contacts who left before the start nothing was told, and nothing is.
    """
    verdict = rig.verdict(since)
    of_contacts = ("Unsubscribed", "identify")
    missing = [told for told in verdict.missing if not told.startswith(of_contacts)]
    assert not missing
    assert not verdict.extra
    assert not verdict.wrong
    assert rig.segment.counts()["Email Opened"] > 20
    assert rig.segment.counts()["Email Converted"] > 0
    assert not rig.complaints()


async def test_a_span_counts_by_listraks_clock(rig_of: Any) -> None:
    """As the spans of BRIDGE_SINCE do: of an emulated account, or where this clock is wrong."""
    async with rig_of(world=lived()) as rig:
        await started(rig)
        done = await rig.run("backfill", "--since", "3d")
        assert done.code == 0, done.err
        assert "nothing to do" not in done.err
        assert_exact(rig, rig.world.now - timedelta(days=3))


async def test_history_is_brought_once(rig_of: Any) -> None:
    """What was withheld at the first start arrives; again nothing does, earlier only what is."""
    world = lived()
    async with rig_of(world=world) as rig:
        early = await rig.run("backfill", "--since", "30d")
        assert (early.code, "no state file" in early.err) == (73, True), early.err
        await started(rig)
        week = world.now - timedelta(days=3)
        done = await rig.run("backfill", "--since", week.isoformat())
        assert done.code == 0, done.err
        assert "events from" in done.err
        assert_exact(rig, week)
        assert rig.adds_up()
        sent = rig.segment.accepted

        again = await rig.run("backfill", "--since", week.isoformat())
        assert (again.code, "nothing to do" in again.err) == (0, True), again.err
        later = await rig.run("backfill", "--since", (week + timedelta(days=1)).isoformat())
        assert (later.code, "nothing to do" in later.err) == (0, True), later.err
        assert rig.segment.accepted == sent

        everything = world.now - timedelta(days=9)
        assert (await rig.run("backfill", "--since", everything.isoformat())).code == 0
        assert_exact(rig, everything)
        assert rig.segment.accepted > sent
        assert rig.segment.duplicates == 0

        # What the service does from then on is as it was.
        rig.clock.advance(timedelta(hours=12))
        assert (await rig.run("run", "--once")).code == 0
        assert_exact(rig, everything)
        assert rig.segment.duplicates == 0
        assert "unexplained" not in (await rig.run("reconcile")).out


async def test_what_was_never_tracked(rig_of: Any) -> None:
    """Messages too old to be tracked are read as well; those forgotten since are left out."""
    world = lived()
    async with rig_of(world=world, BRIDGE_TRACK_DAYS="2") as rig:
        await started(rig)
        since = world.now - timedelta(days=9)
        done = await rig.run("backfill", "--list", "12345", "--since", since.isoformat())
        assert done.code == 0, done.err
        assert rig.rows("SELECT list_id, left_out FROM backfills") == [(12345, 0)]
        lists = Counter(
            event["properties"]["list_id"]
            for event in rig.segment.received()
            if event["type"] == "track"
        )
        sends = [fact for fact in world.log if fact.what == "send" and fact.list_id == 12345]
        assert set(lists) == {"12345"}
        assert rig.segment.counts()["Email Sent"] == len(sends)

        # The other list's messages are retired before its history is asked for.
        rig.clock.advance(timedelta(days=3))
        assert (await rig.run("run", "--once", BRIDGE_TRACK_DAYS="2")).code == 0
        done = await rig.run("backfill", "--since", since.isoformat())
        assert done.code == 0, done.err
        assert "messages were left out" in done.err
        assert rig.segment.duplicates == 0


async def test_goes_on_after_a_kill(rig_of: Any) -> None:
    """Killed in the middle, it goes on where it was: exact after dedup."""
    world = lived()
    since = world.now - timedelta(days=9)
    async with rig_of(world=world, BRIDGE_BATCH_EVENTS="20") as rig:
        await started(rig)
        before = rig.segment.accepted
        for events in (60, 200):
            process = await rig.start("backfill", "--since", since.isoformat())
            await rig.segment.wait_for(before + events, timeout=30)
            process.kill()
            await process.wait()
        done = await rig.run("backfill", "--since", since.isoformat())
        assert done.code == 0, done.err
        assert "is under way" in done.err
        assert_exact(rig, since)
        assert rig.adds_up()


async def test_the_running_service_does_it(rig_of: Any) -> None:
    """Beside a running service the command only asks, and watches."""
    world = lived()
    since = world.now - timedelta(days=9)
    async with rig_of(world=world, BRIDGE_POLL_INTERVAL="0.2") as rig:
        await started(rig)
        await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        done = await rig.run("backfill", "--since", since.isoformat())
        assert done.code == 0, done.err
        assert "The running service does it" in done.err
        assert_exact(rig, since)
        assert rig.segment.duplicates == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--since", "yesterday"], 78, "--since: 'yesterday' is not allowed"),
        (["--since", "30d", "--list", "99"], 78, "LISTRAK_LISTS: doesn't name list 99"),
        ([], 64, "it needs --since WHEN, or --events"),
    ],
)
async def test_bad_requests(rig_of: Any, arguments: list[str], code: int, said: str) -> None:
    """What can't be asked for is said, with what is allowed."""
    async with rig_of(world=retailer(contacts=5, days=1)) as rig:
        done = await rig.run("backfill", *arguments)
        assert (done.code, said in done.err) == (code, True), done.err
