"""Clocks that jump, of either side: nothing is lost, repeated, forgotten or dated wrong by it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rig import START, Rig, quiet_world

from bridge.clock import DAY, HOUR
from bridge.sandbox.account import Message
from bridge.sandbox.clock import Clock
from bridge.sandbox.fault import WrongDate
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(6)]
FAST = {"BRIDGE_POLL_INTERVAL": "0.2", "BRIDGE_DRAIN_TIMEOUT": "5"}


def account() -> tuple[World, Message]:
    """An account of one list, and a message that is sent to all of it."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    for email in PEOPLE:
        world.subscribe(LIST, email)
    return world, world.send_broadcast(LIST, PEOPLE, subject="Hello")


def events(rig: Rig, name: str) -> list[dict[str, Any]]:
    """The events of a name, in the order they came; no id came twice."""
    received = list(rig.segment.received())
    assert len({event["messageId"] for event in received}) == len(received)
    return [event for event in received if name in (event["type"], event.get("event"))]


def horizon(rig: Rig) -> datetime:
    """The start horizon of the list."""
    return datetime.fromisoformat(rig.rows("SELECT horizon FROM lists")[0][0])


def logged(text: str, event: str) -> list[dict[str, Any]]:
    """The log lines of a name."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_six_wrong_dates(rig_of: Any) -> None:
    """Within two seconds, of a running service: it goes on as if they had been right."""
    world, message = account()
    clock = Clock(START + timedelta(hours=1))
    async with rig_of(world=world, clock=clock, lists=str(LIST), **FAST) as rig:
        await rig.start("run")
        await rig.until(lambda: len(events(rig, "identify")) == len(PEOPLE))
        fault = rig.listrak.faults.add("wrong_date:40,times=6")
        await rig.until(lambda: fault.hits == 6)
        rig.listrak.faults.clear()
        rig.later(minutes=2)
        world.open(message, PEOPLE[0])
        other = world.send_broadcast(LIST, PEOPLE, subject="Another")
        world.unsubscribe(LIST, PEOPLE[1])
        await rig.until(lambda: len(events(rig, "Email Opened")) == 1)
        await rig.until(
            lambda: any(
                event["properties"]["email_id"] == str(other.message_id)
                for event in events(rig, "Email Sent")
            )
        )
        await rig.until(lambda: len(events(rig, "identify")) == len(PEOPLE) + 1)
        assert rig.rows("SELECT retired FROM messages") == [(0,), (0,)]
        stamps = {event["timestamp"] for event in rig.segment.received()}
        assert max(map(datetime.fromisoformat, stamps)) <= clock.now


async def test_wrong_dates_that_last(rig_of: Any) -> None:
    """They are believed in the end, but forget nothing; right again, all goes on. It is told."""
    world, message = account()
    clock = Clock(START + timedelta(hours=1))
    async with rig_of(world=world, clock=clock, lists=str(LIST), **FAST) as rig:
        await rig.start("run")
        await rig.until(lambda: len(events(rig, "identify")) == len(PEOPLE))
        rig.listrak.faults.add("wrong_date:40")
        ahead = (START + timedelta(days=30)).timestamp()
        await rig.until(lambda: rig.rows(f"SELECT 1 FROM lists WHERE contacts_at > {ahead}") != [])
        assert logged(rig.log(), "clock.distrusted")
        rig.listrak.faults.clear()
        await rig.until(lambda: bool(logged(rig.log(), "clock.mended")))
        rig.later(minutes=2)
        world.open(message, PEOPLE[0])
        world.unsubscribe(LIST, PEOPLE[1])
        await rig.until(lambda: len(events(rig, "Email Opened")) == 1)
        await rig.until(lambda: len(events(rig, "Unsubscribed")) == 1)
        assert logged(rig.log(), "clock.trusted")
        assert rig.rows("SELECT retired FROM messages") == [(0,)]
        assert rig.rows(f"SELECT 1 FROM messages WHERE looked_at > {ahead}") == []


@pytest.mark.parametrize("wrong", ["wrong_date:40,times=6", "wrong_date:-40", "wrong_date:40"])
async def test_wrong_dates_at_a_start(rig_of: Any, wrong: str) -> None:
    """A few, or all of a run: what happens later arrives all the same."""
    world, message = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(days=2)
        rig.listrak.faults.add(wrong)
        await rig.caught_up()
        rig.listrak.faults.clear()
        assert rig.rows("SELECT 1 FROM messages WHERE retired = 1") == []
        rig.later(days=1)
        for email in PEOPLE:
            world.open(message, email)
        world.unsubscribe(LIST, PEOPLE[1])
        rig.later(days=20)
        world.send_broadcast(LIST, PEOPLE[:1], subject="Another")
        await rig.caught_up()
        rig.later(days=1)
        await rig.caught_up()
        assert len(events(rig, "Email Opened")) == len(PEOPLE)
        assert len(events(rig, "Email Sent")) == len(PEOPLE) + 1
        assert len(events(rig, "Unsubscribed")) == 1
        rig.later(days=40)
        await rig.caught_up()
        assert rig.rows("SELECT retired FROM messages") == [(1,), (1,)]


async def test_no_floor_is_raised_by_a_wrong_date(rig_of: Any) -> None:
    """Of what goes on sending, old sends are gone on with once the time is right again."""
    world, _ = account()
    talk = world.send_conversation(LIST, PEOPLE)
    mail = world.send_transactional(LIST, PEOPLE)
    async with rig_of(world=world, lists=str(LIST), BRIDGE_SINCE="2026-06-01") as rig:
        await rig.caught_up()
        assert len(events(rig, "Email Sent")) == 3 * len(PEOPLE)
        rig.later(days=2)
        fault = rig.listrak.faults.add("wrong_date:60")
        await rig.caught_up()
        floors = rig.rows("SELECT id, floor FROM messages ORDER BY id")
        rig.listrak.faults.clear()
        assert fault.hits
        for message in (talk, mail):
            world.open(message, PEOPLE[0])
        log = await rig.caught_up()
        assert logged(log, "clock.mended")
        assert rig.rows("SELECT id, floor FROM messages ORDER BY id") == floors
        assert len(events(rig, "Email Opened")) == 2
        assert len(events(rig, "Email Sent")) == 3 * len(PEOPLE)


async def test_only_the_account_goes_through_time(rig_of: Any) -> None:
    """This machine's clock stands: what is over is read to its end once, and then left alone."""
    world, message = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.clock.on_set = lambda: None
        rig.later(hours=1)
        await rig.caught_up()
        rig.later(days=45)
        world.open(message, PEOPLE[0])
        log = await rig.caught_up()
        assert len(logged(log, "clock.distrusted")) == 1
        rig.later(hours=1)
        world.open(message, PEOPLE[1])
        later = world.send_broadcast(LIST, PEOPLE[:1])
        world.unsubscribe(LIST, PEOPLE[2])
        await rig.caught_up()
        assert len(events(rig, "Email Opened")) == 1
        assert len(events(rig, "Unsubscribed")) == 1
        assert events(rig, "Email Sent")[-1]["properties"]["email_id"] == str(later.message_id)
        told = max(datetime.fromisoformat(one["timestamp"]) for one in events(rig, "identify"))
        assert abs(told - rig.clock.now) < timedelta(minutes=1)
        assert rig.rows("SELECT retired FROM messages ORDER BY id") == [(2,), (0,)]
        rig.machine.follow(rig.clock.now.timestamp(), 1.0)
        await rig.caught_up()
        assert rig.rows("SELECT retired FROM messages ORDER BY id") == [(1,), (0,)]


@pytest.mark.parametrize("text", ["", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 40])
async def test_dates_that_tell_nothing(rig_of: Any, text: str) -> None:
    """No Date, garbage, or one that stands still: this machine's clock is there."""
    world, message = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.listrak.faults.add(WrongDate(text=text))
        rig.later(days=3)
        world.open(message, PEOPLE[0])
        await rig.caught_up()
        assert len(events(rig, "Email Opened")) == 1
        assert rig.rows("SELECT retired FROM messages") == [(0,)]


@pytest.mark.parametrize("ahead", [DAY, -DAY, -HOUR, 30 * 365 * DAY])
async def test_unsubscribes_wait_by_a_clock_that_never_jumps(rig_of: Any, ahead: float) -> None:
    """Noted while this machine's clock is wrong, they are sent as soon as all is read."""
    world, _ = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(hours=1)
        world.unsubscribe(LIST, PEOPLE[0])
        rig.machine.set_ahead(ahead)
        rig.listrak.faults.add("status:400,path=Activity")
        assert (await rig.run("run", "--once")).code == 75
        assert not events(rig, "Unsubscribed")
        rig.machine.set_ahead(0)
        assert (await rig.run("run", "--once")).code == 75
        assert not events(rig, "Unsubscribed"), "an hour hasn't passed, whatever clocks say"
        rig.listrak.faults.clear()
        await rig.caught_up()
        assert len(events(rig, "Unsubscribed")) == 1


async def test_unsubscribes_wait_an_hour_at_most(rig_of: Any) -> None:
    """Also over a restart of the machine, and while its clock stands at 1970."""
    world, _ = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(hours=1)
        world.unsubscribe(LIST, PEOPLE[0])
        rig.listrak.faults.add("status:400,path=Activity")
        assert (await rig.run("run", "--once")).code == 75
        rig.machine.restart()
        rig.machine.set_ahead(-START.timestamp())
        rig.machine.sleep(HOUR)
        assert (await rig.run("run", "--once")).code == 75
        assert len(events(rig, "Unsubscribed")) == 1


async def test_a_machine_whose_clock_is_never_set(rig_of: Any) -> None:
    """Its first start goes by Listrak's clock; set right later, nothing is repeated or lost."""
    world, message = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.machine.set_ahead(-START.timestamp() + 100)
        rig.later(hours=1)
        told = await rig.run("check")
        assert "list that is new begins at 2026-06-03T16:00" in " ".join(told.out.split())
        log = await rig.caught_up()
        assert horizon(rig) > START + timedelta(minutes=59)
        assert not logged(log, "clock.distrusted")
        rig.later(days=1)
        rig.machine.restart()
        world.open(message, PEOPLE[0])
        await rig.caught_up()
        rig.later(hours=1)
        rig.machine.set_ahead(0)
        world.open(message, PEOPLE[1])
        await rig.caught_up()
        assert len(events(rig, "Email Opened")) == 2
        stamps = {event["timestamp"] for event in rig.segment.received()}
        assert max(map(datetime.fromisoformat, stamps)) <= datetime(2026, 6, 4, 18, tzinfo=UTC)


async def test_a_start_horizon_to_come(rig_of: Any) -> None:
    """Both clocks were wrong at the first start: once they agree, it begins then. It is told."""
    world, message = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.machine.set_ahead(40 * 24 * HOUR)
        rig.listrak.faults.add("wrong_date:40")
        await rig.caught_up()
        assert horizon(rig) > START + timedelta(days=39)
        rig.listrak.faults.clear()
        rig.machine.restart()
        rig.machine.set_ahead(0)
        rig.later(hours=1)
        log = await rig.caught_up()
        assert logged(log, "clock.horizon_mended")
        assert START < horizon(rig) <= START + timedelta(hours=2)
        rig.later(hours=1)
        world.open(message, PEOPLE[0])
        other = world.send_broadcast(LIST, PEOPLE, subject="Another")
        await rig.caught_up()
        assert len(events(rig, "Email Opened")) == 1
        ids = {event["properties"]["email_id"] for event in events(rig, "Email Sent")}
        assert ids == {str(other.message_id)}


async def test_no_clock_tells_the_time(rig_of: Any) -> None:
    """Without a Date, at a machine whose clock was never set: it waits, and says what to do."""
    world, _ = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.machine.set_ahead(-START.timestamp())
        rig.listrak.faults.add("wrong_date:text=")
        done = await rig.run("run", "--once")
        assert done.code == 75
        assert "this machine's clock was never set" in done.err
        assert rig.rows("SELECT * FROM lists") == []
        rig.listrak.faults.clear()
        rig.machine.set_ahead(0)
        await rig.caught_up()
        assert START - timedelta(minutes=1) < horizon(rig) <= START
