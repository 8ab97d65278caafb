"""`identify --all`: every contact is told again, once, whatever happens on the way."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from typing import Any

import anyio
import pytest
from rig import Rig, quiet_world

from bridge import spool
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio

LIST, OTHER = 12345, 13456
PEOPLE = [f"Person{number}@example.com" for number in range(60)]
LEFT, DELETED, GONE = PEOPLE[0], PEOPLE[1], PEOPLE[2]
"""Who unsubscribed, who was deleted before the run, who is found deleted by it."""


def account(people: list[str] = PEOPLE) -> World:
    """An account of two lists with contacts, and nothing sent."""
    world = quiet_world()
    for list_id in (LIST, OTHER):
        world.add_list(f"List {list_id}", list_id=list_id)
        for email in people:
            world.subscribe(list_id, email)
    return world


async def lived(rig: Rig) -> None:
    """A first start; then one contact unsubscribes and another one is deleted, both told."""
    await rig.caught_up()
    rig.later(hours=1).unsubscribe(LIST, LEFT)
    rig.world.delete_contact(LIST, DELETED)
    await rig.caught_up()


async def under_way(rig: Rig, told: int) -> Any:
    """The command at work by itself, as soon as so many identifies came; Segment is slow."""
    rig.segment.faults.add("latency:seconds=0.1")
    process = await rig.start("identify", "--all")
    await rig.until(lambda: len(identifies(rig)) >= told, within=40)
    return process


async def killed(rig: Rig, told: int) -> None:
    """The command is killed as soon as so many identifies came."""
    process = await under_way(rig, told)
    process.kill()
    await process.wait()
    rig.segment.faults.clear()


def identifies(rig: Rig, list_id: int = LIST) -> list[dict[str, Any]]:
    """The identifies of a list, in the order they came, without repeats."""
    trait = f"listrak_list_{list_id}"
    return [
        event
        for event in rig.segment.received(unique=True)
        if event["type"] == "identify" and trait in event["traits"]
    ]


def assert_in_order(rig: Rig) -> None:
    """Of each contact in a list later states have later timestamps, and ids of their own."""
    for list_id in (LIST, OTHER):
        ordered = sorted(identifies(rig, list_id), key=lambda event: event["timestamp"])
        people = {event["anonymousId"].lower() for event in ordered}
        for email in people:
            own = [event for event in ordered if event["anonymousId"].lower() == email]
            assert len({event["timestamp"] for event in own}) == len(own)
            contact = rig.world.lists[list_id].contacts.get(own[-1]["anonymousId"])
            expected = True if contact is not None and contact.subscribed else None
            assert own[-1]["traits"][f"listrak_list_{list_id}"] is expected


def told_again(rig: Rig, before: int, list_id: int = LIST) -> Counter[tuple[str, Any]]:
    """Whom identifies told of since there were so many, and as what."""
    return Counter(
        (event["anonymousId"], event["traits"][f"listrak_list_{list_id}"])
        for event in identifies(rig, list_id)[before:]
    )


def expected() -> Counter[tuple[str, Any]]:
    """All contacts once: subscribed ones, and null for the one who left."""
    return Counter([(email, True) for email in PEOPLE[2:]] + [(LEFT, None)])


async def test_everybody_is_told_once_more(rig_of: Any) -> None:
    """By the command itself: new ids, later timestamps; the next start tells nobody again."""
    async with rig_of(world=account(), lists=f"{LIST},{OTHER}") as rig:
        await lived(rig)
        before, of_other = len(identifies(rig)), len(identifies(rig, OTHER))
        done = await rig.run("identify", "--all", "--list", str(LIST))
        assert done.code == 0, done.err
        assert "59 contacts told again" in done.err
        assert told_again(rig, before) == expected()
        assert len(identifies(rig, OTHER)) == of_other
        assert_in_order(rig)
        assert rig.adds_up()
        await rig.caught_up()
        assert len(identifies(rig)) == before + 59
        # Again is again; without --list it is all lists.
        assert (await rig.run("identify", "--all")).code == 0
        assert told_again(rig, before + 59) == expected()
        assert len(identifies(rig, OTHER)) == 2 * of_other
        assert rig.segment.duplicates == 0
        assert not rig.complaints()


async def test_another_source_is_told_everything(rig_of: Any) -> None:
    """After a change of the write key: told by a catch-up that finds the request."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await lived(rig)
        before = len(identifies(rig))
        spool.leave(rig.state, spool.IdentifyAll(LIST))
        await rig.caught_up()
        assert told_again(rig, before) == expected()
        await rig.caught_up()
        assert len(identifies(rig)) == before + 59


async def test_the_running_service_does_it(rig_of: Any) -> None:
    """Beside a running service the command only asks, and watches."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.2") as rig:
        await lived(rig)
        before = len(identifies(rig))
        await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        done = await rig.run("identify", "--all")
        assert done.code == 0, done.err
        assert "The running service does it" in done.err
        assert "59 contacts told again" in done.err
        assert told_again(rig, before) == expected()
        assert_in_order(rig)


@pytest.mark.parametrize("kills", [(5,), (20, 40)])
async def test_goes_on_after_a_kill(rig_of: Any, kills: tuple[int, ...]) -> None:
    """Killed in the middle it goes on where it was; who was told isn't told under another id."""
    async with rig_of(
        world=account(),
        lists=str(LIST),
        switches=Switches(page_rows=5),
        BRIDGE_QUEUE_PAGES="1",
    ) as rig:
        await lived(rig)
        before = len(identifies(rig))
        for number in kills:
            await killed(rig, before + number)
            assert len(identifies(rig)) < before + 59
        done = await rig.run("identify", "--all")
        assert done.code == 0, done.err
        assert "is under way" in done.err
        assert told_again(rig, before) == expected()
        assert_in_order(rig)
        assert rig.adds_up()


async def test_a_cursor_that_has_expired_meanwhile(rig_of: Any) -> None:
    """It is read again from the start, and still tells each contact once."""
    async with rig_of(
        world=account(),
        lists=str(LIST),
        switches=Switches(page_rows=5, cursor_lifetime=3600.0),
        BRIDGE_QUEUE_PAGES="1",
    ) as rig:
        await lived(rig)
        before = len(identifies(rig))
        await killed(rig, before + 10)
        rig.clock.advance(timedelta(hours=3))
        done = await rig.run("identify", "--all")
        assert done.code == 0, done.err
        assert "scan.restarted" in done.err
        assert told_again(rig, before) == expected()


async def test_changes_meanwhile(rig_of: Any) -> None:
    """Who changes between two pages is told by whichever reading is first, and not again."""
    world = account()
    async with rig_of(
        world=world,
        lists=str(LIST),
        switches=Switches(page_rows=5),
        BRIDGE_POLL_INTERVAL="0.1",
        BRIDGE_QUEUE_PAGES="1",
    ) as rig:
        await lived(rig)
        before = len(identifies(rig))
        rig.segment.faults.add("latency:seconds=0.2")
        await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.run, "identify", "--all")
            await rig.until(lambda: len(identifies(rig)) >= before + 10, within=40)
            rig.clock.advance(timedelta(minutes=1))
            world.advance(rig.clock.now)
            early, late = PEOPLE[5], PEOPLE[-1]
            world.unsubscribe(LIST, early)
            world.unsubscribe(LIST, late)
            world.resubscribe(LIST, LEFT)
            world.subscribe(LIST, "new@example.com")
            world.delete_contact(LIST, GONE)
            await rig.until(lambda: len(identifies(rig)) >= before + 20, within=40)
            rig.segment.faults.clear()
        await rig.until(
            lambda: (
                ("new@example.com", True) in told_again(rig, before)
                and (LEFT, True) in told_again(rig, before)
            )
        )
        again = told_again(rig, before)
        assert max(again.values()) == 1, "nothing is told twice"
        assert again[(early, None)] == again[(late, None)] == 1
        untouched = {(email, True) for email in PEOPLE[3:] if email not in (early, late)}
        assert untouched <= set(again)
        rig.processes[-1].terminate()
        await rig.processes[-1].wait()
        await rig.caught_up()
        assert_in_order(rig)
        assert rig.adds_up()


async def test_another_write_key_in_the_middle(rig_of: Any) -> None:
    """A run under way begins anew for the other source: it knows nobody."""
    async with rig_of(
        world=account(), lists=str(LIST), switches=Switches(page_rows=5), BRIDGE_QUEUE_PAGES="1"
    ) as rig:
        await lived(rig)
        before = len(identifies(rig))
        await killed(rig, before + 20)
        with closing(sqlite3.connect(rig.state, factory=Writing)) as db:
            # As if the first part had gone to another source.
            (text,) = db.execute("SELECT value FROM meta WHERE name = 'configuration'").fetchone()
            key = text.split('"write_key":"')[1].split('"')[0]
            db.execute(
                "UPDATE meta SET value = replace(value, ?, 'another') WHERE name = 'configuration'",
                (key,),
            )
            db.commit()
        between = len(identifies(rig))
        done = await rig.run("identify", "--all")
        assert done.code == 0, done.err
        assert "59 contacts told again" in done.err
        later = told_again(rig, between)
        # What was in the outbox at the kill goes out first, as it was.
        assert set(later) == set(expected())


async def test_a_stop_ends_it(rig_of: Any) -> None:
    """SIGINT to a command that does it by itself: 75, nothing is lost."""
    async with rig_of(
        world=account(), lists=str(LIST), switches=Switches(page_rows=5), BRIDGE_QUEUE_PAGES="1"
    ) as rig:
        await lived(rig)
        before = len(identifies(rig))
        process = await under_way(rig, before + 10)
        process.terminate()
        with anyio.fail_after(20):
            assert await process.wait() == 75
        assert "it goes on where it was" in rig.log()
        rig.segment.faults.clear()
        assert (await rig.run("identify", "--all")).code == 0
        assert told_again(rig, before) == expected()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 64, "it needs --all"),
        (["--all", "--list", "99"], 78, "LISTRAK_LISTS: doesn't name list 99"),
        (["--all"], 73, "no state file"),
    ],
)
async def test_bad_requests(rig_of: Any, arguments: list[str], code: int, said: str) -> None:
    """What can't be asked for is said."""
    async with rig_of(world=account(PEOPLE[:2]), lists=str(LIST)) as rig:
        done = await rig.run("identify", *arguments)
        assert (done.code, said in done.err) == (code, True), done.err
        assert not list(rig.folder.glob("*.request-*"))


async def test_a_list_that_was_never_read(rig_of: Any) -> None:
    """Its contacts are told by the first start anyway: it is said, and nothing is asked for."""
    async with rig_of(world=account(PEOPLE[:5]), lists=str(LIST)) as rig:
        await rig.caught_up()
        both = f"{LIST},{OTHER}"
        done = await rig.run("identify", "--all", LISTRAK_LISTS=both)
        assert done.code == 0, done.err
        assert f"List {OTHER}: the service has not read it yet" in done.err
        assert len(identifies(rig)) == 10
        assert not list(rig.folder.glob("*.request-*"))
