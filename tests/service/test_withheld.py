"""What BRIDGE_EVENTS or the start horizon withholds is brought once, and what can't be is said."""

import json
from typing import Any

import pytest
from rig import Rig
from test_change import LIST, NARROW, OTHER, PEOPLE, account, sent

from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

BOTH = f"{LIST},{OTHER}"
LINK = "https://shop.example/a"


def use(rig: Rig, list_id: int = LIST) -> World:
    """Somebody opens, clicks and orders with the latest broadcast of a list, an hour later."""
    world = rig.later(hours=1)
    message = list(world.lists[list_id].messages.values())[-1]
    row = next(row for row in message.rows if not row.opened)
    world.click(message, row.email, message.links[0], row=row)
    world.order(message, row.email, 1250, row=row)
    return world


async def backfilled(rig: Rig, *arguments: str, **settings: Any) -> dict[str, Any]:
    """Runs a backfill to its end; what came of it."""
    done = await rig.run("backfill", *arguments, "--json", **settings)
    assert done.code == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


async def reconciled(rig: Rig, code: int = 0, **settings: Any) -> dict[str, Any]:
    """What `reconcile` finds; `code`: the exit code that it ends with."""
    done = await rig.run("reconcile", "--json", **settings)
    assert done.code == code, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


def limits(told: dict[str, Any], key: str = "not_compared") -> dict[tuple[str, int | None], Any]:
    """The limits that were told, by kind and list."""
    return {(limit["kind"], limit["list"]): limit for limit in told[key]}


async def test_a_list_that_rests_misses_no_narrow_time(rig_of: Any) -> None:
    """What happens on it while it rests is due if it is wanted once the list is back."""
    async with rig_of(world=account(), lists=BOTH) as rig:
        await rig.caught_up()
        rig.later(hours=1).send_broadcast(OTHER, PEOPLE, links=[LINK])
        await rig.caught_up()
        use(rig, OTHER)
        await rig.caught_up(LISTRAK_LISTS=str(LIST), BRIDGE_EVENTS=NARROW)
        assert ("resting", OTHER) in limits(await reconciled(rig, LISTRAK_LISTS=str(LIST)))
        use(rig, OTHER)
        await rig.caught_up()
        whole = sent(rig)
        assert whole["Email Link Clicked"] == whole["Email Opened"] == 2
        assert whole["Email Converted"] == 2
        assert (await backfilled(rig, "--events"))["backfills"][0]["sent"] == 0
        assert sent(rig) == whole


async def test_what_no_poll_has_seen_is_the_services_own(rig_of: Any) -> None:
    """Clicks too are withheld by the poll that sees them; a backfill needs no poll before it."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(hours=1).send_broadcast(LIST, PEOPLE, links=[LINK])
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        use(rig)
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        told = limits(await reconciled(rig, BRIDGE_EVENTS=NARROW))
        assert told["withheld", LIST]["number"] == 1
        assert "Email Opened" in told["unwanted", LIST]["events"]
        use(rig)
        assert (await backfilled(rig, "--events"))["backfills"][0]["sent"] == 3
        brought = sent(rig)
        assert brought["Email Link Clicked"] == brought["Email Opened"] == 1
        await rig.caught_up()
        assert sent(rig) - brought == {
            "Email Link Clicked": 1,
            "Email Opened": 1,
            "Email Converted": 1,
        }
        assert ("withheld", LIST) not in limits(await reconciled(rig))


async def test_a_message_that_was_not_read_to_its_end(rig_of: Any) -> None:
    """It is said, and a backfill reads it to its end before it sends what is withheld of it."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        start = rig.world.now
        rig.later(hours=1).send_broadcast(LIST, PEOPLE, links=[LINK])
        use(rig)
        rig.later(hours=1)
        rig.listrak.faults.add("status:code=404,path=Activity")
        await rig.caught_up()
        rig.listrak.faults.clear()
        told = limits(await reconciled(rig))
        assert told["unread", LIST]["number"] == 1
        use(rig)
        result = await backfilled(rig, "--since", start.isoformat())
        assert ("unread", LIST) not in limits(result, "limits")
        brought = sent(rig)
        assert brought["Email Sent"] == len(PEOPLE)
        # The first poll sends what is from after the start.
        assert brought["Email Link Clicked"] == brought["Email Converted"] == 2
        await rig.caught_up()
        assert sent(rig) == brought
        assert rig.adds_up()
        lines = (await reconciled(rig))["lines"]
        assert not lines, lines


async def test_a_dead_event_dies_once(rig_of: Any) -> None:
    """What can't be sent is a dead letter after one backfill, and no second one after another."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        world = rig.later(hours=1)
        world.send_broadcast(LIST, ["a" * 33_000 + "@example.com"], links=[LINK])
        use(rig)
        await rig.caught_up(BRIDGE_EVENTS="Email Sent")
        for _twice in range(2):
            await backfilled(rig, "--events")
        dead = dict(rig.rows("SELECT event, count(*) FROM dead_letters GROUP BY event"))
        assert dead["Email Converted"] == dead["Email Opened"] == dead["Email Link Clicked"] == 1
        assert rig.adds_up()


async def test_later_than_asked_for_is_not_lost(rig_of: Any) -> None:
    """A backfill of what was withheld since an instant leaves what was before it to another."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        message = rig.later(hours=1).send_transactional(LIST, PEOPLE)
        row = message.rows[0]
        world = rig.later(hours=1)
        world.click(message, row.email, None, row=row)
        world.order(message, row.email, 1250, row=row)
        rig.later(days=1)
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        since = (rig.world.now).isoformat()
        assert (await backfilled(rig, "--events", "--since", since))["backfills"][0]["sent"] == 0
        assert (await backfilled(rig, "--events"))["backfills"][0]["sent"] == 3
        assert sent(rig)["Email Link Clicked"] == sent(rig)["Email Converted"] == 1


async def test_withheld_unsubscribes_are_kept_while_tracked(rig_of: Any) -> None:
    """Then they are forgotten, which is said, with since when."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_TRACK_DAYS="7") as rig:
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        left = rig.later(hours=1).now
        rig.world.unsubscribe(LIST, PEOPLE[0])
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        rig.later(days=5)
        rig.world.unsubscribe(LIST, PEOPLE[1])
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        rig.later(days=3)
        await rig.caught_up()
        told = limits(await backfilled(rig, "--events"), "limits")
        assert sent(rig)["Unsubscribed"] == 1
        assert told["unsubscribes_forgotten", LIST]["until"][:16] == left.isoformat()[:16]
        assert ("unsubscribes_forgotten", LIST) in limits(await reconciled(rig))


async def test_history_that_was_not_wanted_is_brought_later(rig_of: Any) -> None:
    """The same command brings the events that were not in BRIDGE_EVENTS the first time, alone."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        start = rig.world.now
        rig.later(hours=1).send_broadcast(LIST, PEOPLE, links=[LINK])
        use(rig)
        rig.later(hours=1)
        await rig.caught_up()
        since = start.isoformat()
        narrow = await backfilled(rig, "--since", since, BRIDGE_EVENTS=NARROW)
        assert sent(rig) == {"identify": len(PEOPLE), "Email Sent": len(PEOPLE)}
        history = [limit for limit in narrow["limits"] if limit["kind"] == "history"]
        ends = {event: limit["until"] for limit in history for event in limit["events"]}
        assert ends["Email Sent"] == "2026-06-03T15:00:00.000Z" < ends["Email Opened"]
        await backfilled(rig, "--since", since)
        whole = sent(rig)
        assert whole["Email Sent"] == len(PEOPLE)
        assert whole["Email Opened"] == whole["Email Link Clicked"] == 1
        assert whole["Email Converted"] == 1
        again = await rig.run("backfill", "--since", since)
        assert "nothing to do here" in again.err
        assert sent(rig) == whole


async def test_history_that_is_wanted_no_longer_halfway(rig_of: Any) -> None:
    """What is taken out of BRIDGE_EVENTS while a backfill is under way is told as lost."""
    slow = {"BRIDGE_BATCH_EVENTS": "2", "BRIDGE_SEND_CONCURRENCY": "1"}
    async with rig_of(world=account(), lists=str(LIST), **slow) as rig:
        since = rig.world.now.isoformat()
        rig.later(hours=1).send_broadcast(LIST, PEOPLE, links=[LINK])
        use(rig)
        rig.later(hours=1)
        await rig.caught_up()
        rig.segment.faults.add("latency:seconds=0.3")
        process = await rig.start("backfill", "--since", since)
        await rig.segment.wait_for(len(PEOPLE) + 2, timeout=20)
        process.kill()
        await process.wait()
        rig.segment.faults.clear()
        told = await backfilled(rig, "--since", since, BRIDGE_EVENTS=NARROW)
        assert "Email Opened" in limits(told, "limits")["dropped", LIST]["events"]
        assert rig.segment.counts()["Email Sent"] == len(PEOPLE)
        again = await rig.run("backfill", "--since", since)
        assert "nothing to do here" in again.err
        assert ("dropped", LIST) in limits(await reconciled(rig))


async def test_what_was_not_compared_is_named(rig_of: Any) -> None:
    """A list that rests, one that can't be read, what is no longer tracked; since when."""
    async with rig_of(world=account(), lists=BOTH, BRIDGE_TRACK_DAYS="30") as rig:
        await rig.caught_up()
        world = rig.later(hours=1)
        message = world.send_broadcast(LIST, PEOPLE, links=[LINK])
        world.send_transactional(LIST, PEOPLE)
        rig.later(hours=1)
        await rig.caught_up()
        rig.later(days=8)
        await rig.caught_up(BRIDGE_TRACK_DAYS="7")
        use(rig)
        world.remove_list(OTHER)
        told = limits(await reconciled(rig, code=78, BRIDGE_TRACK_DAYS="7"))
        assert told["untracked", LIST]["number"] == 1
        assert message.sent_at is not None
        assert told["untracked", LIST]["until"][:16] == message.sent_at.isoformat()[:16]
        assert told["no_summary", LIST]["number"] == 1
        assert told["old_sends", LIST]["until"] > "2026-05-20"
        assert "the account has no list" in told["degraded", OTHER]["text"]
        assert ("not_counted", None) in told
        shown = await rig.run("reconcile", LISTRAK_LISTS=str(LIST), BRIDGE_TRACK_DAYS="7")
        assert "No differences in what was compared: Listrak's counters of 0" in shown.out
        assert f"List {OTHER}: it is not in LISTRAK_LISTS, so it rests" in shown.out
        assert "1 email is no longer tracked, the last of them sent at" in shown.out
