"""`estimate`: the figures of an account as it is, whatever is on it and whatever fails."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from in_process import undisturbed_process
from rig import MakeRig, Rig, make_rig, quiet_world, retailer

from bridge.clock import DAY
from bridge.commands.estimate import ReadAccount, estimate, read_account
from bridge.commands.estimation.asking import Bounds
from bridge.environment import settings
from bridge.errors import BridgeError, ConfigurationError, TemporaryError
from bridge.event_types import CLICKED, OPENED, SENT, SPAM
from bridge.flow.forecast.forecast import forecast
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(40)]
BOUNDS = Bounds()


@pytest.fixture
def rig_of(tmp_path: Path) -> MakeRig:
    """Makes rigs whose bridge would poll rarely: a life is lived sooner then."""
    return lambda **options: make_rig(tmp_path, **{"BRIDGE_POLL_INTERVAL": "900", **options})


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


def a_list(list_id: int = LIST, world: World | None = None) -> World:
    """An account with a list of people."""
    world = world or quiet_world()
    world.add_list("News", list_id=list_id)
    for email in PEOPLE:
        world.subscribe(list_id, email)
    return world


async def read(rig: Rig, bounds: Bounds = BOUNDS, **environment: str | None) -> ReadAccount:
    """The account as an estimate reads it."""
    with undisturbed_process(rig):
        loaded = settings.load(rig.with_settings(environment))
        return await read_account(loaded, loaded.lists, bounds)


async def test_a_retailer(rig_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, rows, events, bills and freshness, for programs; nothing is sent or stored."""
    async with rig_of(
        world=retailer(contacts=25, days=20), LISTRAK_REQUESTS_PER_SECOND="100"
    ) as rig:
        with undisturbed_process(rig):
            loaded = settings.load(rig.with_settings({"BRIDGE_SINCE": "5d"}))
            await estimate(loaded, loaded.lists, for_programs=True)
        answer = json.loads(capsys.readouterr().out)
        assert not rig.state.exists()
        assert not list(rig.segment.received())
        contacts = {
            one.list_id: sum(contact.subscribed for contact in one.contacts.values())
            for one in rig.world.lists.values()
        }
        assert {one["list"]: one["contacts"] for one in answer["lists"]} == contacts
        assert all(one["contacts_counted"] for one in answer["lists"])
        assert answer["first_sync"]["identifies"] == sum(contacts.values())
        assert answer["first_sync"]["tracks"] > 0
        assert 0 < answer["calls_a_second"] < 1
        assert answer["events_a_day"]["Email Sent"] > answer["events_a_day"]["Email Opened"] > 0
        assert answer["rows_a_day"]["activity"] >= answer["events_a_day"]["Email Sent"]
        assert answer["segment"]["first_month"]["api_calls"] > sum(contacts.values())
        assert 0 < answer["calls_taken"] < 400
        assert {one["age"] for one in answer["freshness_seconds"]} >= {"first day"}
        assert not answer["problems"]
        assert "@" not in json.dumps(answer)


async def test_the_same_twice(rig_of: Any) -> None:
    """An estimate of the same figures is the same: nothing of it is left to chance."""
    async with rig_of(world=retailer(contacts=10, days=5)) as rig:
        known = await read(rig)
    first, again = (forecast(known.account, known.terms) for _ in range(2))
    assert first == again


async def test_an_account_without_messages(rig_of: Any) -> None:
    """Only contacts and listings cost anything, and only contacts are told."""
    async with rig_of(world=a_list(), lists=str(LIST)) as rig:
        known = await read(rig)
    expected = forecast(known.account, known.terms)
    assert expected.first.identifies == len(PEOPLE)
    assert {name for name, number in expected.events.items() if number} == {"identify"}
    assert not expected.freshness
    assert set(expected.cost.rows) >= {"contacts"}
    assert expected.cost.calls["summary"] == 0


async def test_only_transactional_messages(rig_of: Any) -> None:
    """They have no counters: what is sent in a day is taken from their rows."""
    world = a_list()
    mail = world.send_transactional(LIST, PEOPLE)
    for email in PEOPLE[:10]:
        world.click(mail, email)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        known = await read(rig)
    (message,) = known.account.lists[0].messages
    assert message.kind == "transactional"
    daily = {name: round(number * 7) for name, number in message.daily.items()}
    assert daily == {SENT: len(PEOPLE), OPENED: 10, CLICKED: 10}
    expected = forecast(known.account, known.terms)
    assert expected.cost.calls["activity"] > 0
    assert expected.cost.calls["summary"] == 0
    assert expected.events[CLICKED] == pytest.approx(10 / 7)


async def test_conversations(rig_of: Any) -> None:
    """Of what goes on sending recent emails count, with what becomes of all of its emails."""
    world = a_list()
    talk = world.send_conversation(LIST, PEOPLE[:20])
    for email in PEOPLE[:10]:
        world.open(talk, email)
    world.advance(world.now + timedelta(days=20))
    world.send_conversation(LIST, PEOPLE[20:34], message=talk)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        known = await read(rig)
    (message,) = known.account.lists[0].messages
    assert message.counts[SENT] == 34
    assert message.daily[SENT] == pytest.approx(2)
    assert message.daily[OPENED] == pytest.approx(2 * 10 / 34)


async def test_many_lists(rig_of: Any) -> None:
    """Where none are configured, all of the account count; contacts of several are one person."""
    world = quiet_world()
    for number in range(30):
        a_list(100 + number, world)
    async with rig_of(world=world) as rig:
        with undisturbed_process(rig):
            known = await read_account(settings.load(rig.environment), None, BOUNDS)
    assert [one.list_id for one in known.account.lists] == list(range(100, 130))
    assert known.account.people == (len(PEOPLE), len(PEOPLE))
    expected = forecast(known.account, known.terms)
    assert expected.first.identifies == 30 * len(PEOPLE)
    assert expected.first_month.users == (
        len(PEOPLE),
        len(PEOPLE) + 30 * expected.events["identify"],
    )


async def test_a_list_that_is_not_there(rig_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are estimated; then the problem ends it."""
    async with rig_of(world=a_list(), lists=f"{LIST},99") as rig:
        with undisturbed_process(rig):
            loaded = settings.load(rig.environment)
            with pytest.raises(ConfigurationError, match="no list 99"):
                await estimate(loaded, loaded.lists, for_programs=True)
    answer = json.loads(capsys.readouterr().out)
    assert [one["list"] for one in answer["lists"]] == [LIST]


@pytest.mark.parametrize("resource", ["/Contact", "/Conversation", "Summary", "Activity"])
async def test_a_scope_that_is_refused(
    rig_of: Any, resource: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be read is estimated, what can't is told; it ends as a temporary failure."""
    world = a_list()
    message = world.send_broadcast(LIST, PEOPLE)
    world.open(message, PEOPLE[0])
    world.advance(world.now + timedelta(days=3))
    async with rig_of(world=world, lists=str(LIST)) as rig:
        rig.listrak.faults.add(f"status:401,path={resource}")
        with undisturbed_process(rig):
            loaded = settings.load(rig.environment)
            with pytest.raises(TemporaryError, match="denies access") as caught:
                await estimate(loaded, loaded.lists, for_programs=True)
    assert caught.value.exit_code == 75
    answer = json.loads(capsys.readouterr().out)
    assert answer["problems"]
    assert answer["calls_a_second"] > 0


async def test_wrong_credentials_end_it_at_once(rig_of: Any) -> None:
    """Nothing can be told then."""
    async with rig_of(world=a_list(), lists=str(LIST), LISTRAK_CLIENT_SECRET="wrong") as rig:
        with pytest.raises(BridgeError) as caught:
            await read(rig)
    assert caught.value.exit_code == 78


async def test_what_is_asked_is_bounded(rig_of: Any) -> None:
    """Of many messages and contacts a part is asked for, and it says so; the sums are of all."""
    world = a_list()
    for number in range(200):
        world.advance(world.now + timedelta(hours=3))
        world.send_broadcast(LIST, PEOPLE[: 30 + number % 3])
    bounds = Bounds(counters=20, ongoing=5, contact_pages=1, sample_pages=2)
    async with rig_of(world=world, lists=str(LIST), switches=Switches(page_rows=10)) as rig:
        known = await read(rig, bounds)
    (one,) = known.account.lists
    assert sum(message.stands_for for message in one.messages) == pytest.approx(200)
    assert len(one.messages) == 20
    assert known.asking.cost().calls["summary"] == 20
    assert known.asking.cost().all_calls < 100
    assert (one.contacts.subscribed, one.contacts.is_counted) == (32, False)
    notes = "\n".join(known.asking.notes)
    assert "Of 200 broadcasts 20 were asked" in notes
    assert "contacts were not counted to the end" in notes
    expected = forecast(known.account, known.terms)
    assert expected.events[SENT] == pytest.approx(200 * 31 * DAY / known.account.window, rel=0.05)


@pytest.mark.parametrize("reading", ["filters", "ignored", "refused"])
async def test_what_filters_do_is_tried(rig_of: Any, reading: Any) -> None:
    """A call for each activityType tells whether the account filters by it."""
    world = a_list()
    message = world.send_broadcast(LIST, PEOPLE)
    world.open(message, PEOPLE[0])
    world.complain(message, PEOPLE[1])
    world.advance(world.now + timedelta(days=1))
    async with rig_of(
        world=world, lists=str(LIST), switches=Switches(activity_type=reading)
    ) as rig:
        behaviour = (await read(rig)).account.behaviour
    types = {"open", "bounce", "unsubscribe", "conversion", "abuse"}
    assert behaviour.complaints == 1 / len(PEOPLE)
    if reading == "filters":
        assert (set(behaviour.filters), set(behaviour.unfiltered)) == (types, set())
    else:
        assert (set(behaviour.filters), set(behaviour.unfiltered)) == (set(), types)


async def test_what_is_not_sent_yet(rig_of: Any) -> None:
    """A draft, and what is scheduled, cost calls, as they may be sent; nothing is sent usually."""
    world = a_list()
    world.add_message(LIST, "message", dated=False)
    world.add_message(LIST, "message").sent_at = world.now + timedelta(days=2)
    async with rig_of(world=world, lists=str(LIST)) as rig:
        known = await read(rig)
    assert known.account.lists[0].unsent == 2
    assert not known.account.lists[0].messages
    assert forecast(known.account, known.terms).cost.calls["summary"] > 0


async def test_events_that_are_not_wanted(rig_of: Any) -> None:
    """They are read all the same, and not told."""
    async with rig_of(world=retailer(contacts=10, days=5), BRIDGE_EVENTS=SPAM) as rig:
        few = await read(rig)
        all_of_them = await read(rig, BRIDGE_EVENTS="all")
    told, usual = (forecast(one.account, one.terms) for one in (few, all_of_them))
    assert set(told.events) == {SPAM, "identify"}
    assert told.cost == usual.cost
