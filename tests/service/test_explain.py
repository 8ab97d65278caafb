"""`explain`: what Listrak shows of a person, what follows from it, and what became of that."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from rig import Rig, quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio

LIST = 12345
ADDRESS = "Bob@Example.com"
PEOPLE = [f"person{number}@example.com" for number in range(6)]


def account() -> World:
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    field = world.add_field(LIST, "Customer ID")
    for email in [*PEOPLE, ADDRESS]:
        world.subscribe(LIST, email)
        world.set_profile(LIST, email, field.field_id, f"id of {email.lower()}")
    return world


def lively(world: World, *people: str) -> list[Message]:
    """An email of each kind, with all that people do."""
    links = ["https://shop.example/one", "https://shop.example/two"]
    broadcast = world.send_broadcast(LIST, people, links=links)
    step = world.send_conversation(LIST, people, links=links)
    order = world.send_transactional(LIST, people, links=[])
    for email in people:
        for message in (broadcast, step, order):
            world.open(message, email)
            world.order(message, email, 1250)
        world.click(broadcast, email, broadcast.links[0])
        world.click(step, email, step.links[1])
        world.click(order, email)
        world.click(order, email)
    return [broadcast, step, order]


async def explained(rig: Rig, subject: str = ADDRESS, **settings: Any) -> dict[str, Any]:
    """The answer of the command, as JSON."""
    done = await rig.run("explain", subject, "--json", **settings)
    assert done.code == 0, done.err
    assert subject.lower() not in done.err.lower()
    answer: dict[str, Any] = json.loads(done.out)
    return answer


def received(rig: Rig) -> dict[str, str]:
    """What Segment has of the person: messageId and name."""
    return {
        event["messageId"]: event.get("event", "identify")
        for event in rig.segment.received(unique=True)
        if event["anonymousId"].lower() == ADDRESS.lower()
    }


def by_status(answer: dict[str, Any]) -> dict[str, set[str]]:
    """The ids of the answer's events by status."""
    found: dict[str, set[str]] = {}
    for event in answer["events"]:
        found.setdefault(event["status"], set()).add(event["message_id"])
    return found


async def test_another_spelling_finds_the_rows_of_all_emails(rig_of: Any) -> None:
    """Whatever was read before: a conversation's rows of others don't say that nothing filters."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        world = rig.later(hours=1)
        for _twice in range(2):
            lively(world, ADDRESS, *PEOPLE)
        rig.later(hours=1)
        await rig.caught_up()
        answer = await explained(rig, ADDRESS.upper())
        assert len(answer["rows"]) == 6
        assert by_status(answer)["sent"] <= set(received(rig))


@pytest.mark.parametrize("email_address", ["filters", "ignored", "refused"])
async def test_all_that_was_sent(rig_of: Any, email_address: Any) -> None:
    """Each event that Segment has is told with its id, whatever the filter by address does."""
    async with rig_of(
        world=account(),
        lists=f"{LIST}=Customer ID",
        switches=Switches(page_rows=2, email_address=email_address),
    ) as rig:
        await rig.caught_up()
        messages = lively(rig.later(hours=1), ADDRESS, *PEOPLE)
        await rig.caught_up()
        answer = await explained(rig, ADDRESS.upper())
        assert by_status(answer) == {"sent": set(received(rig))}
        assert {event["event"] for event in answer["events"]} == {*received(rig).values()}
        assert len(answer["rows"]) == len(messages)
        (contact,) = answer["contacts"]
        assert contact["listrak"]["subscription_state"] == "Subscribed"
        assert contact["told"] == {
            "subscribed": True,
            "userId": f"id of {ADDRESS.lower()}",
            "deleted": False,
        }
        assert not rig.segment.duplicates
        # For people, the same.
        shown = await rig.run("explain", ADDRESS, cold=True)
        assert shown.code == 0, shown.err
        for message_id in received(rig):
            assert message_id in shown.out


async def test_pages_that_never_end(rig_of: Any) -> None:
    """They are left in time, and the answer is that it is to be tried again."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        lively(rig.later(hours=1), ADDRESS)
        await rig.caught_up()
        circle = rig.listrak.faults.add("circle:3,path=Activity")
        done = await rig.run("explain", ADDRESS)
        assert (done.code, "go round in a circle" in done.err) == (75, True), done.err
        assert 0 < circle.hits < 100


async def test_ids_are_told_before_the_events_are_sent(rig_of: Any) -> None:
    """What is not seen yet gets the ids that the service gives it then, rises of totals too."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        messages = lively(rig.later(hours=1), ADDRESS, *PEOPLE)
        await rig.caught_up()
        before = set(received(rig))
        world = rig.later(hours=1)
        for message in messages:
            world.order(message, ADDRESS, 700)
        world.click(messages[0], ADDRESS, messages[0].links[1])
        world.click(messages[2], ADDRESS)
        world.send_transactional(LIST, [ADDRESS], message=messages[2])
        world.complain(messages[0], ADDRESS)
        answer = by_status(await explained(rig))
        await rig.caught_up()
        new = set(received(rig)) - before
        # Three orders, two clicks, a send, a complaint, and the leaving that it brings along.
        assert len(new) == 9
        assert answer["not seen yet"] == new
        # Of identifies the latest one is told; of orders the one before the next as well.
        assert answer["sent"] == before
        again = by_status(await explained(rig))
        assert again.keys() == {"sent"}
        assert new <= again["sent"]


async def test_what_was_withheld(rig_of: Any) -> None:
    """From before the start horizon, and not in BRIDGE_EVENTS: with the reason."""
    world = account()
    early = lively(world, ADDRESS)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.later(hours=1)
        await rig.caught_up()
        late = lively(rig.later(hours=1), ADDRESS)
        narrow = {"BRIDGE_EVENTS": "Email Sent,Email Opened"}
        await rig.caught_up(**narrow)
        answer = await explained(rig, **narrow)
        of_early, of_late = [
            [event for event in answer["events"] if event["message"].endswith(ids(messages))]
            for messages in (early, late)
        ]
        assert len(of_early) > 10
        assert {event["status"] for event in of_early} == {"withheld"}
        assert all("before the start horizon" in event["reason"] for event in of_early)
        sent = [event for event in of_late if event["status"] == "sent"]
        assert {event["message_id"] for event in sent} < set(received(rig))
        assert {event["event"] for event in sent} == {"Email Sent", "Email Opened"}
        others = [event for event in of_late if event["status"] != "sent"]
        assert {event["event"] for event in others} == {
            "Email Converted",
            "Email Link Clicked",
        }
        assert all("not in BRIDGE_EVENTS" in event["reason"] for event in others)
        # After the backfills all is sent.
        assert (await rig.run("backfill", "--events")).code == 0
        assert (await rig.run("backfill", "--since", "30d")).code == 0
        await rig.caught_up()
        after = by_status(await explained(rig))
        assert after["sent"] & set(received(rig))
        assert "not seen yet" not in after


def ids(messages: list[Message]) -> tuple[str, ...]:
    """The ends of the paths of messages; those of transactional ones are counted apart."""
    return tuple(
        f"/{'Transactional' * (message.kind == 'transactional')}Message/{message.message_id}"
        for message in messages
    )


async def test_in_flight_and_dead(rig_of: Any) -> None:
    """Beside the running service: what waits in the outbox, and what couldn't be sent."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="1") as rig:
        await rig.caught_up()
        rig.segment.faults.add("status:503")
        service = await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        rig.later(hours=1).unsubscribe(LIST, ADDRESS)
        await rig.until(lambda: rig.in_outbox() > 0)
        (event,) = [
            event for event in (await explained(rig))["events"] if event["event"] == "identify"
        ]
        assert event["status"] == "in flight"
        found = await explained(rig, event["message_id"])
        assert found["status"] == "in flight"
        rig.segment.faults.clear()
        await rig.until(lambda: event["message_id"] in received(rig))
        service.terminate()
        await service.wait()
        assert ADDRESS.lower() not in rig.log().lower()
        with closing(sqlite3.connect(rig.state, factory=Writing)) as db, db:
            db.execute(
                "INSERT INTO dead_letters (at, event, message_id, reason, body)"
                " VALUES (0, 'identify', ?, 'too large', x'7b7d')",
                (event["message_id"],),
            )
        assert by_status(await explained(rig))["dead"] == {event["message_id"]}
        found = await explained(rig, event["message_id"])
        assert (found["status"], found["reason"]) == ("dead", "too large")


async def test_a_contact_that_leaves(rig_of: Any) -> None:
    """Unsubscribed, back again, deleted: each as Listrak shows it, with the ids that were sent."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        rig.later(hours=1).unsubscribe(LIST, ADDRESS)
        await rig.caught_up()
        answer = await explained(rig)
        names = {event["event"]: event["message_id"] for event in answer["events"]}
        assert names.keys() == {"identify", "Unsubscribed"}
        assert set(names.values()) < set(received(rig))
        rig.later(hours=1).delete_contact(LIST, ADDRESS)
        answer = await explained(rig)
        assert answer["contacts"][0]["listrak"] is None
        rig.later(hours=25)
        await rig.caught_up()
        stranger = await explained(rig, "nobody@example.com")
        assert stranger["events"] == stranger["rows"] == []
        assert stranger["contacts"][0]["told"] is None
        shown = await rig.run("explain", "nobody@example.com")
        assert "No event follows from that." in shown.out


async def test_who_left_before_the_start(rig_of: Any) -> None:
    """Is told as withheld: no identify, no unsubscribe."""
    world = account()
    world.unsubscribe(LIST, ADDRESS)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.later(hours=1)
        await rig.caught_up()
        events = (await explained(rig))["events"]
        assert [(event["event"], event["status"]) for event in events] == [
            ("identify", "withheld"),
            ("Unsubscribed", "withheld"),
        ]
        assert all("before the start horizon" in event["reason"] for event in events)


async def test_the_id_of_an_email(rig_of: Any) -> None:
    """What is known of it: numbers beside Listrak's own, and until when all is complete."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        messages = lively(rig.later(hours=1), ADDRESS, *PEOPLE)
        await rig.caught_up()
        for message in messages:
            kind = {"message": "broadcast"}.get(message.kind, message.kind)
            # A transactional message may have the number of another one.
            (email,) = [
                one
                for one in (await explained(rig, str(message.message_id)))["emails"]
                if one["kind"] == kind
            ]
            numbers = {line["event"]: line for line in email["events"]}
            assert numbers["Email Opened"]["seen"] == len(PEOPLE) + 1
            if message.kind != "transactional":
                assert numbers["Email Opened"]["listrak"] == len(PEOPLE) + 1
                assert numbers["Email Link Clicked"]["listrak"] == len(PEOPLE) + 1
            assert email["polled_at"]
            assert email["tracked_until"]
            shown = await rig.run("explain", str(message.message_id))
            assert (shown.code, "read to its end last" in shown.out) == (0, True), shown.err
        assert (await explained(rig, "999"))["emails"] == []
        unknown = await rig.run("explain", "999")
        assert (unknown.code, "No email with this id" in unknown.out) == (0, True)


async def test_the_id_of_an_event(rig_of: Any) -> None:
    """An id is a hash: where its key is remembered is told, and no more."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        lively(rig.later(hours=1), ADDRESS)
        await rig.caught_up()
        for message_id, name in received(rig).items():
            found = await explained(rig, message_id)
            if name in ("Email Sent", "Email Opened"):
                assert found["status"] == "sent"
                assert f"List/{LIST}/" in found["message"]
            if name == "identify":
                assert (found["status"], ADDRESS in found["reason"]) == ("sent", True)
            if name == "Email Converted":
                assert found["status"] == "not found"
                assert "no key is kept" in found["reason"]
        shown = await rig.run("explain", "listrak-" + "0" * 32)
        assert (shown.code, shown.out.startswith("not found")) == (0, True), shown.err


async def test_the_id_of_a_contacts_event(rig_of: Any) -> None:
    """It is made anew of what is known of the contacts, as it may have been told before as well."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        rig.later(hours=1).unsubscribe(LIST, ADDRESS)
        rig.later(hours=2)
        await rig.caught_up(BRIDGE_EVENTS="Email Sent")
        state = rig.state.read_bytes()
        rig.later(days=2)
        await rig.caught_up()
        done = await rig.run("backfill", "--events")
        assert done.code == 0, done.err
        rig.later(days=2).delete_contact(LIST, PEOPLE[0])
        await rig.caught_up()
        told = rig.delivered()
        assert len(told) == len(PEOPLE) + 4
        for message_id, event in told.items():
            found = await explained(rig, message_id, LISTRAK_TIMEZONE="UTC")
            if event["anonymousId"] == PEOPLE[0] and "userId" in event:
                # Nobody keeps the userId that a deleted contact had.
                assert found["status"] == "not found"
                continue
            assert found["status"] == "sent"
            assert event["anonymousId"] in found["reason"]
            assert event.get("event", "identify") in found["reason"]
        rig.state.write_bytes(state)
        (left,) = [one for one, event in told.items() if event.get("event") == "Unsubscribed"]
        assert (await explained(rig, left))["status"] == "withheld"


@pytest.mark.parametrize(
    ("subject", "code", "said"),
    [
        ("bob", 64, "neither an email address"),
        ("listrak-12", 64, "neither an email address"),
        (ADDRESS, 73, "no state file"),
    ],
)
async def test_what_cannot_be_explained(rig_of: Any, subject: str, code: int, said: str) -> None:
    """It is said."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        done = await rig.run("explain", subject)
        assert (done.code, said in done.err) == (code, True), done.err


async def test_a_list_that_is_left_out(rig_of: Any) -> None:
    """It is named, what the others show is told all the same; the code is that of the problem."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        done = await rig.run("explain", ADDRESS, "--json", LISTRAK_LISTS=f"{LIST},99")
        assert (done.code, "the account has no list 99" in done.err) == (78, True)
        told = json.loads(done.out)
        assert told["contacts"]
        assert "List 99 is left out" in told["notes"][0]


async def test_it_changes_nothing(rig_of: Any) -> None:
    """Neither the state file, nor what Segment has; another list is left out on demand."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        lively(rig.later(hours=1), ADDRESS)
        before, events = rig.state.read_bytes(), len(received(rig))
        await explained(rig)
        assert rig.state.read_bytes() == before
        assert len(received(rig)) == events
        other = await rig.run("explain", ADDRESS, "--list", "99")
        assert (other.code, "doesn't name list 99" in other.err) == (78, True)
