"""Time passes and settings change: nothing that was due is missing, nothing is sent twice."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from rig import Rig, quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LIST, OTHER = 12345, 13456
PEOPLE = [f"person{number}@example.com" for number in range(5)]


def account() -> World:
    """An account of two lists with a few contacts, of which nothing was sent yet."""
    world = quiet_world()
    for list_id in (LIST, OTHER):
        world.add_list(f"List {list_id}", list_id=list_id)
        world.add_field(list_id, "Customer ID")
        for email in PEOPLE:
            world.subscribe(list_id, email)
    return world


def sent(rig: Rig) -> Counter[str]:
    """Numbers of what Segment received, by name; each messageId was received once."""
    ids = Counter(event["messageId"] for event in rig.segment.received())
    assert not [one for one, number in ids.items() if number > 1]
    return Counter(event.get("event") or event["type"] for event in rig.segment.received())


def sent_of(rig: Rig, message: Message) -> Counter[str]:
    """Numbers of what Segment received of a message (by its subject), by name."""
    events = [event for event in rig.segment.received() if event["type"] == "track"]
    return Counter(
        event["event"]
        for event in events
        if event["properties"]["email_subject"] == message.subject
    )


def series(rig: Rig) -> list[Message]:
    """A message of a conversation and a transactional one, to a person a day for 40 days.

    Each opens the next day; the first orders then.
    """
    world = rig.world
    messages = [
        world.add_message(LIST, kind, subject=kind) for kind in ("conversation", "transactional")
    ]
    for day in range(40):
        email = PEOPLE[day % len(PEOPLE)]
        for message in messages:
            world.send(message, [email])
        rig.later(days=1)
        for message in messages:
            world.open(message, email)
            if day % 10 == 0:
                world.order(message, email, 500 + day)
    return messages


@pytest.mark.parametrize("tracked", [("30", "60"), ("30", "7", "30"), ("7", "60", "7")])
async def test_another_track_days_sends_nothing_again(
    rig_of: Any, tracked: tuple[str, ...]
) -> None:
    """What was forgotten stays forgotten, what is remembered is tracked for longer."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up(BRIDGE_TRACK_DAYS=tracked[0])
        messages = series(rig)
        await rig.caught_up(BRIDGE_TRACK_DAYS=tracked[0])
        before = sent(rig)
        for message in messages:
            own = sent_of(rig, message)
            assert own["Email Sent"] == 40
            assert own["Email Opened"] == 40
            assert own["Email Converted"] == 4
        for days in tracked[1:]:
            rig.later(days=1)
            log = await rig.caught_up(BRIDGE_TRACK_DAYS=days)
            assert "configuration.changed" in log
            await rig.caught_up(BRIDGE_TRACK_DAYS=days)
        assert sent(rig) == before
        for message in messages:
            rig.world.order(message, message.rows[-1].email, 700)
        await rig.caught_up(BRIDGE_TRACK_DAYS=tracked[-1])
        assert sent(rig) - before == {"Email Converted": 2}
        assert [sent_of(rig, message)["Email Converted"] for message in messages] == [5, 5]


@pytest.mark.parametrize("days_away", [3, 12, 90])
async def test_an_absence_loses_nothing(rig_of: Any, days_away: int) -> None:
    """Every message sent meanwhile is found and looked at once, however old it is by then."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_TRACK_DAYS="7") as rig:
        world = rig.world
        await rig.caught_up()
        talk = world.send_conversation(LIST, PEOPLE)
        mail = world.send_transactional(LIST, PEOPLE)
        known = world.send_broadcast(LIST, PEOPLE)
        await rig.caught_up()
        for _day in range(days_away):
            rig.later(hours=12)
            message = world.send_broadcast(LIST, PEOPLE)
            world.send_conversation(LIST, PEOPLE[:1], message=talk)
            world.send_transactional(LIST, PEOPLE[:1], message=mail)
            rig.later(hours=12)
            for one in (message, talk, mail):
                world.open(one, PEOPLE[0])
                world.order(one, PEOPLE[0], 1000)
        world.order(known, PEOPLE[1], 900)
        await rig.caught_up()
        arrived = sent(rig)
        assert arrived["Email Sent"] == 15 + 7 * days_away
        assert arrived["Email Opened"] == 3 * days_away
        assert arrived["Email Converted"] == 3 * days_away + 1
        rig.later(days=1)
        await rig.caught_up()
        assert sent(rig) == arrived


async def test_an_unsubscribe_in_an_absence_names_its_message(rig_of: Any) -> None:
    """Also where that message is looked at a last time afterwards."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        message = rig.world.send_broadcast(LIST, PEOPLE)
        rig.later(days=3)
        rig.world.opt_out(message, PEOPLE[0])
        rig.later(days=60)
        await rig.caught_up()
        (left,) = [one for one in rig.segment.received() if one.get("event") == "Unsubscribed"]
        assert left["properties"]["email_id"] == str(message.message_id)


async def test_a_list_added_later_begins_then(rig_of: Any) -> None:
    """What happened on it before isn't sent; what happens from then on is."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        world = rig.world
        await rig.caught_up()
        for _day in range(60):
            message = world.send_broadcast(OTHER, PEOPLE)
            world.open(message, PEOPLE[0])
            rig.later(days=1)
        log = await rig.caught_up(LISTRAK_LISTS=f"{LIST},{OTHER}")
        assert sent(rig) == {"identify": 2 * len(PEOPLE)}
        assert "list_added" in log
        rig.later(hours=1)
        world.open(message, PEOPLE[1])
        world.send_broadcast(OTHER, PEOPLE[:2])
        await rig.caught_up(LISTRAK_LISTS=f"{LIST},{OTHER}")
        assert sent(rig)["Email Opened"] == 1
        assert sent(rig)["Email Sent"] == 2


async def test_a_list_that_is_back_goes_on_where_it_was(rig_of: Any) -> None:
    """Removed for 40 days, nothing of it is missing afterwards."""
    both = f"{LIST},{OTHER}"
    async with rig_of(world=account(), lists=both, BRIDGE_TRACK_DAYS="7") as rig:
        world = rig.world
        await rig.caught_up()
        log = await rig.caught_up(LISTRAK_LISTS=str(LIST))
        assert "list_removed" in log
        for _day in range(40):
            world.open(world.send_broadcast(OTHER, PEOPLE), PEOPLE[0])
            rig.later(days=1)
        world.subscribe(OTHER, "new@example.com")
        world.delete_contact(OTHER, PEOPLE[4])
        await rig.caught_up(LISTRAK_LISTS=str(LIST))
        assert sent(rig) == {"identify": 2 * len(PEOPLE)}
        log = await rig.caught_up()
        assert "list_back" in log
        assert sent(rig)["Email Sent"] == 40 * len(PEOPLE)
        assert sent(rig)["Email Opened"] == 40
        assert sent(rig)["identify"] == 2 * len(PEOPLE) + 2


async def test_another_profile_field_is_told_at_once(rig_of: Any) -> None:
    """The running service tells the new userIds without waiting for the daily sweep."""
    world = account()
    other = world.add_field(LIST, "Loyalty number")
    field = next(iter(world.lists[LIST].fields))
    for number, email in enumerate(PEOPLE):
        world.set_profile(LIST, email, field, f"C-{number}")
        world.set_profile(LIST, email, other.field_id, f"L-{number}")
    async with rig_of(world=world, lists=f"{LIST}={field}", BRIDGE_POLL_INTERVAL="0.1") as rig:
        await rig.caught_up()
        rig.later(minutes=5)
        await rig.start("run", LISTRAK_LISTS=f"{LIST}={other.field_id}")
        await rig.segment.wait_for(2 * len(PEOPLE), timeout=20)
        told = [event["userId"] for event in rig.segment.received()]
        assert sorted(told) == sorted(f"{kind}-{n}" for kind in "CL" for n in range(len(PEOPLE)))
        assert "profile_field" in rig.log()


async def test_a_list_that_is_back_with_another_field(rig_of: Any) -> None:
    """Told with both consequences, and swept at once, however short it was away."""
    world = account()
    field = next(iter(world.lists[OTHER].fields))
    for number, email in enumerate(PEOPLE):
        world.set_profile(OTHER, email, field, f"C-{number}")
    async with rig_of(world=world, lists=f"{LIST},{OTHER}", BRIDGE_POLL_INTERVAL="0.1") as rig:
        await rig.caught_up()
        await rig.caught_up(LISTRAK_LISTS=str(LIST))
        await rig.caught_up(LISTRAK_LISTS=str(LIST), BRIDGE_TRACK_DAYS="20")
        back = f"{LIST},{OTHER}=Customer ID"
        shown = await rig.run("check", COLUMNS="400", LISTRAK_LISTS=back)
        assert f"list {OTHER} is back" in shown.out
        assert f"list {OTHER} userId from profile field {field} instead of no" in shown.out
        assert "5 contacts are known" in shown.out
        rig.later(minutes=5)
        await rig.start("run", LISTRAK_LISTS=back)
        await rig.segment.wait_for(3 * len(PEOPLE), timeout=20)
        told = [event["userId"] for event in rig.segment.received() if "userId" in event]
        assert sorted(told) == [f"C-{number}" for number in range(len(PEOPLE))]


async def test_a_list_that_began_unread(rig_of: Any) -> None:
    """Added while its fields weren't told, it is not called back; how many are told is said."""
    both = f"{LIST},{OTHER}=Customer ID"
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.listrak.faults.add(f"status:code=503,path=/List/{OTHER}/SegmentationFieldGroup")
        assert (await rig.run("run", "--once", LISTRAK_LISTS=both)).code == 75
        rig.later(hours=1)
        rig.world.send_broadcast(OTHER, PEOPLE)
        rig.listrak.faults.clear()
        rig.later(hours=1)
        shown = await rig.run("check", COLUMNS="400", LISTRAK_LISTS=both)
        assert f"list {OTHER} is read for the first time" in shown.out
        assert "contacts are identified, 5 by now" in shown.out
        log = await rig.caught_up(LISTRAK_LISTS=both)
        assert "list_begun" in log
        assert "list_back" not in log
        assert sent(rig) == {"identify": 2 * len(PEOPLE), "Email Sent": len(PEOPLE)}


async def test_other_ignored_user_ids_are_told_at_once(rig_of: Any) -> None:
    """Told before, without the values; who had one of them has no userId any more, and back."""
    world = account()
    field = next(iter(world.lists[LIST].fields))
    for email in PEOPLE[:2]:
        world.set_profile(LIST, email, field, "walk-in")
    async with rig_of(world=world, lists=f"{LIST}={field}", BRIDGE_POLL_INTERVAL="0.1") as rig:
        await rig.caught_up()
        rig.later(minutes=5)
        changed = {"BRIDGE_IGNORED_USER_IDS": "walk-in", "BRIDGE_EXTRA_PROPERTIES": "campaign_id"}
        shown = await rig.run("check", COLUMNS="400", **changed)
        assert f"list {LIST} other values in BRIDGE_IGNORED_USER_IDS" in shown.out
        assert "BRIDGE_EXTRA_PROPERTIES none -> campaign_id" in shown.out
        assert "walk-in" not in shown.out
        await rig.start("run", **changed)
        await rig.segment.wait_for(len(PEOPLE) + 2, timeout=20)
        told = list(rig.segment.received())[-2:]
        assert {event["anonymousId"] for event in told} == set(PEOPLE[:2])
        assert not any("userId" in event for event in told)
        assert "walk-in" not in rig.log()


def ids(rig: Rig) -> set[str]:
    """All messageIds that Segment received."""
    return {event["messageId"] for event in rig.segment.received()}


async def test_environments_share_no_id(rig_of: Any, tmp_path: Any) -> None:
    """Another write key, other ids; a lost state file with the same key, the same again."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_SINCE="30d") as rig:
        message = rig.world.send_broadcast(LIST, PEOPLE)
        rig.world.open(message, PEOPLE[0])
        await rig.caught_up()
        first = ids(rig)
        assert len(first) == 2 * len(PEOPLE) + 1
        lost = str(tmp_path / "again.db")
        assert (await rig.run("run", "--once", BRIDGE_STATE=lost)).code == 0
        assert ids(rig) == first
        state = rig.state.read_bytes()
        assert b"the-wr1te-k3y" not in state
    staging = tmp_path / "staging"
    staging.mkdir()
    async with rig_of(world=rig.world, lists=str(LIST), BRIDGE_SINCE="30d") as other:
        preview = await other.run(
            "preview",
            SEGMENT_WRITE_KEY="another-write-key",
            BRIDGE_STATE=str(staging / "bridge.db"),
        )
        assert preview.code == 0, preview.err
        shown = {json.loads(line)["messageId"] for line in preview.out.splitlines()}
        assert len(shown) == len(first)
        assert not shown & first


async def test_changes_of_no_consequence_for_data_are_told(rig_of: Any) -> None:
    """Another write key, BRIDGE_SINCE: a sentence each, once, and nothing is sent again."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        rig.world.send_broadcast(LIST, PEOPLE)
        await rig.caught_up()
        before = sent(rig)
        since = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        log = await rig.caught_up(BRIDGE_SINCE=since)
        assert '"kind": "since"' in log or "kind=since" in log
        assert "configuration.changed" not in await rig.caught_up(BRIDGE_SINCE=since)
        assert sent(rig) == before


NARROW = "Email Sent"


def live(rig: Rig, sends: list[Message]) -> None:
    """Something of every kind happens with each of some messages, to one who did nothing yet."""
    world = rig.later(hours=1)
    for message in sends:
        row = next(row for row in message.rows if not row.opened)
        link = message.links[0] if message.links else None
        world.click(message, row.email, link, row=row)
        world.order(message, row.email, 1250, row=row)
        world.complain(message, row.email, row=row)


def some_of_each(world: World) -> list[Message]:
    """A message of each kind, sent to all."""
    return [
        world.send_broadcast(LIST, PEOPLE, links=["https://shop.example/a"]),
        world.send_conversation(LIST, PEOPLE, links=["https://shop.example/b"]),
        world.send_transactional(LIST, PEOPLE),
    ]


async def test_withheld_events_are_brought_by_a_backfill(rig_of: Any) -> None:
    """Narrowed, then widened: from then on they are sent; a backfill brings the others, once."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(hours=1)
        sends = some_of_each(rig.world)
        live(rig, sends)
        await rig.caught_up()
        wide = sent(rig)
        assert wide["Email Opened"] == wide["Email Link Clicked"] == wide["Email Converted"] == 3
        log = await rig.caught_up(BRIDGE_EVENTS=NARROW)
        assert "events_narrowed" in log
        live(rig, sends)
        await rig.caught_up(BRIDGE_EVENTS=NARROW)
        withheld = sent(rig) - wide
        assert set(withheld) <= {"identify"}
        rig.later(hours=1)
        shown = await rig.run("check", COLUMNS="500")
        assert "Withheld by now, of whatever kind: events of 3 emails and 1 unsub" in shown.out
        log = await rig.caught_up()
        assert "events_widened" in log
        assert sent(rig) - wide == withheld
        live(rig, sends)
        await rig.caught_up()
        again = sent(rig)
        assert again["Email Opened"] == again["Email Link Clicked"] == 6
        assert again["Email Converted"] == again["Email Marked As Spam"] == 6
        done = await rig.run("backfill", "--events")
        assert done.code == 0, done.err
        whole = sent(rig)
        for event in ("Email Opened", "Email Link Clicked", "Email Converted"):
            assert whole[event] == 9, (event, whole, done.err)
        assert whole["Email Marked As Spam"] == 9
        assert whole["Unsubscribed"] == wide["Unsubscribed"] * 3
        assert whole["Email Sent"] == wide["Email Sent"]
        assert (await rig.run("backfill", "--events")).code == 0
        await rig.caught_up()
        assert sent(rig) == whole


async def test_events_for_warehouses_only(rig_of: Any) -> None:
    """A backfill may keep its events from all destinations but warehouses; nothing else does."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        some_of_each(rig.world)
        rig.later(hours=1)
        await rig.caught_up()
        assert set(sent(rig)) == {"identify"}
        done = await rig.run("backfill", "--since", "2026-05-20", "--warehouse-only")
        assert done.code == 0, done.err
        events = list(rig.segment.received())
        marked = [event for event in events if event.get("integrations") == {"All": False}]
        assert {event["event"] for event in marked} == {"Email Sent"}
        assert len(marked) == 3 * len(PEOPLE)
        assert len(events) == len(marked) + len(PEOPLE)


async def test_revenue_that_was_withheld_is_not_reported_as_sent(rig_of: Any) -> None:
    """`reconcile` tells what was seen from what was sent."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_EVENTS=NARROW) as rig:
        await rig.caught_up()
        message = rig.world.send_broadcast(LIST, PEOPLE)
        rig.later(hours=1)
        rig.world.order(message, PEOPLE[0], 9900)
        await rig.caught_up()
        done = await rig.run("reconcile", "--all", COLUMNS="200")
        (line,) = [line for line in done.out.splitlines() if "revenue" in line][:1]
        assert [part for part in line.split() if part[:1].isdigit()][2:5] == ["99", "99", "0"]


async def test_check_shows_what_will_change(rig_of: Any) -> None:
    """Each consequence before a start, and nothing is changed by that."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        assert "changed setting" not in (await rig.run("check")).out
        settings = {
            "LISTRAK_LISTS": f"{LIST},{OTHER}",
            "BRIDGE_EVENTS": NARROW,
            "BRIDGE_TRACK_DAYS": "7",
            "LISTRAK_TIMEZONE": "UTC",
            "SEGMENT_WRITE_KEY": "another-write-key",
            "BRIDGE_EVENTS_PER_SECOND": "1000",
        }
        for _twice in range(2):
            done = await rig.run("check", COLUMNS="400", **settings)
            assert done.code == 0, done.out
            rows = [line for line in done.out.splitlines() if "changed setting" in line]
            assert len(rows) == 6, done.out
        told = " ".join(rows)
        assert f"list {OTHER} added" in told
        assert "identified, 5 by now: about 1 min at 1,000 events/s" in told
        assert f"Started now, it begins at {rig.clock.now:%Y-%m-%dT%H:%M}" in told
        assert "5 contacts are known: about 1 min at 1,000 events/s" in told
        assert "identify --all" in told
        assert "30 -> 7" in told


async def test_a_longer_tracking_brings_nothing_from_before_a_list(rig_of: Any) -> None:
    """A broadcast that was over when its list was first read stays so: its past isn't known."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_TRACK_DAYS="7") as rig:
        world = rig.world
        message = world.send_broadcast(LIST, PEOPLE)
        rig.later(days=10)
        world.order(message, PEOPLE[0], 1000)
        rig.later(days=1)
        await rig.caught_up()
        rig.later(hours=1)
        world.open(message, PEOPLE[0])
        rig.later(hours=1)
        await rig.caught_up(BRIDGE_TRACK_DAYS="60")
        await rig.caught_up(BRIDGE_TRACK_DAYS="60")
        assert sent(rig) == {"identify": len(PEOPLE)}
