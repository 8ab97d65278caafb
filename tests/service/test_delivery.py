"""The whole service between two emulated servers: what is due arrives, once, and nothing else."""

import json
from collections import Counter
from datetime import timedelta
from itertools import product
from typing import Any

import anyio
import pytest
from rig import Rig, quiet_world, retailer

from bridge.sandbox.clock import Clock
from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio


def assert_clean(rig: Rig) -> None:
    """Segment dropped nothing, a strict reader has nothing to say, and nothing was refused."""
    assert not rig.complaints()
    assert set(rig.segment.requests) <= {200}


async def test_once_delivers_exactly_what_is_due_and_again_nothing(rig_of: Any) -> None:
    """A catch-up delivers all history since the horizon; a second one has nothing to send."""
    world = retailer(contacts=40, days=3, seed=7)
    since = world.now - timedelta(days=5)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        first = await rig.run("run", "--once")
        assert first.code == 0, first.err
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
        assert all(verdict.delivered[name] for name in verdict.expected)
        assert len(verdict.delivered) == 8
        sent = rig.segment.accepted

        again = await rig.run("run", "--once")
        assert again.code == 0, again.err
        assert rig.segment.accepted == sent
        assert rig.segment.duplicates == 0
        assert_clean(rig)


async def test_after_changes_exactly_the_changes(rig_of: Any) -> None:
    """Every later catch-up delivers what happened since the one before."""
    world = retailer(contacts=40, days=3, seed=7)
    since = world.now - timedelta(days=5)
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        for _ in range(3):
            done = await rig.run("run", "--once")
            assert done.code == 0, done.err
            verdict = rig.verdict(since)
            assert verdict.ok, verdict
            rig.clock.advance(timedelta(hours=7))
        assert rig.segment.duplicates == 0
        assert_clean(rig)


async def test_the_first_start_takes_history_as_known(rig_of: Any) -> None:
    """Without BRIDGE_SINCE contacts are identified, and only what happens from then on is sent."""
    world = retailer(contacts=40, days=3, seed=7)
    async with rig_of(world=world) as rig:
        started = rig.clock.now
        assert (await rig.run("run", "--once")).code == 0
        counts = rig.segment.counts()
        assert set(counts) == {"identify"}
        rig.clock.advance(timedelta(hours=12))
        assert (await rig.run("run", "--once")).code == 0
        verdict = rig.verdict(started, first_poll=started)
        assert verdict.ok, verdict
        assert rig.segment.counts()["Email Opened"] > 0
        assert_clean(rig)


@pytest.mark.parametrize(
    "switches",
    [
        Switches(activity_type=kind, date_type=date, cursor_style=style, **more)  # type: ignore[arg-type]
        for (kind, date), (style, more) in zip(
            product(("filters", "ignored", "refused"), ("first", "latest")),
            [
                ("token", {"empty_pages": 0.3, "page_rows": 7}),
                ("uri", {"undated": "kept", "page_rows": 11}),
                ("token", {"extra_fields": True}),
                ("uri", {"empty_pages": 0.5, "page_rows": 20}),
                ("token", {"undated": "dropped"}),
                ("uri", {"extra_fields": True, "empty_pages": 0.2}),
            ],
            strict=True,
        )
    ],
    ids=lambda switches: f"{switches.activity_type}-{switches.date_type}",
)
async def test_right_under_every_reading_of_the_api(rig_of: Any, switches: Switches) -> None:
    """The running service finds everything, whatever the undocumented parameters mean."""
    world = retailer(contacts=25, days=3, seed=7)
    since = world.now - timedelta(days=5)
    clock = Clock(world.now, speed=7200)
    async with rig_of(
        world=world,
        clock=clock,
        switches=switches,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.2",
    ) as rig:
        process = await rig.start("run")
        await rig.segment.wait_for(lambda segment: segment.accepted > 500, timeout=30)
        clock.freeze()
        process.terminate()
        assert await process.wait() == 0
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(since, extra_fields=switches.extra_fields)
        assert verdict.ok, verdict
        assert_clean(rig)


async def test_a_new_order_is_sent_as_what_the_total_rose_by(rig_of: Any) -> None:
    """Totals are cumulative: each event carries the difference, to the cent, with its own id."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    world.subscribe(list_id, "ann@example.com")
    async with rig_of(world=world, lists=str(list_id)) as rig:
        assert (await rig.run("run", "--once")).code == 0
        rig.clock.advance(timedelta(minutes=5))
        world.advance(rig.clock.now)
        message = world.send_broadcast(list_id, ["ann@example.com"])
        for cents in (5005, 3005, 1):
            rig.clock.advance(timedelta(minutes=5))
            world.advance(rig.clock.now)
            world.order(message, "ann@example.com", cents)
            assert (await rig.run("run", "--once")).code == 0
        orders = [e for e in rig.segment.received() if e.get("event") == "Email Converted"]
        assert [order["properties"]["order_total"] for order in orders] == [50.05, 30.05, 0.01]
        assert len({order["messageId"] for order in orders}) == 3


async def test_a_contact_that_changes_back_is_a_new_change(rig_of: Any) -> None:
    """Each change of a contact is an identify with an id of its own, also the way back."""
    world = quiet_world()
    owner = world.add_list("News")
    field = world.add_field(owner.list_id, "Customer ID")
    world.subscribe(owner.list_id, "ann@example.com")
    key = field if isinstance(field, int) else field.field_id
    async with rig_of(world=world, lists=f"{owner.list_id}={key}") as rig:
        for value in (None, "C-1", "C-2", "C-1", None):
            world.set_profile(owner.list_id, "ann@example.com", key, value)
            assert (await rig.run("run", "--once")).code == 0
        world.unsubscribe(owner.list_id, "ann@example.com", "Administrator")
        assert (await rig.run("run", "--once")).code == 0
        rig.clock.advance(timedelta(minutes=5))
        world.advance(rig.clock.now)
        world.resubscribe(owner.list_id, "ann@example.com")
        assert (await rig.run("run", "--once")).code == 0
        world.delete_contact(owner.list_id, "ann@example.com")
        assert (await rig.run("run", "--once")).code == 0
        told = [e for e in rig.segment.received() if e["type"] == "identify"]
        trait = f"listrak_list_{owner.list_id}"
        assert [(e.get("userId"), e["traits"][trait]) for e in told] == [
            (None, True),
            ("C-1", True),
            ("C-2", True),
            ("C-1", True),
            (None, True),
            (None, None),
            (None, True),
            (None, None),
        ]
        assert len({e["messageId"] for e in told}) == len(told)


async def test_events_that_are_not_wanted_are_not_sent_later_either(rig_of: Any) -> None:
    """BRIDGE_EVENTS filters; what was filtered counts as known when it is changed."""
    world = retailer(contacts=20, days=3, seed=7)
    since = (world.now - timedelta(days=5)).isoformat()
    async with rig_of(world=world, BRIDGE_SINCE=since) as rig:
        some = "Email Opened,Unsubscribed"
        assert (await rig.run("run", "--once", BRIDGE_EVENTS=some)).code == 0
        counts = Counter(rig.segment.counts())
        assert set(counts) == {"identify", "Email Opened", "Unsubscribed"}
        # Clicks were not even read, so they come once they are wanted; nothing else does.
        assert (await rig.run("run", "--once")).code == 0
        assert set(Counter(rig.segment.counts()) - counts) <= {"Email Link Clicked"}


async def test_preview_sends_and_stores_nothing(rig_of: Any) -> None:
    """What preview prints is what a catch-up then sends."""
    world = retailer(contacts=20, days=3, seed=7)
    since = (world.now - timedelta(days=5)).isoformat()
    async with rig_of(world=world, BRIDGE_SINCE=since) as rig:
        shown = await rig.run("preview")
        assert shown.code == 0, shown.err
        assert not rig.state.exists()
        assert rig.segment.accepted == 0
        assert (await rig.run("run", "--once")).code == 0
        events = [json.loads(line) for line in shown.out.split("\n") if line]
        received = list(rig.segment.received())
        for event in events + received:
            # Each reading of contacts has a timestamp of its own.
            assert event["timestamp"]
            if event["type"] == "identify":
                del event["timestamp"]
        assert sorted(events, key=str) == sorted(received, key=str)


async def test_the_service_polls_and_delivers_while_it_runs(rig_of: Any) -> None:
    """What happens at Listrak arrives while the service runs, without another start."""
    world = quiet_world()
    list_id = world.add_list("News").list_id
    world.subscribe(list_id, "ann@example.com")
    async with rig_of(world=world, lists=str(list_id), BRIDGE_POLL_INTERVAL="0.1") as rig:
        await rig.start("run")
        await rig.segment.wait_for(1, timeout=20)

        async def next_event(name: str) -> dict[str, Any]:
            def arrived(segment: Any) -> bool:
                return bool(segment.counts().get(name))

            with anyio.fail_after(20):
                await rig.segment.wait_for(arrived, timeout=20)
            events = [e for e in rig.segment.received() if e.get("event") == name]
            assert len(events) == 1
            return dict(events[0])

        def later() -> None:
            rig.clock.advance(timedelta(minutes=1))
            world.advance(rig.clock.now)

        later()
        message = world.send_broadcast(list_id, ["ann@example.com"])
        sent = await next_event("Email Sent")
        assert sent["properties"]["email_id"] == str(message.message_id)
        later()
        world.open(message, "ann@example.com")
        await next_event("Email Opened")
        later()
        world.opt_out(message, "ann@example.com")
        left = await next_event("Unsubscribed")
        assert left["properties"]["email_id"] == str(message.message_id)
        assert left["properties"]["unsubscribe_type"] == "Subscriber"
