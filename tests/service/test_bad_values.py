"""Rows that can't be read: what is certain is delivered, all else is one dead letter a row."""

import json
from datetime import timedelta
from typing import Any

import anyio
import pytest
from in_process import caught_up
from rig import Rig, make_rig, quiet_world, retailer

from bridge.sandbox.bad_values import BadValues
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.judge import judge
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

EVENTS = {
    "open": "Email Opened",
    "bounce": "Email Bounced",
    "abuse": "Email Marked As Spam",
    "orderTotal": "Email Converted",
}
ALL = {"Email Sent", *EVENTS.values()}
SHARES = {"Activity": 0.4, "Clicker": 0.3, "/Link": 0.5, "Summary": 0.5}

# Drawn by hand so that each field meets several kinds, and each kind several fields.
DRAWS = [
    {
        "Activity": {
            "emailAddress": "number",
            "sendDate": "list",
            "activityDate": "huge",
            "open": "text",
            "bounce": "number",
            "abuse": "object",
            "orderTotal": "nan",
            "unsubscribe": "negative",
            "clickCount": "again",
            "": "null",
        },
        "Clicker": {"emailAddress": "null", "clickDate": "number"},
        "/Link": {"clickCount": "negative"},
        "Summary": {"openCount": "null", "sentCount": "text", "revenue": "infinity"},
    },
    {
        "Activity": {
            "emailAddress": "again",
            "sendDate": "half",
            "activityDate": "text",
            "open": "again",
            "bounce": "again",
            "abuse": "huge",
            "orderTotal": "list",
            "unsubscribe": "again",
            "clickCount": "again",
            "": "text",
        },
        "Clicker": {"emailAddress": "again", "clickDate": "long"},
        "/Link": {"linkUrl": "number"},
        "Summary": {"": "list"},
    },
]


def dead_letters(rig: Rig) -> list[tuple[str, str, str, Any]]:
    """All dead letters: event, messageId, reason, body."""
    rows = rig.rows("SELECT event, message_id, reason, body FROM dead_letters")
    return [(event, own, reason, json.loads(body)) for event, own, reason, body in rows]


def matters(path: str, of: str, row: dict[str, Any]) -> bool:
    """Tells whether anything depends on a field of a row that can't be read."""
    if of == "activityDate":
        clicks = "Transactional" in path and row["clickCount"]
        return bool(clicks) or any(row[name] not in (None, False) for name in EVENTS)
    if of == "clickCount":
        return "Transactional" in path
    return "/Summary" not in path


@pytest.mark.parametrize("draw", DRAWS, ids=["first", "second"])
async def test_messages(rig_of: Any, tmp_path: Any, draw: dict[str, dict[str, str]]) -> None:
    """Of all that a healthy account makes due only what depends on bad values is missing; each bad
    row is one dead letter, and stays one; mended, all is there."""
    since = retailer().now - timedelta(days=4)
    settings: dict[str, Any] = {"BRIDGE_SINCE": since.isoformat()}
    (tmp_path / "healthy").mkdir()
    async with make_rig(tmp_path / "healthy", world=retailer(), **settings) as healthy:
        await healthy.caught_up()
        due = healthy.delivered()
    async with rig_of(world=retailer(), **settings) as rig:
        faults = [
            BadValues.drawn([*fields.items()], SHARES[path], path) for path, fields in draw.items()
        ]
        for fault in faults:
            rig.listrak.faults.add(fault)
        await rig.caught_up()
        sent, dead = rig.delivered(), dead_letters(rig)
        bad = {
            key: (row, of)
            for fault in faults
            for key, (row, of) in fault.spoiled.items()
            if of and matters(key[0], of, row)
        }
        more = [event for own, event in sent.items() if own not in due]
        assert more == []
        for event in (due[own] for own in due.keys() - sent.keys()):
            assert any(explains(event, key[0], *bad[key]) for key in bad), event
        for key, (row, of) in bad.items():
            if is_single(key[0]):
                there = [event for event in sent.values() if explains(event, key[0], row, of)]
                assert there == []
        # What is null, or the same text, can't be told apart.
        alike = [key for key, (_, of) in bad.items() if of == "row" and "Activity" in key[0]]
        distinct = len(bad) - len(alike) + len({path for path, _ in alike})
        assert (len(dead), len({own for _, own, *_ in dead})) == (distinct, distinct)
        assert rig.adds_up()
        assert not rig.complaints()
        # Nothing is repeated.
        await rig.caught_up()
        assert (rig.delivered(), len(dead_letters(rig))) == (sent, len(dead))
        assert rig.adds_up()
        listed = await rig.run("dead-letters", "list")
        assert "can't be read for certain: its" in listed.out
        assert "@" not in listed.out
        # Listrak mends its rows.
        rig.listrak.faults.clear()
        assert (await rig.run("reconcile", "--repair")).code == 0
        await rig.caught_up()
        assert rig.delivered().keys() == due.keys()
        assert rig.adds_up()


def active(world: World) -> World:
    """The world, in which all that has no date of its own happens to a message of each kind."""
    for message in list(world.lists[LIST].emails()):
        for row in message.rows:
            world.click(message, row.email, row=row)
            world.order(message, row.email, 1250, row=row)
            world.complain(message, row.email, row=row)
    return world


def account() -> World:
    """An account with a message of each kind, to some who did nothing yet."""
    world = quiet_world()
    world.add_list("List", list_id=LIST)
    people = [f"person{number}@example.com" for number in range(3)]
    for email in people:
        world.subscribe(LIST, email)
    world.send_broadcast(LIST, people)
    world.send_conversation(LIST, people)
    world.send_transactional(LIST, people, subject="Receipt")
    return world


async def interrupted(rig: Rig, requests: int) -> None:
    """Begins a catch-up that ends after so many requests to Listrak, whatever is on its way."""
    end = sum(rig.listrak.requests.values()) + requests
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caught_up, rig, {})
        while sum(rig.listrak.requests.values()) < end:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


LIST = 12345
UNREADABLE = ["bad_values:what=null,share=1", "bad_values:what=list,of=orderTotal,share=1", "empty"]


@pytest.mark.parametrize("fault", UNREADABLE)
async def test_dates_of_mended_rows(rig_of: Any, fault: str) -> None:
    """What is not dated itself is dated by the latest poll that could read its row."""
    world = account()
    since = world.now - timedelta(days=1)
    settings: dict[str, Any] = {"BRIDGE_SINCE": since.isoformat()}
    async with rig_of(world=world, lists=str(LIST), **settings) as rig:
        await caught_up(rig, {})
        active(rig.later(hours=1))
        rig.listrak.faults.add(f"{fault},path=Activity")
        rig.later(hours=1)
        await interrupted(rig, requests=13)
        await caught_up(rig, {})
        rig.listrak.faults.clear()
        await caught_up(rig, {})
        expected = Expectations(lists={LIST: None}, since=since)
        verdict = judge(rig.world, rig.segment.received(), expected)
        assert verdict.expected["Email Converted"] == verdict.expected["Email Marked As Spam"] == 9
        assert verdict.ok, str(verdict)
        assert rig.adds_up()


@pytest.mark.parametrize("fault", [UNREADABLE[0], UNREADABLE[-1]])
async def test_old_rows_of_a_first_poll(rig_of: Any, fault: str) -> None:
    """What a first poll could not read, and is from before the start horizon, is not sent later."""
    active(world := account())
    world.advance(world.now + timedelta(hours=2))
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.listrak.faults.add(f"{fault},path=Activity")
        await caught_up(rig, {})
        rig.later(hours=1)
        rig.listrak.faults.clear()
        await caught_up(rig, {})
        assert {event["type"] for event in rig.segment.received()} <= {"identify"}
        assert rig.adds_up()


def is_single(path: str) -> bool:
    """Tells whether an address has one row: others are sent again and again."""
    return path.endswith("/Link") or ("/Message/" in path and "/Conversation/" not in path)


def explains(event: dict[str, Any], path: str, row: dict[str, Any], of: str) -> bool:
    """Tells whether an event isn't there since a field of a row can't be read."""
    name, properties, kept = event.get("event"), event.get("properties", {}), path.split("/")
    if properties.get("email_id") not in kept:
        return False
    if path.endswith("/Link"):
        return name == "Email Link Clicked" and properties.get("link_id") == str(row["linkId"])
    if event["anonymousId"] != row["emailAddress"]:
        return False
    if path.endswith("/Clicker"):
        clicked = event.get("timestamp", "")[14:19] == row["clickDate"][14:19]
        return name == "Email Link Clicked" and properties.get("link_id") in kept and clicked
    clicks = {"Email Link Clicked"} if "Transactional" in path else set[str]()
    own = {"row": ALL | clicks, "activityDate": ALL - {"Email Sent"} | clicks}
    own |= {"emailAddress": own["row"], "sendDate": own["row"], "clickCount": clicks}
    return name in own.get(of, {EVENTS.get(of)})


NAMES = [("/v1/List$", "listName"), ("/Campaign$", "campaignName")]
NAMES += [
    (path, field)
    for path in ("/Message$", "/Conversation$", "/TransactionalMessage$", "/Message/4")
    for field in ("subject", "campaignId", "googleAnalyticsCampaignName")
]


@pytest.mark.parametrize("what", ["long", "list"])
async def test_names_stay_as_they_were(swift_folder: Any, what: str) -> None:
    """Whatever can't be read of them, events of emails that are known have all their properties."""
    since = retailer().now
    async with make_rig(swift_folder, world=retailer(days=3)) as rig:
        await rig.caught_up()
        for path, field in NAMES:
            rig.listrak.faults.add(f"bad_values:{what},of={field},path={path},share=1.0")
        rig.later(hours=3)
        await rig.caught_up(BRIDGE_TRACK_DAYS="29")
        before = {one.message_id for one in messages(rig) if one.sent_at and one.sent_at < since}
        now = [one for one in rig.segment.received() if one["type"] == "track"]
        assert len(now) > 5
        for event in now:
            told = event["properties"]
            if "email_id" in told and int(told["email_id"]) in before:
                assert "email_subject" in told
            assert told["list_name"] == rig.world.lists[int(told["list_id"])].name
        verdict = rig.verdict(since, first_poll=since)
        known = [text for text in verdict.wrong if any(str(number) in text for number in before)]
        assert known == []


def messages(rig: Rig) -> list[Any]:
    """All emails of the account."""
    return [message for owner in rig.world.lists.values() for message in owner.emails()]
