"""Contacts under change: clocks, zones, spellings, userIds of nobody, deletion."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import in_process
import pytest
from rig import START, Rig, quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.clock import Clock
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(8)]


def account(*people: str) -> World:
    """An account of one list with a field, its contacts, and nothing sent."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    world.add_field(LIST, "Customer ID")
    for email in people or PEOPLE:
        world.subscribe(LIST, email)
    return world


def field_of(world: World) -> int:
    return next(iter(world.lists[LIST].fields))


def received(rig: Rig, kind: str = "identify") -> list[dict[str, Any]]:
    """The events of a kind, in the order they came; no id came twice."""
    events = list(rig.segment.received())
    ids = Counter(event["messageId"] for event in events)
    assert max(ids.values(), default=1) == 1
    return [event for event in events if kind in (event["type"], event.get("event"))]


def told(rig: Rig, email: str) -> list[tuple[object, str | None]]:
    """What identifies told of a contact, in order of their timestamps: trait and userId."""
    own = [event for event in received(rig) if event["anonymousId"] == email]
    stamps = [event["timestamp"] for event in own]
    assert len(set(stamps)) == len(stamps)
    return [
        (event["traits"][f"listrak_list_{LIST}"], event.get("userId"))
        for event in sorted(own, key=lambda event: event["timestamp"])
    ]


def addresses(state: Path) -> set[str]:
    """All texts of all tables of a state file that are addresses."""
    with closing(sqlite3.connect(state)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
        return {
            value.lower()
            for table in tables
            for row in db.execute(f"SELECT * FROM {table}")
            for value in row
            if isinstance(value, str) and "@" in value
        }


# Timestamps


async def test_an_identify_carries_the_instant_of_its_reading(rig_of: Any) -> None:
    """By Listrak's clock, not this machine's; the next state has a later one."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        for event in received(rig):
            off = datetime.fromisoformat(event["timestamp"]) - START
            assert timedelta(seconds=-2) < off < timedelta(minutes=1)
        rig.later(days=2).unsubscribe(LIST, PEOPLE[0])
        await rig.caught_up()
        assert told(rig, PEOPLE[0]) == [(True, None), (None, None)]


async def test_a_clock_that_steps_back(rig_of: Any) -> None:
    """Between two starts, by hours: the later state has the later timestamp all the same."""
    world = account()
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.later(hours=9)
        await rig.caught_up()
    for user, hours in (("C-1", 6), ("C-2", 1)):
        world.set_profile(LIST, PEOPLE[0], field_of(world), user)
        clock = Clock.manual(START + timedelta(hours=hours))
        setting = f"{LIST}={field_of(world)}"
        async with rig_of(world=world, clock=clock, lists=setting) as rig:
            await rig.caught_up()
            found = told(rig, PEOPLE[0])
            assert found[-1] == (True, user), found
    assert found == [(True, None), (True, "C-1"), (True, "C-2")]


async def test_repeated_byte_for_byte(rig_of: Any) -> None:
    """Killed before Segment's answer, identifies come again as they were, at whatever time."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        rig.segment.faults.add("latency:seconds=30")
        process = await rig.start("run")

        def journaled() -> bool:
            tables = {name for (name,) in rig.rows("SELECT name FROM sqlite_schema")}
            return "outbox" in tables and rig.in_outbox() > 0

        await rig.until(lambda: rig.state.exists() and journaled())
        process.kill()
        await process.wait()
        ((high_water,),) = rig.rows("SELECT identified_at FROM lists")
        rig.segment.faults.clear()
        rig.later(hours=3)
        await rig.caught_up()
        stamps = {event["timestamp"] for event in received(rig)}
        assert stamps == {_instant(high_water)}
        assert len(received(rig)) == len(PEOPLE)


def _instant(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


# Zones


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
async def test_another_zone(rig_of: Any, zone: str) -> None:
    """Nothing is sent again, in no direction, nor what was before the horizon; ids stay."""
    world = account(*PEOPLE, "early@example.com", "late@example.com")
    for hours in range(1, 12):
        email = f"left{hours}@example.com"
        world.subscribe(LIST, email, at=START - timedelta(days=9))
        world.unsubscribe(LIST, email, at=START - timedelta(hours=hours))
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        for hours in range(1, 4):
            rig.later(hours=1).unsubscribe(LIST, PEOPLE[hours])
        await rig.caught_up()
        before = len(received(rig)), len(received(rig, "Unsubscribed"))
        assert before == (10 + 3, 3)
        log = await rig.caught_up(LISTRAK_TIMEZONE=zone)
        assert "kind=zone" in log or '"kind": "zone"' in log or "'zone'" in log
        rig.later(days=1)
        await rig.caught_up(LISTRAK_TIMEZONE=zone)
        await rig.caught_up()
        await rig.caught_up(LISTRAK_TIMEZONE=zone)
        assert (len(received(rig)), len(received(rig, "Unsubscribed"))) == before
        rig.later(hours=1)
        rig.world.unsubscribe(LIST, PEOPLE[5])
        rig.world.resubscribe(LIST, PEOPLE[1])
        await rig.caught_up(LISTRAK_TIMEZONE=zone)
        rig.later(minutes=5).unsubscribe(LIST, PEOPLE[1])
        await rig.caught_up()
        new = received(rig, "Unsubscribed")[3:]
        assert [event["anonymousId"] for event in new] == [PEOPLE[5], PEOPLE[1]]
        await rig.caught_up(LISTRAK_TIMEZONE=zone)
        assert len(received(rig, "Unsubscribed")) == 5


# Spellings


def respelled(world: World, message: Message | None = None) -> None:
    """Listrak spells the contacts otherwise, and the rows of a message otherwise again."""
    for contact in world.lists[LIST].register:
        contact.email = contact.email.swapcase()
    for row in message.rows if message else ():
        row.email = row.email.title()


async def test_another_spelling_is_nobody_new(rig_of: Any) -> None:
    """A change of case tells nothing; an unsubscribe keeps the email behind it."""
    people = ["Bob@X.com", "éve@x.com", "ЮЛИЯ@x.com"]
    async with rig_of(world=account(*people), lists=str(LIST)) as rig:
        await rig.caught_up()
        message = rig.world.send_broadcast(LIST, people)
        rig.later(minutes=30)
        rig.world.opt_out(message, "éve@x.com")
        rig.world.delete_contact(LIST, "ЮЛИЯ@x.com")
        respelled(rig.world, message)
        await rig.caught_up()
        identifies = received(rig)
        assert len(identifies) == 5
        changed = {event["anonymousId"] for event in identifies[3:]}
        # As its row spells it; of the deleted one only the known spelling is left.
        assert changed == {"ÉVE@X.COM", "ЮЛИЯ@x.com"}
        (left,) = received(rig, "Unsubscribed")
        assert left["anonymousId"] == "ÉVE@X.COM"
        assert left["properties"]["email_id"] == str(message.message_id)
        rig.later(days=1)
        respelled(rig.world)
        await rig.caught_up()
        assert len(received(rig)) == 5
        assert len(received(rig, "Unsubscribed")) == 1


# UserIds


async def test_user_ids_of_nobody(rig_of: Any) -> None:
    """They are withheld; how many, of which kinds, is said once a poll, no values of people."""
    world = account()
    field = field_of(world)
    values = ["0", "-1", "NULL", "N/A", "Guest", "C-6", "c-6", None]
    for email, value in zip(PEOPLE, values, strict=True):
        world.set_profile(LIST, email, field, value)
    async with rig_of(world=world, lists=f"{LIST}={field}") as rig:
        log = await rig.caught_up(BRIDGE_IGNORED_USER_IDS="guest, none of us")
        users = {event["anonymousId"]: event.get("userId") for event in received(rig)}
        assert [users[email] for email in PEOPLE] == [None] * 5 + ["C-6", "c-6", None]
        (line,) = [json.loads(line) for line in log.splitlines() if "user_id.withheld" in line]
        assert (line["list"], line["field"], line["contacts"]) == (LIST, field, 5)
        assert line["values"] == {
            "0": 1, "-1": 1, "null": 1, "n/a": 1, "BRIDGE_IGNORED_USER_IDS": 1,
        }  # fmt: skip
        assert "guest" not in log.lower()
        assert "user_id.shared" not in log
        # No longer ignored, it is told.
        rig.later(days=1)
        await rig.caught_up()
        assert told(rig, PEOPLE[4]) == [(True, None), (True, "Guest")]


@pytest.mark.parametrize("sharing", [20, 21])
async def test_a_user_id_of_many(rig_of: Any, sharing: int) -> None:
    """An alarm names list and field, early and at the end of each sweep; the value stays secret."""
    people = [f"person{number}@example.com" for number in range(60)]
    world = account(*people)
    field = field_of(world)
    for number, email in enumerate(people):
        shared = number % 2 == 0 and number // 2 < sharing
        world.set_profile(LIST, email, field, "the-default" if shared else f"C-{number}")
    async with rig_of(world=world, lists=f"{LIST}={field}", switches=Switches(page_rows=5)) as rig:
        first = await rig.caught_up()
        users = Counter(event.get("userId") for event in received(rig))
        assert users["the-default"] == sharing, "it is sent"
        rig.later(days=1)
        second = await rig.caught_up()
        alarms = [
            [json.loads(line) for line in log.splitlines() if "user_id.shared" in line]
            for log in (first, second)
        ]
        if sharing == 20:
            assert alarms == [[], []]
            return
        assert [line["contacts"] for line in alarms[0]] == [21, 21]
        assert [line["contacts"] for line in alarms[1]] == [21]
        for line in alarms[0] + alarms[1]:
            assert (line["level"], line["list"], line["field"]) == ("error", LIST, field)
        assert "the-default" not in first + second


# Deletion


async def test_a_deleted_contact_is_forgotten(rig_of: Any) -> None:
    """Nothing in the state file names it once nothing of it is tracked; back, it has new ids."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_TRACK_DAYS="5") as rig:
        world, lost = rig.world, PEOPLE[0]
        await rig.caught_up()
        world.unsubscribe(LIST, PEOPLE[1])
        message = world.send_broadcast(LIST, PEOPLE[:3])
        rig.later(hours=1)
        world.open(message, lost)
        await rig.caught_up()
        world.delete_contact(LIST, lost)
        await rig.caught_up()
        assert told(rig, lost) == [(True, None), (None, None)]
        for _day in range(4):
            rig.later(days=1)
            await rig.caught_up()
        assert lost in addresses(rig.state), "it is tracked still"
        rig.later(days=2)
        await rig.caught_up()
        assert lost not in addresses(rig.state)
        assert addresses(rig.state) == set(PEOPLE[1:])
        before = {event["messageId"] for event in received(rig)}
        world.subscribe(LIST, lost)
        await rig.caught_up()
        assert told(rig, lost) == [(True, None), (None, None), (True, None)]
        assert len({event["messageId"] for event in received(rig)} - before) == 1


async def test_deleted_after_it_had_unsubscribed(rig_of: Any) -> None:
    """It is found gone within thirty sweeps, without an event, and forgotten like the others."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_TRACK_DAYS="1") as rig:
        await rig.caught_up()
        rig.later(hours=1)
        for email in PEOPLE[:3]:
            rig.world.unsubscribe(LIST, email)
        await rig.caught_up()
        for email in PEOPLE[:2]:
            rig.world.delete_contact(LIST, email)
        before = len(received(rig))
        for _day in range(33):
            rig.later(days=1)
            await in_process.caught_up(rig, {})
        assert len(received(rig)) == before
        assert addresses(rig.state) == set(PEOPLE[2:])


async def test_a_cause_without_a_contact_is_forgotten(rig_of: Any) -> None:
    """Who left through an email and was deleted before any poll leaves no address behind."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(hours=1)
        rig.world.subscribe(LIST, "brief@example.com")
        message = rig.world.send_broadcast(LIST, ["brief@example.com"])
        rig.later(hours=1)
        rig.world.opt_out(message, "brief@example.com")
        rig.world.delete_contact(LIST, "brief@example.com")
        await rig.caught_up()
        assert "brief@example.com" in addresses(rig.state)
        with closing(sqlite3.connect(rig.state, factory=Writing)) as db:
            # The machine's own clock doesn't run as fast as the world.
            db.execute("UPDATE causes SET noted_at = noted_at - 86400")
            db.commit()
        rig.later(days=1)
        await rig.caught_up()
        assert "brief@example.com" not in addresses(rig.state)
