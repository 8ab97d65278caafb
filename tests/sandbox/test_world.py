from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.account import Fact
from bridge.sandbox.population import populated_world
from bridge.sandbox.world import World

START = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = {"send", "open", "click", "order", "bounce", "abuse", "unsubscribe", "contact"}


def history(world: World) -> list[tuple[object, ...]]:
    """The log in values that compare."""

    def plain(fact: Fact) -> tuple[object, ...]:
        number = fact.message and (fact.message.kind, fact.message.message_id)
        link = fact.link and fact.link.link_id
        state = fact.state and (fact.state.subscribed, tuple(fact.state.values.items()))
        told = (fact.at, fact.what, fact.list_id, fact.email, fact.cents, fact.method)
        return (*told, number, link, state)

    return [plain(fact) for fact in world.log]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 86_400), max_size=30))
def test_steps_make_no_difference(steps: list[float]) -> None:
    """A day lived at once is the same day lived in steps of any size."""
    at_once = populated_world(start=START, contacts=30, history=timedelta(days=1))
    in_steps = populated_world(start=START, contacts=30, history=timedelta(days=1))
    at_once.advance(START + timedelta(days=1))
    for seconds in sorted(steps):
        in_steps.advance(START + timedelta(seconds=seconds))
    in_steps.advance(START + timedelta(days=1))
    assert history(at_once) == history(in_steps)
    assert at_once.now == in_steps.now == START + timedelta(days=1)


def test_seed_decides() -> None:
    """The same seed is the same world, another one is another."""
    one, same, other = (populated_world(start=START, contacts=20, seed=seed) for seed in (7, 7, 8))
    assert history(one) == history(same) != history(other)


def test_small_world_has_everything() -> None:
    """Two days of two hundred contacts have every kind of fact, and every kind of message."""
    world = populated_world(start=START, history=timedelta(0))
    world.advance(START + timedelta(days=2))
    counts = Counter(fact.what for fact in world.log if fact.at > START)
    assert set(counts) == KINDS
    assert {fact.message.kind for fact in world.log if fact.message} == {
        "message",
        "conversation",
        "transactional",
    }
    emails = {email for owner in world.lists.values() for email in owner.contacts}
    assert any("+" in email for email in emails)
    assert any(email != email.lower() for email in emails)
    assert any(not email.isascii() for email in emails)
    first, second = world.lists.values()
    assert first.contacts.keys() & second.contacts.keys()
    values = [next(iter(c.values.values()), None) for c in first.contacts.values()]
    assert {None, ""} < set(values)


def test_log_is_in_order() -> None:
    """What the world lives is logged in the order of time, sends with a date of their own aside."""
    world = populated_world(start=START, contacts=50)
    born = START - timedelta(days=3)
    lived = [fact.at for fact in world.log if fact.at > born and fact.what != "send"]
    assert lived == sorted(lived)
    assert all(fact.at <= world.now for fact in world.log)


def test_rows_and_totals_agree_with_the_log() -> None:
    """Rows, counters and links are nothing but sums over the facts."""
    world = populated_world(start=START, contacts=100)
    for owner in world.lists.values():
        for message in owner.emails():
            facts = [fact for fact in world.log if fact.message is message]
            counts = Counter(fact.what for fact in facts)
            totals = message.totals
            assert counts["send"] == len(message.rows)
            assert counts["open"] == totals.opened == sum(row.opened for row in message.rows)
            assert counts["bounce"] == totals.bounced == sum(row.bounced for row in message.rows)
            assert counts["click"] == totals.clicks == sum(row.clicks for row in message.rows)
            assert counts["order"] == totals.orders
            assert sum(fact.cents for fact in facts) == totals.cents
            assert totals.cents == sum(row.order_cents or 0 for row in message.rows)
            assert totals.unsubscribed == sum(row.unsubscribed for row in message.rows)
            if message.links:
                assert totals.clicks == sum(len(link.clicks) for link in message.links)


def test_quiet_world() -> None:
    """A quiet world has nothing, and nothing happens in it by itself."""
    world = World(start=START)
    world.advance(START + timedelta(days=100))
    assert not world.lists
    assert not world.log
    world.advance(START)
    assert world.now == START + timedelta(days=100)


def test_first_activity_is_the_first() -> None:
    """A row shows its first open, click, bounce or unsubscribe, however much follows."""
    world = World(start=START)
    owner = world.add_list("One")
    message = world.send_broadcast(owner.list_id, ["a@example.com"])
    row = message.rows[0]
    world.complain(message, "a@example.com")
    world.order(message, "a@example.com", 100)
    assert row.first_activity is None
    world.advance(START + timedelta(minutes=1))
    world.click(message, "a@example.com")
    world.advance(START + timedelta(minutes=2))
    world.open(message, "a@example.com")
    assert row.first_activity == START + timedelta(minutes=1)
    assert row.latest_activity == START + timedelta(minutes=2)
    assert (row.opened, row.clicks, row.order_cents) == (True, 1, 100)


def test_conversations_come_again() -> None:
    """A contact may get the same conversation message again: a row for each send."""
    world = World(start=START)
    owner = world.add_list("One")
    message = world.send_conversation(owner.list_id, ["a@example.com"])
    world.open(message, "a@example.com")
    world.advance(START + timedelta(days=7))
    world.send_conversation(owner.list_id, ["a@example.com"], message=message)
    assert [row.opened for row in message.rows] == [True, False]
    world.open(message, "a@example.com")
    assert [row.opened for row in message.rows] == [True, True]


def test_some_bounces_and_complaints_unsubscribe() -> None:
    """Hard bounces and complaints unsubscribe, which the row doesn't say; others don't."""
    world = World(start=START)
    owner = world.add_list("One")
    emails = ["a@example.com", "b@example.com", "c@example.com"]
    for email in emails:
        world.subscribe(owner.list_id, email)
    message = world.send_broadcast(owner.list_id, emails)
    world.bounce(message, "a@example.com", "General Hard Bounce")
    world.bounce(message, "b@example.com", "Mailbox Full")
    world.complain(message, "c@example.com")
    assert [c.subscribed for c in owner.contacts.values()] == [False, True, False]
    assert not any(row.unsubscribed for row in message.rows)


def test_contacts_come_and_go() -> None:
    """Resubscribing keeps the first date; a deleted contact may come back as a new one."""
    world = World(start=START)
    owner = world.add_list("One")
    field = world.add_field(owner.list_id, "Customer ID")
    contact = world.subscribe(owner.list_id, "a@example.com")
    world.advance(START + timedelta(days=1))
    world.unsubscribe(owner.list_id, "a@example.com")
    assert (contact.unsubscribe_method, contact.unsubscribe_date) == ("Administrator", world.now)
    world.resubscribe(owner.list_id, "a@example.com")
    assert contact.subscribe_date == START
    assert contact.resubscribe_date == world.now
    world.set_profile(owner.list_id, "a@example.com", field.field_id, "C-1")
    world.set_profile(owner.list_id, "a@example.com", field.field_id, None)
    world.delete_contact(owner.list_id, "a@example.com")
    assert world.subscribe(owner.list_id, "a@example.com").position == 1
    told = [fact.state.subscribed for fact in world.log if fact.state]
    assert told == [True, False, True, True, True, None, True]


def impossible(world: World, list_id: int) -> list[Callable[[], Any]]:
    message = world.send_broadcast(list_id, ["a@example.com"])
    world.subscribe(list_id, "a@example.com")
    world.bounce(message, "a@example.com")
    world.complain(message, "a@example.com")
    return [
        lambda: world.send(message, ["a@example.com"]),
        lambda: world.bounce(message, "a@example.com"),
        lambda: world.complain(message, "a@example.com"),
        lambda: world.order(message, "a@example.com", 0),
        lambda: world.subscribe(list_id, "a@example.com"),
        lambda: world.unsubscribe(list_id, "a@example.com"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_impossible_deeds(number: int) -> None:
    """What can't happen twice, or at all, is an error of the test that asks for it."""
    world = World(start=START)
    owner = world.add_list("One")
    deed = impossible(world, owner.list_id)[number]
    with pytest.raises(ValueError, match=r".+"):
        deed()


def test_naive_start() -> None:
    """A world begins at an instant, not at a time on a wall."""
    with pytest.raises(ValueError, match="aware"):
        World(start=datetime(2026, 3, 1))  # noqa: DTZ001
