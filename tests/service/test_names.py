"""Names are as of now: what is renamed in Listrak is taken over between two polls of a message."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rig import Rig, quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(6)]
SPRING, SUMMER = 31, 32
KINDS = ["broadcast", "split test", "conversation", "transactional"]
BYSTANDER = "bystander"


def account(**details: Any) -> tuple[World, dict[str, Message]]:
    """A list with a message of each kind, which was sent to some and opened by one."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    for _ in range(len(KINDS)):
        # Transactional messages are counted apart: no other message is to have an id of theirs.
        world.add_message(LIST, "transactional")
    for name in ("Spring", "Summer"):
        world.add_campaign(LIST, name)
    for email in PEOPLE:
        world.subscribe(LIST, email)
    details = {"subject": "Hello", "campaign_id": SPRING, "google_analytics": "ga", **details}
    messages = {
        "broadcast": world.send_broadcast(LIST, PEOPLE, **details),
        "split test": world.send_broadcast(LIST, PEOPLE, listed=False, **details),
        "conversation": world.send_conversation(LIST, PEOPLE, **details),
        "transactional": world.send_transactional(LIST, PEOPLE, **details),
    }
    world.add_split_test(LIST, "A or B").messages.append((None, messages["split test"]))
    for message in messages.values():
        world.open(message, PEOPLE[0])
    return world, messages


def rename_list(world: World, _: Message) -> None:
    """The list has another name."""
    world.lists[LIST].name = "Néws 🎉"


def rename_campaign(world: World, _: Message) -> None:
    """The campaign has another name."""
    world.lists[LIST].campaigns[SPRING] = "Frühling"


def edit_subject(_: World, message: Message) -> None:
    """The message has another subject."""
    message.subject = 'Other, "one"'


def empty_subject(_: World, message: Message) -> None:
    """The message has no subject any more."""
    message.subject = ""


def edit_analytics(_: World, message: Message) -> None:
    """The message has another Google Analytics campaign."""
    message.google_analytics = "other-ga"


def drop_analytics(_: World, message: Message) -> None:
    """The message has no Google Analytics campaign any more."""
    message.google_analytics = None


def move_campaign(_: World, message: Message) -> None:
    """The message is in another campaign, which was there before."""
    message.campaign_id = SUMMER


def leave_campaign(_: World, message: Message) -> None:
    """The message is in no campaign any more."""
    message.campaign_id = 0


def new_campaign(world: World, message: Message) -> None:
    """The message is in a campaign that was not there before."""
    message.campaign_id = world.add_campaign(LIST, "Autumn")


def delete_campaign(world: World, _: Message) -> None:
    """The campaign is gone; the message still names it."""
    del world.lists[LIST].campaigns[SPRING]


Edit = Callable[[World, Message], None]
EDITS: dict[Edit, tuple[str, str | None]] = {
    rename_list: ("list_name", "Néws 🎉"),
    rename_campaign: ("campaign_name", "Frühling"),
    edit_subject: ("email_subject", 'Other, "one"'),
    empty_subject: ("email_subject", None),
    edit_analytics: ("google_analytics_campaign_name", "other-ga"),
    drop_analytics: ("google_analytics_campaign_name", None),
    move_campaign: ("campaign_name", "Summer"),
    leave_campaign: ("campaign_name", None),
    new_campaign: ("campaign_name", "Autumn"),
    delete_campaign: ("campaign_name", None),
}
"""What each edit changes, and what that is afterwards (None for left out)."""

OF_THE_LIST = (rename_list, rename_campaign, delete_campaign)
"""The edits that all messages have in common."""


def properties_of(message: Message) -> dict[str, str]:
    """The properties of a message's events before any edit."""
    expected = {
        "email_id": str(message.message_id),
        "email_subject": "Hello",
        "campaign_name": "Spring",
        "google_analytics_campaign_name": "ga",
        "list_id": str(LIST),
        "list_name": "News",
    }
    if message.kind == "transactional":
        del expected["google_analytics_campaign_name"]
    return expected


def edited(properties: dict[str, str], name: str, value: str | None) -> dict[str, str]:
    """Properties after an edit."""
    changed = {key: told for key, told in properties.items() if key != name}
    return changed if value is None else {**changed, name: value}


async def caught_up(rig: Rig, **settings: Any) -> None:
    """Makes a catch-up; no event that ever came twice differed from the first."""
    await rig.caught_up(**settings)
    assert_repeats_are_identical(rig)


def assert_repeats_are_identical(rig: Rig) -> None:
    """Of each messageId, all that came is the same."""
    first: dict[str, Any] = {}
    for event in rig.segment.received():
        known = first.setdefault(event["messageId"], event)
        for key in ("event", "properties", "traits", "timestamp"):
            assert event.get(key) == known.get(key)


def told(rig: Rig, message: Message, email: str) -> dict[str, dict[str, Any]]:
    """By name, the properties of somebody's events of a message, without those of a kind."""
    own = ("link_id", "link_url", "order_total", "unsubscribe_type")
    return {
        event["event"]: {key: told for key, told in event["properties"].items() if key not in own}
        for event in rig.segment.received(unique=True)
        if event["type"] == "track"
        and event["anonymousId"] == email
        and event["properties"].get("email_id") == str(message.message_id)
    }


def with_bystander() -> tuple[World, dict[str, Message]]:
    """The account, and one more broadcast, which no edit of a message is made of."""
    world, messages = account()
    details = {"subject": "Hello", "campaign_id": SPRING, "google_analytics": "ga"}
    messages[BYSTANDER] = world.send_broadcast(LIST, PEOPLE, **details)
    world.open(messages[BYSTANDER], PEOPLE[0])
    return world, messages


def edit_all(edit: Edit, world: World, messages: dict[str, Message]) -> None:
    """Makes an edit of one message of each kind; what is edited of the list, once."""
    for kind in KINDS[:1] if edit in OF_THE_LIST else KINDS:
        edit(world, messages[kind])


def properties_after(edit: Edit, messages: dict[str, Message]) -> dict[str, dict[str, str]]:
    """The properties of each message's events after an edit."""
    name, value = EDITS[edit]
    found = {}
    for kind, message in messages.items():
        before = properties_of(message)
        is_touched = name in before and (kind != BYSTANDER or edit in OF_THE_LIST)
        found[kind] = edited(before, name, value) if is_touched else before
    return found


def act(world: World, message: Message, email: str) -> set[str]:
    """Somebody does what can be done with a message; the names of its events."""
    world.click(message, email)
    world.order(message, email, 1000)
    world.bounce(message, email)
    return {"Email Opened", "Email Link Clicked", "Email Converted", "Email Bounced"}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
async def test_an_edit_holds_from_the_next_catch_up_on(rig_of: Any, edit: Edit) -> None:
    """All that is new carries the new name, what was sent isn't sent again, ids don't change.

    Of each kind of message; another message's events stay as they were.
    """
    world, messages = with_bystander()
    async with rig_of(world=world, lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        await caught_up(rig)
        before = {kind: properties_of(message) for kind, message in messages.items()}

        def first() -> dict[str, Any]:
            return {kind: told(rig, message, PEOPLE[0]) for kind, message in messages.items()}

        told_first = {
            kind: {"Email Sent": one, "Email Opened": one} for kind, one in before.items()
        }
        assert first() == told_first
        edit_all(edit, world, messages)
        rig.later(minutes=5)
        names = {kind: act(world, message, PEOPLE[1]) for kind, message in messages.items()}
        await caught_up(rig)
        for kind, properties in properties_after(edit, messages).items():
            assert told(rig, messages[kind], PEOPLE[1]) == {
                "Email Sent": before[kind],
                **dict.fromkeys(names[kind], properties),
            }, kind
        assert first() == told_first
        await caught_up(rig)
        assert rig.segment.duplicates == 0


async def test_each_poll_has_one_name_and_the_latest_wins(rig_of: Any) -> None:
    """Edited again and again, and back: each catch-up tells what it is called by then."""
    world, messages = account()
    message = messages["broadcast"]
    async with rig_of(world=world, lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        for number, subject in enumerate(["Hello", "Hi", "", "Hello", "Hi"]):
            message.subject = subject
            rig.later(minutes=5)
            if number:
                world.open(message, PEOPLE[number])
            await caught_up(rig)
            opened = told(rig, message, PEOPLE[number])["Email Opened"]
            assert opened.get("email_subject", "") == subject
        assert rig.segment.duplicates == 0


async def test_an_unsubscribe_carries_names_as_of_now(rig_of: Any) -> None:
    """Those of the list and of the message that it came through; without one, of the list."""
    world, messages = account()
    message = messages["conversation"]
    async with rig_of(world=world, lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        await caught_up(rig)
        rename_list(world, message)
        edit_subject(world, message)
        rig.later(minutes=5)
        world.opt_out(message, PEOPLE[1])
        world.unsubscribe(LIST, PEOPLE[2])
        await caught_up(rig)
        left = {
            event["anonymousId"]: event["properties"]
            for event in rig.segment.received()
            if event.get("event") == "Unsubscribed"
        }
        expected = {"list_id": str(LIST), "list_name": "Néws 🎉"}
        assert left[PEOPLE[2]] == {**expected, "unsubscribe_type": "Administrator"}
        changed = {"email_subject": 'Other, "one"', "unsubscribe_type": "Subscriber"}
        assert left[PEOPLE[1]] == {**properties_of(message), **expected, **changed}


# In the running service


async def discovered(rig: Rig) -> None:
    """Waits until a complete discovery has begun and ended."""
    route = "/v1/List/{listId}/TransactionalMessage"
    began = rig.listrak.requests[route]

    def again() -> bool:
        # The one under way may have been too early; the one after the next begins when it is over.
        return bool(rig.listrak.requests[route] >= began + 3)

    await rig.until(again)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
async def test_the_running_service_follows(rig_of: Any, edit: Edit) -> None:
    """A discovery later, or a day for the Google Analytics campaign, the new name is told."""
    world, messages = with_bystander()
    async with rig_of(
        world=world, lists=str(LIST), BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.05"
    ) as rig:

        def has_two(email: str) -> bool:
            return all(len(told(rig, message, email)) == 2 for message in messages.values())

        await rig.start("run")
        await rig.until(lambda: has_two(PEOPLE[0]))
        edit_all(edit, world, messages)
        is_listed = edit not in (edit_analytics, drop_analytics)
        rig.later(hours=0 if is_listed else 24, minutes=5)
        # The bridge learns of the time as well.
        await discovered(rig)
        for message in messages.values():
            world.open(message, PEOPLE[1])
        await rig.until(lambda: has_two(PEOPLE[1]))
        for kind, properties in properties_after(edit, messages).items():
            assert told(rig, messages[kind], PEOPLE[1]) == {
                "Email Sent": properties_of(messages[kind]),
                "Email Opened": properties,
            }, kind
        assert rig.segment.duplicates == 0


async def test_the_usual_case_takes_no_more_calls(rig_of: Any) -> None:
    """What was found of a message is told without asking for the message itself again."""
    world, messages = account()
    message = messages["broadcast"]
    async with rig_of(
        world=world, lists=str(LIST), BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.05"
    ) as rig:
        await rig.start("run")
        await rig.until(lambda: len(told(rig, message, PEOPLE[0])) == 2)
        # The split test's message is listed nowhere: discovery asks for it.
        messages["split test"].listed = True
        await discovered(rig)
        asked = rig.listrak.requests["/v1/List/{listId}/Message/{messageId}"]
        for email in PEOPLE[1:5]:
            rig.later(minutes=5)
            world.open(message, email)
            await rig.until(lambda email=email: len(told(rig, message, email)) == 2)
        assert rig.listrak.requests["/v1/List/{listId}/Message/{messageId}"] == asked


# Interrupted polls


@pytest.mark.parametrize("full", [True, False])
async def test_an_interrupted_poll_keeps_what_it_began_with(rig_of: Any, full: bool) -> None:
    """Killed when Segment has taken events and nobody knows: they come again as they were."""
    world, messages = account()
    message = messages["broadcast"]
    async with rig_of(
        world=world,
        lists=str(LIST),
        switches=Switches(page_rows=2),
        BRIDGE_SINCE="30d",
        BRIDGE_POLL_INTERVAL="0.1",
        # Where it reads slowly, earlier batches without an answer must not hold up this one.
        BRIDGE_SEND_CONCURRENCY="16",
    ) as rig:
        who = PEOPLE[0]
        if not full:
            await caught_up(rig)
            rig.later(minutes=5)
            who = PEOPLE[1]
            world.open(message, who)
        rig.segment.faults.add("lost")
        process = await rig.start("run")
        await rig.until(lambda: "Email Opened" in told(rig, message, who))
        process.kill()
        await process.wait()
        rig.segment.faults.clear()
        for edit in (rename_list, rename_campaign, edit_subject, edit_analytics):
            edit(world, message)
        await caught_up(rig, BRIDGE_EXTRA_PROPERTIES="campaign_id")
        assert rig.segment.duplicates > 0
        before = properties_of(message)
        assert told(rig, message, who)["Email Opened"] == before
        rig.later(minutes=5)
        world.open(message, PEOPLE[2])
        await caught_up(rig, BRIDGE_EXTRA_PROPERTIES="campaign_id")
        after = told(rig, message, PEOPLE[2])["Email Opened"]
        assert after == {
            **before,
            "list_name": "Néws 🎉",
            "campaign_name": "Frühling",
            "email_subject": 'Other, "one"',
            "google_analytics_campaign_name": "other-ga",
            "campaign_id": str(SPRING),
        }


async def test_a_crash_before_the_first_event_holds_nothing_back(rig_of: Any) -> None:
    """Names that were saved and never used are no reason to keep them: no event carries them."""
    world, messages = account()
    message = messages["broadcast"]
    async with rig_of(
        world=world, lists=str(LIST), BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.1"
    ) as rig:
        await caught_up(rig)
        edit_subject(world, message)
        # Its rows can't be read: the poll has begun, and nothing of it was sent.
        rig.listrak.faults.add("status:503,path=Activity")
        rig.later(minutes=5)
        world.open(message, PEOPLE[1])
        process = await rig.start("run")
        await rig.until(lambda: "listrak.waiting" in rig.log())
        process.kill()
        await process.wait()
        rig.listrak.faults.clear()
        message.subject = "Third"
        await caught_up(rig)
        assert told(rig, message, PEOPLE[1])["Email Opened"]["email_subject"] == "Third"


async def test_a_failed_poll_holds_nothing_back(rig_of: Any) -> None:
    """All that a failed poll of some rows has sent is acknowledged: the next takes new names."""
    world, _ = account()
    readers = [f"reader{number}@example.com" for number in range(100)]
    message = world.send_broadcast(LIST, readers)
    async with rig_of(
        world=world,
        lists=str(LIST),
        switches=Switches(page_rows=4),
        BRIDGE_SINCE="30d",
        BRIDGE_POLL_INTERVAL="0.1",
    ) as rig:
        await caught_up(rig)
        rig.later(minutes=5)
        for email in readers:
            world.open(message, email)

        def subjects() -> Counter[str]:
            events = [told(rig, message, email) for email in readers]
            opens = [one["Email Opened"] for one in events if "Email Opened" in one]
            return Counter(properties["email_subject"] for properties in opens)

        # No second page can be read.
        rig.listrak.switches.cursor_lifetime = -1.0
        await rig.start("run")
        await rig.until(lambda: len(subjects()) == 1)
        edit_subject(world, message)
        await discovered(rig)
        rig.listrak.switches.cursor_lifetime = None
        await rig.until(lambda: subjects().total() == len(readers))
        assert "set_aside.begun" in rig.log()
        assert subjects()['Other, "one"'] > len(readers) / 2
        assert rig.segment.duplicates == 0


async def test_a_backfill_begins_with_names_as_of_now(rig_of: Any) -> None:
    """Also of messages whose latest events carry older names."""
    world, messages = account()
    later_on = world.now + timedelta(minutes=5)
    world.advance(later_on)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await caught_up(rig)
        assert not told(rig, messages["broadcast"], PEOPLE[0])
        for message in messages.values():
            edit_subject(world, message)
            rename_list(world, message)
            edit_analytics(world, message)
        await caught_up(rig)
        done = await rig.run("backfill", "--since", "2026-05-01T00:00:00Z")
        assert done.code == 0, done.err
        for message in messages.values():
            after = edited(properties_of(message), "email_subject", 'Other, "one"')
            after["list_name"] = "Néws 🎉"
            if message.kind != "transactional":
                after["google_analytics_campaign_name"] = "other-ga"
            events = told(rig, message, PEOPLE[0])
            assert events == {"Email Sent": after, "Email Opened": after}


async def test_names_that_cant_be_read_hold_nothing_up(rig_of: Any) -> None:
    """Refused, they stay as they were, while others are followed; the events come all the same."""
    world, messages = account()
    message = messages["broadcast"]
    async with rig_of(
        world=world, lists=str(LIST), BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.1"
    ) as rig:
        await caught_up(rig)
        rename_campaign(world, message)
        edit_subject(world, message)
        rig.listrak.faults.add("status:400,path=Campaign")
        rig.later(minutes=5)
        world.open(message, PEOPLE[1])
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        assert "set_aside.begun" in done.err
        after = edited(properties_of(message), "email_subject", 'Other, "one"')
        assert told(rig, message, PEOPLE[1])["Email Opened"] == after


async def test_the_state_file_has_the_names(rig_of: Any) -> None:
    """They are saved before they are used, and a subject of old rows is learned from a listing."""
    world, messages = account()
    async with rig_of(world=world, lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        await caught_up(rig)
        with sqlite3.connect(rig.state, factory=Writing) as older:
            # As a file of an older version has it.
            older.execute("UPDATE messages SET subject = NULL, described_at = NULL")
        older.close()
        rename_list(world, messages["broadcast"])
        rig.later(minutes=5)
        world.open(messages["transactional"], PEOPLE[1])
        await caught_up(rig)
        with sqlite3.connect(rig.state) as state:
            assert state.execute("SELECT list_name FROM lists").fetchone() == ("Néws 🎉",)
            rows = state.execute(
                "SELECT subject, properties, properties_used FROM messages"
                " WHERE properties IS NOT NULL"
            ).fetchall()
            assert len(rows) == len(messages)
            for subject, properties, used in rows:
                assert (subject, used) == ("Hello", 0)
                assert json.loads(properties)["list_name"] == "Néws 🎉"
        state.close()
