"""Properties beyond the ten of Listrak's own source: sent only where they are asked for."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rig import Rig, quiet_world

from bridge.event_types import BOUNCED, CLICKED, OPENED, SENT, UNSUBSCRIBED
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(4)]
ALL = "bounce_reason,link_description,campaign_id"
REASONS = {PEOPLE[0]: "Mailbox Full", PEOPLE[1]: "Auto Reply", PEOPLE[2]: "Mailbox Full"}


def account() -> World:
    """A list with a campaign, on which a message of each kind was sent, clicked and bounced."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    world.lists[LIST].campaigns[8] = "Spring"
    for email in PEOPLE:
        world.subscribe(LIST, email)
    sends: list[Callable[..., Any]] = [
        world.send_broadcast,
        world.send_conversation,
        world.send_transactional,
    ]
    for send in sends:
        message = send(LIST, PEOPLE, campaign_id=8)
        send(LIST, PEOPLE[:1])
        world.advance(world.now + timedelta(minutes=5))
        world.click(message, PEOPLE[3])
        for email, reason in REASONS.items():
            world.bounce(message, email, reason)
    world.unsubscribe(LIST, PEOPLE[3])
    world.advance(world.now + timedelta(minutes=5))
    return world


def received(rig: Rig) -> dict[str, dict[str, Any]]:
    """By id, the events that Segment received; each came once."""
    events = list(rig.segment.received())
    by_id = {event["messageId"]: event for event in events if event["type"] == "track"}
    assert len(by_id) == len([event for event in events if event["type"] == "track"])
    return by_id


async def caught_up(rig: Rig, **settings: Any) -> dict[str, dict[str, Any]]:
    """All events after a catch-up."""
    await rig.caught_up(**settings)
    return received(rig)


def remove_files(folder: Path) -> None:
    """Makes place for another rig."""
    for file in folder.iterdir():
        file.unlink()


def expected_of(event: dict[str, Any]) -> dict[str, str]:
    """The extra properties that an event is to carry."""
    extra = {}
    if event["properties"].get("campaign_name"):
        extra["campaign_id"] = "8"
    if event["event"] == BOUNCED:
        extra["bounce_reason"] = REASONS[event["anonymousId"]]
    return extra


@pytest.mark.parametrize("extra_fields", [False, True])
async def test_only_where_asked_for(rig_of: Any, tmp_path: Path, extra_fields: bool) -> None:
    """With the setting the same events come, with the same ids, each with what it alone has."""
    told = {}
    for asked in ("none", ALL):
        async with rig_of(
            world=account(),
            lists=str(LIST),
            switches=Switches(extra_fields=extra_fields),
            BRIDGE_SINCE="30d",
            BRIDGE_EXTRA_PROPERTIES=asked,
        ) as rig:
            told[asked] = await caught_up(rig)
        remove_files(tmp_path)
    without, extra = told["none"], told[ALL]
    assert extra.keys() == without.keys()
    assert len([event for event in extra.values() if event["event"] == BOUNCED]) == 9
    for message_id, event in without.items():
        properties = {**event["properties"], **expected_of(event)}
        assert extra[message_id]["properties"] == properties
        # The emulated links have no description.
        assert "link_description" not in properties
    assert any("campaign_id" in event["properties"] for event in extra.values())
    assert any("campaign_id" not in event["properties"] for event in extra.values())


async def test_asking_later_sends_nothing_again(rig_of: Any) -> None:
    """On and off again: what was sent stays, what is new has what is asked for at the time."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        world = rig.world
        before = await caught_up(rig)
        assert not [one for one in before.values() if "campaign_id" in one["properties"]]
        (message,) = [one for one in world.lists[LIST].messages.values() if one.campaign_id]
        for asked, email in ((ALL, PEOPLE[0]), ("none", PEOPLE[1]), ("campaign_id", PEOPLE[2])):
            rig.clock.advance(timedelta(minutes=5))
            world.advance(rig.clock.now)
            world.click(message, email)
            world.send_broadcast(LIST, [email])
            after = await caught_up(rig, BRIDGE_EXTRA_PROPERTIES=asked)
            new = [after[message_id] for message_id in after.keys() - before.keys()]
            assert Counter(event["event"] for event in new) == {OPENED: 1, CLICKED: 1, SENT: 1}
            for event in new:
                of_message = event["properties"]["email_id"] == str(message.message_id)
                expected = of_message and asked != "none"
                assert ("campaign_id" in event["properties"]) is expected
            before = after


async def test_an_unsubscribe_carries_those_of_its_message(rig_of: Any) -> None:
    """Where Listrak tells which it was."""
    world = account()
    (message,) = [one for one in world.lists[LIST].messages.values() if one.campaign_id]
    world.opt_out(message, PEOPLE[1])
    async with rig_of(
        world=world, lists=str(LIST), BRIDGE_SINCE="30d", BRIDGE_EXTRA_PROPERTIES=ALL
    ) as rig:
        events = (await caught_up(rig)).values()
        by_email = {
            event["anonymousId"]: event["properties"].get("campaign_id")
            for event in events
            if event["event"] == UNSUBSCRIBED
        }
        assert by_email == {PEOPLE[1]: "8", PEOPLE[3]: None}


async def test_a_backfill_carries_them(rig_of: Any) -> None:
    """History that was withheld has them as well."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_EXTRA_PROPERTIES=ALL) as rig:
        assert await caught_up(rig) == {}
        done = await rig.run("backfill", "--since", "2026-05-01T00:00:00Z")
        assert done.code == 0, done.err
        events = received(rig).values()
        assert len([event for event in events if event["event"] == BOUNCED]) == 9
        for event in events:
            expected = expected_of(event)
            assert expected.items() <= event["properties"].items()
            assert ("campaign_id" in event["properties"]) is ("campaign_id" in expected)
