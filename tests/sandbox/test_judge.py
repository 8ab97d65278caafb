import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.sandbox.account import Fact, Message, Origin, Profile
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.judge import judge
from bridge.sandbox.population import Population
from bridge.sandbox.verdict import Verdict
from bridge.sandbox.world import World

SINCE = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMES = {
    "send": "Email Sent",
    "open": "Email Opened",
    "bounce": "Email Bounced",
    "abuse": "Email Marked As Spam",
    "order": "Email Converted",
    "click": "Email Link Clicked",
}
EVENTS = [*NAMES.values(), "Unsubscribed", "identify"]
Event = dict[str, Any]


def about(world: World, message: Message) -> dict[str, str]:
    """The properties of a message, written out."""
    owner = world.lists[message.list_id]
    campaign = message.campaign_id or (message.conversation or message).campaign_id
    told = {"email_id": str(message.message_id), "email_subject": message.subject}
    told |= {"list_id": str(owner.list_id), "list_name": owner.name}
    if campaign:
        told["campaign_name"] = owner.campaigns[campaign]
    if message.google_analytics:
        told["google_analytics_campaign_name"] = message.google_analytics
    return told


def track(email: str, name: str, at: datetime, properties: dict[str, Any]) -> Event:
    return {
        "type": "track",
        "event": name,
        "anonymousId": email,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "properties": properties,
        "context": {
            "traits": {"email": email},
            "library": {"name": "listrak-segment-bridge", "version": "1"},
        },
    }


def tell_fact(world: World, fact: Fact) -> Event:
    """The event of a fact that is not about a contact's state."""
    if fact.what == "unsubscribe":
        owner = world.lists[fact.list_id]
        told: dict[str, Any] = {"list_id": str(owner.list_id), "list_name": owner.name}
        if fact.message is not None:
            told = dict(about(world, fact.message))
        return track(fact.email, "Unsubscribed", fact.at, told | {"unsubscribe_type": fact.method})
    assert fact.message is not None
    assert fact.row is not None
    told = dict(about(world, fact.message))
    at = fact.at
    if fact.what in ("open", "bounce"):
        at = fact.row.first_activity or at
    if fact.what == "order":
        told["order_total"] = fact.cents / 100
    if fact.link is not None:
        told |= {"link_id": str(fact.link.link_id), "link_url": fact.link.url}
    return track(fact.email, NAMES[fact.what], at, told)


def tell(world: World, lists: dict[int, int | None], since: datetime) -> list[Event]:
    """What a perfect witness sends, who saw everything as it happened."""
    events: list[Event] = []
    known: dict[tuple[int, str], tuple[bool | None, str | None] | None] = {}
    facts = sorted((f for f in world.log if f.list_id in lists), key=lambda f: f.at)
    for fact in facts:
        if fact.state is None:
            if fact.at >= since:
                events.append(tell_fact(world, fact))
            continue
        field = lists[fact.list_id]
        user = fact.state.values.get(field) or None if field is not None else None
        state = (fact.state.subscribed or None, user)
        person = (fact.list_id, fact.email)
        if state == known.get(person, (None, None)) or (state[0] is None and person not in known):
            continue
        if fact.at < since:  # Of the time before only the last state is told, if it is a true one.
            events = [e for e in events if e.get("person") != person]
        if fact.at < since and state[0] is None:
            del known[person]
            continue
        known[person] = state
        traits = {"email": fact.email, f"listrak_list_{fact.list_id}": state[0]}
        event: Event = {"type": "identify", "anonymousId": fact.email, "traits": traits}
        events.append(event | ({"userId": user} if user else {}) | {"person": person})
    for number, event in enumerate(events):
        event.pop("person", None)
        event["messageId"] = f"m{number}"
    return events


@pytest.fixture
def world() -> World:
    """One of everything, after the horizon."""
    world = World(start=SINCE - timedelta(days=1))
    owner = world.add_list("Café")
    field = world.add_field(owner.list_id, "Customer ID")
    campaign = world.add_campaign(owner.list_id, "Sale")
    for email in ("a@example.com", "b@example.com", "c@example.com", "d@example.com"):
        world.subscribe(owner.list_id, email, profile=Profile({field.field_id: f"C-{email[0]}"}))
    world.advance(SINCE + timedelta(hours=1))
    message = world.send_broadcast(
        owner.list_id,
        ["a@example.com", "b@example.com", "c@example.com", "d@example.com"],
        campaign_id=campaign,
        google_analytics="ga",
    )
    receipt = world.send_transactional(owner.list_id, ["a@example.com"], subject="Receipt")
    world.advance(world.now + timedelta(minutes=5))
    world.click(message, "a@example.com")
    world.click(receipt, "a@example.com")
    world.advance(world.now + timedelta(minutes=5))
    world.order(message, "a@example.com", 1999)
    world.bounce(message, "b@example.com")
    world.complain(message, "c@example.com")
    world.opt_out(message, "d@example.com")
    world.set_profile(owner.list_id, "a@example.com", field.field_id, "C-new")
    world.advance(world.now + timedelta(minutes=5))
    world.order(message, "a@example.com", 501)
    return world


def lists_of(world: World) -> dict[int, int | None]:
    """Each list with its first field."""
    return {i: next(iter(owner.fields), None) for i, owner in world.lists.items()}


def verdict_on(world: World, events: list[Event], **options: Any) -> Verdict:
    return judge(world, events, Expectations(lists=lists_of(world), since=SINCE, **options))


def index_of(events: list[Event], name: str) -> int:
    return next(i for i, e in enumerate(events) if name in (e.get("event"), e["type"]))


def test_a_perfect_witness_passes(world: World) -> None:
    """Everything told once and exactly is the contract."""
    events = tell(world, lists_of(world), SINCE)
    verdict = verdict_on(world, events)
    assert verdict.ok, str(verdict)
    assert set(EVENTS) == set(verdict.expected) == set(verdict.delivered)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_perfect_witness_passes_on_a_lived_world(seed: int) -> None:
    """So it is with a whole population, of which some was before the horizon."""
    world = World(start=SINCE - timedelta(days=1))
    Population(world, seed=seed, contacts=60, lists=3, activity=2).populate()
    world.advance(SINCE + timedelta(days=2))
    events = tell(world, lists_of(world), SINCE)
    verdict = verdict_on(world, events, first_poll=SINCE)
    assert verdict.ok, str(verdict)
    assert set(EVENTS) == set(verdict.expected)


def test_autumn_hour_may_be_read_either_way() -> None:
    """A timestamp in the repeated hour is right in both readings, and in no third."""
    world = World(start=datetime(2026, 11, 1, 5, 30, tzinfo=UTC))
    owner = world.add_list("One")
    world.subscribe(owner.list_id, "a@example.com")
    world.send_broadcast(owner.list_id, ["a@example.com"])
    for hours, right in ((-1, False), (0, True), (1, True), (2, False)):
        events = tell(world, lists_of(world), SINCE)
        sent = events[index_of(events, "Email Sent")]
        at = world.now + timedelta(hours=hours)
        sent["timestamp"] = at.isoformat()
        assert verdict_on(world, events).ok is right


@pytest.mark.parametrize("name", EVENTS)
def test_missing(world: World, name: str) -> None:
    """An event that didn't come is missed."""
    events = tell(world, lists_of(world), SINCE)
    index = max(i for i, e in enumerate(events) if name in (e.get("event"), e["type"]))
    del events[index]
    verdict = verdict_on(world, events)
    # Of two orders one still came: the sum is wrong.
    assert verdict.wrong if name == "Email Converted" else verdict.missing
    assert not verdict.ok


@pytest.mark.parametrize("name", EVENTS)
def test_told_twice(world: World, name: str) -> None:
    """Told again under another messageId is one too many."""
    events = tell(world, lists_of(world), SINCE)
    index = index_of(events, name)
    events.insert(index + 1, events[index] | {"messageId": "another"})
    verdict = verdict_on(world, events)
    assert verdict.extra
    assert not verdict.missing


@pytest.mark.parametrize("name", EVENTS)
def test_repeats(world: World, name: str) -> None:
    """The same event sent again is a duplicate and no fault; another one of that id is."""
    events = tell(world, lists_of(world), SINCE)
    event = events[index_of(events, name)]
    verdict = verdict_on(world, [*events, event | {"sentAt": "2026-03-02T12:00:00Z"}])
    assert verdict.ok
    assert verdict.duplicates == {name: 1}
    verdict = verdict_on(world, [*events, event | {"anonymousId": "other@example.com"}])
    assert len(verdict.wrong) == 1


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "identify"])
def test_wrong_timestamp(world: World, name: str) -> None:
    """A timestamp off its bounds is caught, whether exact or best known."""
    events = tell(world, lists_of(world), SINCE)
    event = events[index_of(events, name)]
    for wrong in ("2026-03-02T12:00:00Z", "2026-03-02T14:00:00Z", "2026-03-02T13:00:00", None):
        event["timestamp"] = wrong
        assert not verdict_on(world, events).ok


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "identify"])
def test_wrong_properties(world: World, name: str) -> None:
    """Every property of every event is compared; none may be added, none left out."""
    events = tell(world, lists_of(world), SINCE)
    index = index_of(events, name)
    for key in (*events[index]["properties"], "unheard_of"):
        for wrong in ("other", 12.5, None):
            altered = copy.deepcopy(events)
            altered[index]["properties"][key] = wrong
            assert not verdict_on(world, altered).ok
        altered = copy.deepcopy(events)
        if altered[index]["properties"].pop(key, None):
            assert not verdict_on(world, altered).ok


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "identify"])
def test_wrong_envelope(world: World, name: str) -> None:
    """A track has no userId, one email in both places, and the library's name and version."""
    events = tell(world, lists_of(world), SINCE)
    index = index_of(events, name)
    context = events[index]["context"]
    for wrong in (
        {"userId": "C-a"},
        {"anonymousId": "other@example.com"},
        {"anonymousId": None},
        {"context": context | {"traits": {"email": "other@example.com"}}},
        {"context": context | {"library": {"name": "another", "version": "1"}}},
        {"context": context | {"library": {"name": "listrak-segment-bridge"}}},
        {"context": context | {"ip": "203.0.113.1"}},
        {"messageId": "x" * 100},
        {"messageId": None},
        {"type": "page"},
        {"event": "Email Delivered"},
    ):
        altered = [*events[:index], events[index] | wrong, *events[index + 1 :]]
        assert not verdict_on(world, altered).ok, wrong


def test_identify_states(world: World) -> None:
    """An identify is of its list, with true or null, and the userId held at the time."""
    events = tell(world, lists_of(world), SINCE)
    index = max(i for i, e in enumerate(events) if e.get("userId") == "C-new")
    trait = f"listrak_list_{next(iter(world.lists))}"
    for wrong in (
        {"userId": "C-other"},
        {"userId": ""},
        {"userId": "C-a"},
        {"traits": {"email": "a@example.com", trait: False}},
        {"traits": {"email": "a@example.com", trait: 1}},
        {"traits": {"email": "a@example.com", trait: None}},
        {"traits": {"email": "a@example.com"}},
        {"traits": {"email": "b@example.com", trait: True}},
        {"traits": {"email": "a@example.com", "listrak_list_1": True}},
        {"anonymousId": "a@EXAMPLE.com"},
    ):
        altered = [*events[:index], events[index] | wrong, *events[index + 1 :]]
        assert not verdict_on(world, altered).ok, wrong


def test_unsubscribed_before_the_horizon() -> None:
    """Who left before the horizon is told nothing of."""
    world = World(start=SINCE - timedelta(days=2))
    owner = world.add_list("One")
    world.subscribe(owner.list_id, "a@example.com")
    world.unsubscribe(owner.list_id, "a@example.com")
    world.advance(SINCE + timedelta(days=1))
    assert verdict_on(world, []).ok
    traits = {"email": "a@example.com", f"listrak_list_{owner.list_id}": None}
    event = {"type": "identify", "anonymousId": "a@example.com", "traits": traits}
    assert verdict_on(world, [event | {"messageId": "1"}]).extra


def test_deleted_contact() -> None:
    """Who was told of as subscribed and is then deleted is told of once more, with null."""
    world = World(start=SINCE)
    owner = world.add_list("One")
    world.subscribe(owner.list_id, "a@example.com")
    world.delete_contact(owner.list_id, "a@example.com")
    assert verdict_on(world, []).ok
    events = tell(world, lists_of(world), SINCE)
    assert len(events) == 2
    assert verdict_on(world, events).ok
    assert verdict_on(world, events[:1]).missing


def test_undone_departure_is_optional() -> None:
    """Who left and came back between two looks needn't be noticed."""
    world = World(start=SINCE)
    owner = world.add_list("One")
    world.subscribe(owner.list_id, "a@example.com")
    world.unsubscribe(owner.list_id, "a@example.com")
    world.advance(SINCE + timedelta(minutes=1))
    world.resubscribe(owner.list_id, "a@example.com")
    events = tell(world, lists_of(world), SINCE)
    assert verdict_on(world, events).ok
    assert verdict_on(world, [events[0]]).ok


def test_cause_of_a_departure(world: World) -> None:
    """The message that caused it is to be named where that is demanded, and only that one."""
    events = tell(world, lists_of(world), SINCE)
    event = next(e for e in events if e.get("event") == "Unsubscribed" and len(e["properties"]) > 3)
    kept = ("list_id", "list_name", "unsubscribe_type")
    event["properties"] = {key: event["properties"][key] for key in kept}
    assert verdict_on(world, events).wrong
    assert verdict_on(world, events, strict_cause=False).ok


def test_before_the_horizon_nothing_is_sent(world: World) -> None:
    """Events from before the horizon are extra."""
    events = tell(world, lists_of(world), SINCE)
    later = world.now + timedelta(days=1)
    verdict = judge(world, events, Expectations(lists=lists_of(world), since=later))
    tracks = [e for e in events if e["type"] == "track"]
    assert len([s for s in verdict.extra if not s.startswith("identify")]) == len(tracks)


def test_late_open_of_an_early_row_is_optional_until_the_first_poll() -> None:
    """The API shows the first activity only, so the first look can't tell what came later."""
    world = World(start=SINCE - timedelta(hours=2))
    owner = world.add_list("One")
    world.subscribe(owner.list_id, "a@example.com")
    message = world.send_broadcast(owner.list_id, ["a@example.com"])
    world.bounce(message, "a@example.com", "Auto Reply")
    world.advance(SINCE + timedelta(hours=2))
    world.open(message, "a@example.com")
    world.order(message, "a@example.com", 100)
    events = tell(world, lists_of(world), SINCE)
    rest = [e for e in events if e.get("event") not in ("Email Opened", "Email Converted")]
    assert verdict_on(world, events).ok
    assert verdict_on(world, rest).ok
    early = SINCE + timedelta(hours=1)
    assert verdict_on(world, events, first_poll=early).ok
    assert len(verdict_on(world, rest, first_poll=early).missing) == 2


def test_untracked_messages_are_optional() -> None:
    """What happens after the window of a send may be sent or not."""
    world = World(start=SINCE)
    owner = world.add_list("One")
    message = world.send_broadcast(owner.list_id, ["a@example.com"])
    world.advance(SINCE + timedelta(days=31))
    world.open(message, "a@example.com")
    events = tell(world, lists_of(world), SINCE)
    assert verdict_on(world, events).ok
    assert verdict_on(world, events[:1]).ok
    assert not verdict_on(world, events[:1], track_days=60).ok


def test_order_totals_add_up(world: World) -> None:
    """Orders between two looks come as one rise; the sum counts, to the cent."""
    events = tell(world, lists_of(world), SINCE)
    first, second = (e for e in events if e.get("event") == "Email Converted")
    events.remove(second)
    for total, right in (
        (25.0, True),
        (24.99, False),
        (25.001, False),
        (True, False),
        ("25", False),
    ):
        first["properties"]["order_total"] = total
        assert verdict_on(world, events).ok is right


def test_addresses_come_along_where_rows_carry_them() -> None:
    """With the switch on, opens and clicks have the address of their row, in both spellings."""
    world = World(start=SINCE)
    owner = world.add_list("One")
    message = world.send_broadcast(owner.list_id, ["a@example.com"])
    world.click(message, "a@example.com", origin=Origin("203.0.113.9", "Mail/1"))
    events = tell(world, lists_of(world), SINCE)
    client = {"ip": "203.0.113.9", "userAgent": "Mail/1", "user_agent": "Mail/1"}
    for event in events:
        if event.get("event") in ("Email Opened", "Email Link Clicked"):
            event["context"] |= client
    assert verdict_on(world, events, extra_fields=True).ok
    assert not verdict_on(world, events).ok
    del events[-1]["context"]["user_agent"]
    assert not verdict_on(world, events, extra_fields=True).ok


def test_same_number_of_two_kinds() -> None:
    """A transactional message may have the number of another one; its properties tell it apart."""
    world = World(start=SINCE)
    owner = world.add_list("One")
    one = world.send_broadcast(owner.list_id, ["a@example.com"], subject="One")
    two = world.send_transactional(owner.list_id, ["a@example.com"], subject="Two")
    assert one.message_id == two.message_id
    events = tell(world, lists_of(world), SINCE)
    assert verdict_on(world, events).ok
    assert len(verdict_on(world, events[1:]).missing) == 1


def test_only_configured_lists_count(world: World) -> None:
    """Of a list that isn't configured nothing may come."""
    verdict = judge(world, tell(world, lists_of(world), SINCE), Expectations(lists={}, since=SINCE))
    assert not verdict.missing
    assert verdict.extra


def test_the_verdict_reads(world: World) -> None:
    """Printed, a verdict gives counts and its first sentences."""
    text = str(verdict_on(world, []))
    assert "Email Sent: 0 delivered, 5 required" in text
    assert "missing: " in text
