"""`erase ADDRESS`: all that is kept of an address goes at once, and nothing writes it back."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from rig import Rig, Run, lay_older_format, quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio

LIST = 12345
ADDRESS = "Bob.Miller@Example.com"
PEOPLE = [f"person{number}@example.com" for number in range(12)]
OFTEN = {"BRIDGE_POLL_INTERVAL": "1"}


def account() -> World:
    """A list with contacts, whose profile field is their address, as some accounts have it."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    field = world.add_field(LIST, "Customer ID")
    for email in [*PEOPLE, ADDRESS]:
        world.subscribe(LIST, email)
        world.set_profile(LIST, email, field.field_id, email)
    return world


def sent(world: World, subject: str = "Hello") -> Message:
    """An email to all, in which everybody placed an order."""
    message = world.send_broadcast(LIST, [*PEOPLE, ADDRESS], subject=subject)
    for email in [*PEOPLE, ADDRESS]:
        world.open(message, email)
        world.order(message, email, 1250)
    return message


def left(rig: Rig) -> list[str]:
    """The files in which the address stands, in whatever case."""
    return [
        place.name
        for place in sorted(rig.folder.glob("bridge.db*"))
        if ADDRESS.lower().encode() in place.read_bytes().lower()
    ]


def of_the_address(rig: Rig) -> list[dict[str, Any]]:
    """What Segment has of the address."""
    return [
        event
        for event in rig.segment.received(unique=True)
        if event["anonymousId"].lower() == ADDRESS.lower()
    ]


def erased(done: Run) -> dict[str, Any]:
    """The answer of a command that did it."""
    assert done.code == 0, done.err
    assert ADDRESS.lower() not in done.err.lower()
    answer: dict[str, Any] = json.loads(done.out)
    assert answer["overwritten"]
    return answer


async def lived(rig: Rig) -> None:
    """A first start, an email with orders, a spelling that is told anew, somebody who left."""
    await rig.caught_up()
    sent(rig.later(hours=1), f"Hello {ADDRESS}!")
    await rig.caught_up()
    rig.later(hours=1).unsubscribe(LIST, ADDRESS)
    await rig.caught_up()
    rig.later(hours=1).resubscribe(LIST, ADDRESS)
    await rig.caught_up()
    assert left(rig)


async def test_without_a_service(rig_of: Any) -> None:
    """The command does it; not a byte stays, and nobody else is touched."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await lived(rig)
        before = len(of_the_address(rig))
        answer = erased(await rig.run("erase", ADDRESS.upper(), "--json"))
        assert answer["contacts"] == 1
        assert answer["contact_of"] == [LIST]
        assert answer["texts"] >= 1
        assert left(rig) == []
        assert rig.adds_up()
        # Deleted in Listrak, it stays away; the rows of the email are known, and sent to nobody.
        rig.world.delete_contact(LIST, ADDRESS)
        rig.later(hours=25)
        await rig.caught_up()
        assert len(of_the_address(rig)) == before
        again = await rig.run("erase", ADDRESS)
        assert again.code == 0, again.err
        assert "No list had it as a contact when it was last read" in again.out
        assert rig.segment.duplicates == 0
        assert not rig.complaints()


async def test_still_a_contact(rig_of: Any) -> None:
    """It is said that it comes back: as new, with ids that were never sent."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await lived(rig)
        before = {event["messageId"] for event in of_the_address(rig)}
        done = await rig.run("erase", f" {ADDRESS.lower()} ")
        assert done.code == 0, done.err
        assert f"Still a contact of list {LIST} when it was last read" in done.out
        assert "contacts, list by list" in done.out
        rig.later(hours=1)
        await rig.caught_up()
        (new,) = [one for one in of_the_address(rig) if one["messageId"] not in before]
        assert (new["type"], new["traits"][f"listrak_list_{LIST}"]) == ("identify", True)
        assert rig.segment.duplicates == 0
        assert rig.adds_up()


async def test_beside_a_service_that_has_it_in_flight(rig_of: Any) -> None:
    """Segment is away, so pages that name it wait in memory: none of them writes it back."""
    async with rig_of(
        world=account(), lists=f"{LIST}=Customer ID", switches=Switches(page_rows=3), **OFTEN
    ) as rig:
        await rig.caught_up()
        message = sent(rig.later(hours=1))
        rig.world.unsubscribe(LIST, PEOPLE[0])
        rig.world.unsubscribe(LIST, ADDRESS)
        rig.segment.faults.add("status:503")
        service = await rig.start("run")
        await rig.until(lambda: rig.in_outbox() >= 2)
        rig.world.delete_contact(LIST, ADDRESS)
        message.rows[:] = [row for row in message.rows if row.email != ADDRESS]
        answer = erased(await rig.run("erase", ADDRESS, "--json"))
        assert answer["outbox_events"] + answer["pending_unsubscribes"] >= 1
        assert answer["contacts"] == 1
        rig.segment.faults.clear()
        # Everybody else's events arrive, and the address is not back.
        await rig.until(lambda: orders(rig) == set(PEOPLE))
        await rig.until(lambda: rig.in_outbox() == 0)
        service.terminate()
        await service.wait()
        assert left(rig) == []
        log = rig.log().lower()
        assert ADDRESS.lower() not in log
        assert "address.erased" in log
        assert not [one for one in of_the_address(rig) if one.get("event") == "Email Converted"]
        rig.later(hours=2)
        await rig.caught_up()
        assert rig.adds_up()
        assert left(rig) == []
        assert not rig.complaints()


def orders(rig: Rig) -> set[str]:
    """Whose orders Segment has."""
    return {
        event["anonymousId"]
        for event in rig.segment.received()
        if event.get("event") == "Email Converted"
    }


async def test_metrics_add_up_beside_it(rig_of: Any) -> None:
    """What isn't sent any more counts as filtered, in the metrics as in the file."""
    async with rig_of(world=account(), lists=str(LIST), **OFTEN) as rig:
        rig.segment.faults.add("status:503")
        await rig.start("run", BRIDGE_STATUS_BIND="127.0.0.1:0")
        await rig.until(lambda: "bridge.ready" in rig.log())
        await rig.until(lambda: rig.in_outbox() == len(PEOPLE) + 1)
        assert erased(await rig.run("erase", ADDRESS, "--json"))["outbox_events"] == 1
        # The contact is still there: it is read again, and waits again.
        rig.segment.faults.clear()
        await rig.until(lambda: rig.in_outbox() == 0 and len(of_the_address(rig)) == 1)
        numbers = await metrics(rig)
        assert numbers.pop("in_flight") == 0
        assert numbers.pop("fetched") == sum(numbers.values())
        assert numbers["filtered"] == 1


async def metrics(rig: Rig) -> dict[str, float]:
    """Numbers of events by outcome, and in flight, as the running service shows them."""
    import aiohttp

    address = json.loads(
        next(line for line in rig.log().splitlines() if "status.listening" in line)
    )["address"]
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as answer:
        text = await answer.text()
    numbers = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("bridge_events_total{"):
            numbers[name.split('"')[1]] = float(value)
        elif name == "bridge_events_in_flight":
            numbers["in_flight"] = float(value)
    return numbers


async def test_beside_a_service_that_waits_for_listrak(rig_of: Any) -> None:
    """It is done at once, whatever the service waits for."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID", **OFTEN) as rig:
        await lived(rig)
        rig.listrak.faults.add("status:503")
        await rig.start("run")
        await rig.until(lambda: "bridge.starting" in rig.log())
        assert erased(await rig.run("erase", ADDRESS, "--json"))["contacts"] == 1
        assert left(rig) == []


async def test_beside_a_reader_of_the_file(rig_of: Any) -> None:
    """Another program's open transaction keeps old bytes in the -wal: the command waits for it."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID", **OFTEN) as rig:
        await lived(rig)
        await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        with closing(sqlite3.connect(rig.state, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM contacts").fetchone()
            command = await rig.start("erase", ADDRESS, "--json", log=rig.folder / "answer")
            await rig.until(lambda: "another program is reading the state file" in rig.log())
            assert command.returncode is None
            reader.execute("COMMIT")
        await command.wait()
        assert command.returncode == 0
        assert '"overwritten": true' in (rig.folder / "answer").read_text()


async def test_a_request_that_was_left_half_way(rig_of: Any) -> None:
    """A crash between the removal and the overwriting: the next start ends it."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await lived(rig)
        place = rig.state.with_name("bridge.db.request-1")
        place.write_text(json.dumps({"type": "erase", "address": ADDRESS}))
        await served_until_overwritten(rig)
        assert not place.exists()
        ((request, removed, _),) = erasures(rig)
        assert (request, json.loads(removed)["contacts"]) == (place.name, 1)
        # With its request still there, or without: what was removed is told as it was.
        for is_there in (True, False):
            with closing(sqlite3.connect(rig.state, factory=Writing)) as db, db:
                db.execute("UPDATE erasures SET overwritten = 0")
            if is_there:
                place.write_text(json.dumps({"type": "erase", "address": ADDRESS}))
            await served_until_overwritten(rig)
            assert not place.exists()
            assert erasures(rig) == [(place.name, removed, 1)]


async def served_until_overwritten(rig: Rig) -> None:
    """A service runs until it has done what was left for it."""
    service = await rig.start("run")
    await rig.until(lambda: any(overwritten for *_, overwritten in erasures(rig)))
    service.terminate()
    await service.wait()


def erasures(rig: Rig) -> list[tuple[str, str, int]]:
    """What is noted of erasures."""
    return rig.rows("SELECT request, removed, overwritten FROM erasures")


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [("bob", 64, "no email address"), ("@", 64, "no email address"), ("", 64, "no email address")],
)
async def test_what_is_no_address(rig_of: Any, address: str, code: int, said: str) -> None:
    """It is said, and nothing is requested."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        done = await rig.run("erase", address)
        assert (done.code, said in done.err) == (code, True), done.err
        assert not list(rig.folder.glob("*.request-*"))


async def test_without_a_state_file(rig_of: Any) -> None:
    """There is nothing to be erased, and it is said which file is meant; one of an older version
    is brought up to date by the service."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        done = await rig.run("erase", ADDRESS)
        assert (done.code, "no state file" in done.err) == (73, True), done.err
        await rig.caught_up()
        lay_older_format(rig.state)
        done = await rig.run("erase", ADDRESS)
        assert (done.code, "older version" in done.err) == (73, True), done.err
        assert not list(rig.folder.glob("*.request-*"))
