"""Typed operations of the state file, each on a real one."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bridge.state import meanings
from bridge.state.cursors import ContactCursor, PollCursor
from bridge.state.keys import Keys, merged, sorted_keys
from bridge.state.opening import verify
from bridge.state.records import (
    Backfill,
    Contact,
    DeadLetter,
    EventCount,
    IdentifyRun,
    ListState,
    Message,
    MessageRef,
    PendingUnsubscribe,
    Total,
)
from bridge.state.seen_events import EARLY, UNWANTED
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

MAY = "2026-05-01T00:00:00.000Z"
NOW = 1_778_500_000.25


def run_of(*keys: int) -> Keys:
    return sorted_keys(np.array(keys, np.uint64))


SENT_AT = "2026-05-10T12:00:00.000Z"


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    path = tmp_path / "bridge.db"
    async with open_store(path) as store:
        yield store
    # Whatever was written fits its checksums; much of it means nothing here.
    monkeypatch.setattr(meanings, "MEANINGS", {})
    verify(path)


def found_message(message_id: int = 7, **changes: Any) -> MessageRef:
    """A message as discovery hands it over."""
    return MessageRef(5, "broadcast", message_id, 0, 3, SENT_AT)._replace(**changes)


async def tracked(store: Store, *found: MessageRef) -> list[Message]:
    """Messages that are tracked from now on."""
    async with store.transaction():
        await store.messages.add(found or [found_message()], NOW)
    return await store.messages.tracked()


async def complete(store: Store, message: Message, floor: int, *, changed: bool) -> None:
    """Ends a full poll of a message, as the end of a poll has it."""
    await store.polls.complete(message.id, changed=changed)
    await store.seen_events.compact(message.id, floor)


async def test_again_after_opening(tmp_path: Path) -> None:
    """What is in the file is there for the next process."""
    for value in ("first", "second"):
        async with open_store(tmp_path / "bridge.db") as store, store.transaction():
            assert await store.meta.set_once("name", value) == "first"


# What is remembered for ever


async def test_remember(store: Store) -> None:
    """What was fixed at the first start stays as it was then."""
    async with store.transaction():
        assert await store.meta.set_once("since", "a") == "a"
        assert await store.meta.set_once("since", "b") == "a"
        assert await store.meta.set_once("first_start", "c") == "c"
    assert await store.meta.get("since") == "a"
    assert await store.meta.get("nothing") is None


async def test_counters(store: Store) -> None:
    """Counters add up; in flight is what waits in the outbox and among the pending unsubscribes."""
    assert await store.counters.all() == {"in_flight": 0}
    async with store.transaction():
        await store.counters.add({"fetched": 5, "delivered": 3, "known": 0})
        await store.counters.add({"fetched": 2, "filtered": 1})
        page = await store.outbox.put(7, 4, b"x")
        await store.outbox.put(7, 2, b"y")
        await store.unsubscribes.add(5, [unsubscribe()], NOW)
    expected = {"fetched": 7, "delivered": 3, "filtered": 1, "in_flight": 7}
    assert await store.counters.all() == expected
    async with store.transaction():
        await store.outbox.remove(page)
        await store.unsubscribes.remove(5, [unsubscribe()])
    assert (await store.counters.all())["in_flight"] == 2


# Lists


async def test_lists(store: Store) -> None:
    """A list's name follows Listrak, how far it was read stays; lists are apart."""
    assert await store.lists.state(5) == ListState(5, "", "", None, None, None)
    async with store.transaction():
        await store.lists.begin(5, "News", MAY, "UTC")
        await store.lists.set_discovered(5, NOW, "")
        await store.lists.begin(5, "Néws 🎉", MAY, "UTC")
        await store.lists.begin(6, "Other", MAY, "UTC")
    assert await store.lists.state(5) == ListState(5, "Néws 🎉", MAY, NOW, None, None, "UTC")
    assert await store.lists.state(6) == ListState(6, "Other", MAY, None, None, None, "UTC")
    async with store.transaction():
        await store.lists.rename(5, "")
        await store.lists.rename(7, "Nobody's")
    assert await store.lists.state(5) == ListState(5, "", MAY, NOW, None, None, "UTC")
    assert [state.list_name for state in await store.lists.all()] == ["", "Other"]


# Messages


async def test_messages(store: Store) -> None:
    """A message that was found is tracked, with all that discovery knew of it."""
    (message,) = await tracked(store)
    assert message == Message(
        id=message.id,
        list_id=5,
        kind="broadcast",
        message_id=7,
        conversation_id=0,
        campaign_id=3,
        sent_at=SENT_AT,
        properties=None,
        discovered_at=NOW,
        polled_at=None,
        changed_at=None,
        summary="",
        untracked=0,
    )
    assert await store.messages.get(message.id) == message


async def test_a_rescan_that_was_requested(store: Store) -> None:
    """It is requested until a poll begins; of what is no longer tracked nothing is."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.messages.request_rescan([message.id, message.id + 1000])
    assert (await store.messages.get(message.id)).rescan_requested == 1
    async with store.transaction():
        await store.polls.begin(message.id, NOW, "")
    assert (await store.messages.get(message.id)).rescan_requested == 0
    async with store.transaction():
        await store.messages.untrack(message.id)
        await store.messages.request_rescan([message.id])
    assert (await store.messages.get(message.id)).rescan_requested == 0


async def test_event_counts(store: Store) -> None:
    """Numbers add up by message and event, and go with the message."""
    (message,) = await tracked(store)
    assert await store.event_counts.of(message.id) == {}
    async with store.transaction():
        await store.event_counts.add(message.id, {"Email Sent": EventCount(5, 2, 1)})
        await store.event_counts.add(message.id, {})
        await store.event_counts.add(
            message.id, {"Email Sent": EventCount(1, 0, 1), "Email Opened": EventCount(3)}
        )
        await store.event_counts.add(message.id + 1, {"Email Sent": EventCount(9)})
    assert await store.event_counts.of(message.id) == {
        "Email Sent": EventCount(6, 2, 2),
        "Email Opened": EventCount(3, 0, 0),
    }
    async with store.transaction():
        await store.messages.untrack(message.id)
    assert await store.event_counts.of(message.id) == {}
    assert await store.event_counts.of(message.id + 1) == {"Email Sent": EventCount(9)}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "List/5/Message/7"),
        ({"kind": "conversation", "conversation_id": 9}, "List/5/Conversation/9/Message/7"),
        ({"kind": "transactional"}, "List/5/TransactionalMessage/7"),
    ],
)
async def test_paths(store: Store, changes: dict[str, Any], path: str) -> None:
    """Each kind of message has its place in the API, and ids of its own."""
    (message,) = await tracked(store, found_message(**changes))
    assert message.path == path
    assert len(await tracked(store, found_message(), found_message(**changes))) == len(
        {"broadcast", changes.get("kind", "broadcast")}
    )


async def test_messages_of_a_list(store: Store) -> None:
    """Messages are told apart by list; the same id may stand in two."""
    await tracked(store, found_message(7), found_message(8), found_message(7, list_id=6))
    assert [message.message_id for message in await store.messages.tracked(5)] == [7, 8]
    assert [message.list_id for message in await store.messages.tracked(6)] == [6]
    assert len(await store.messages.tracked()) == 3


async def test_found_again(store: Store) -> None:
    """A message's campaign and subject follow Listrak; its date until it is seen to be sent."""
    (message,) = await tracked(store, found_message(sent_at="", campaign_id=0))
    later = found_message(sent_at="2026-05-11T12:00:00.000Z", campaign_id=4)
    (moved,) = await tracked(store, later)
    assert moved == replace(message, sent_at="2026-05-11T12:00:00.000Z", campaign_id=4)
    async with store.transaction():
        await store.messages.use_properties(message.id, "{}", SENT_AT)
    (sent,) = await tracked(store, found_message(sent_at="", campaign_id=9, subject="Other"))
    moved = replace(moved, properties="{}", properties_used=1)
    assert sent == replace(moved, sent_at=SENT_AT, campaign_id=9, subject="Other")


@pytest.mark.parametrize(
    ("listed", "expected"), [(None, "Summer"), ("", ""), ("Été 🎉", "Été 🎉"), ("Summer", "Summer")]
)
async def test_a_subject_follows_its_listing(
    store: Store, listed: str | None, expected: str
) -> None:
    """An empty one is one, and a listing without any tells nothing of it."""
    await tracked(store, found_message(subject="Summer"))
    (message,) = await tracked(store, found_message(subject=listed))
    assert message.subject == expected


async def test_a_listing_that_tells_nothing_new_writes_nothing(store: Store) -> None:
    """Messages are listed again and again: only those that changed are written."""
    found = [found_message(7, subject="Spring"), found_message(8, sent_at=""), found_message(9)]
    messages = await tracked(store, *found)
    async with store.transaction():
        await store.messages.use_properties(messages[2].id, "{}", SENT_AT)
        await store.messages.untrack(messages[2].id)

    async def written(*again: MessageRef) -> int:
        before = (await store.messages._db.one("SELECT total_changes()"))[0]
        await tracked(store, *again)
        after = (await store.messages._db.one("SELECT total_changes()"))[0]
        # What is written turns the file's mark and counts the transaction; all rows but the mark
        # change a checksum besides.
        return max(0, int(after - before) - 3) // 2

    assert await written(*found, found_message(7, subject=None)) == 0
    assert await written(found_message(7, subject="Sprung"), *found[1:]) == 1
    assert await written(found_message(8, campaign_id=0, sent_at="")) == 1
    # Nothing of what is over is of any interest.
    assert await written(found_message(9, subject="Winter", campaign_id=1)) == 0


async def test_details_and_the_use_of_properties(store: Store) -> None:
    """What was read of a message by itself; what its events carry, and whether they may be out."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.messages.set_details(message.id, "", 4, NOW)
        await store.messages.use_properties(message.id, "{}", SENT_AT)
    (used,) = await store.messages.tracked()
    known = replace(message, subject="", campaign_id=4, described_at=NOW, properties="{}")
    assert used == replace(known, properties_used=1)
    async with store.transaction():
        await store.messages.release_properties(message.id)
    assert await store.messages.get(message.id) == known


async def test_untrack(store: Store) -> None:
    """A message that is over drops all that was remembered of it, and is not found anew."""
    first, second = await tracked(store, found_message(7), found_message(8))
    async with store.transaction():
        for message in (first, second):
            await store.polls.begin(message.id, NOW, "{}")
            await store.seen_events.add_run(message.id, 0, run_of(1, 2))
            await store.seen_events.set_totals(message.id, {1: (0, Total(5.0, 1, 0))})
            await store.unsubscribes.attribute(5, message.id, [f"{message.id}@x.y"], NOW, old=False)
            await store.messages.use_properties(message.id, "{}", "")
            await store.messages.save_watermarks(message.id, "{}", "{}")
        await store.messages.untrack(first.id)
    assert [message.id for message in await store.messages.tracked()] == [second.id]
    over = await store.messages.get(first.id)
    # Who unsubscribed through it may be asked for still.
    assert (over.untracked, over.properties, over.summary, over.watermarks) == (1, "{}", "", "")
    async with store.transaction():
        await store.unsubscribes.forget_strangers(5, NOW)
    assert (await store.messages.get(first.id)).properties == "{}"
    async with store.transaction():
        await store.unsubscribes.forget_strangers(5, NOW + 1)
    assert (await store.messages.get(first.id)).properties is None
    assert (await store.messages.get(second.id)).properties == "{}"
    assert await store.seen_events.runs(first.id) == []
    assert await store.seen_events.totals(first.id) == {}
    assert await store.polls.open_one(first.id) is None
    assert len(await store.seen_events.runs(second.id)) == 1
    assert await store.seen_events.totals(second.id) == {1: Total(5.0, 1, 0)}
    assert [message.id for message in await tracked(store, found_message(7))] == [second.id]


# Polls


async def test_polls(store: Store) -> None:
    """A poll begins, goes on, and ends; its message then knows when, and whether it changed."""
    (message,) = await tracked(store)
    assert await store.polls.open_one(message.id) is None
    async with store.transaction():
        await store.polls.begin(message.id, NOW, '{"sentCount":1}')
    assert await store.polls.open_one(message.id) == (NOW, '{"sentCount":1}', None)
    async with store.transaction():
        await store.polls.save_cursor(message.id, PollCursor("clicks", 9, "a+b/=🎉"))
    assert await store.polls.open_one(message.id) == (
        NOW,
        '{"sentCount":1}',
        PollCursor("clicks", 9, "a+b/=🎉"),
    )
    async with store.transaction():
        await complete(store, message, 0, changed=True)
    assert await store.polls.open_one(message.id) is None
    seen = await store.messages.get(message.id)
    assert (seen.polled_at, seen.changed_at, seen.summary) == (NOW, None, '{"sentCount":1}')
    for after, changed, changed_at in ((60, True, NOW + 60), (120, False, NOW + 60)):
        async with store.transaction():
            await store.polls.begin(message.id, NOW + after, "{}")
            await complete(store, message, 0, changed=changed)
        seen = await store.messages.get(message.id)
        assert (seen.polled_at, seen.changed_at, seen.summary) == (NOW + after, changed_at, "{}")


async def test_begun_again(store: Store) -> None:
    """A poll that begins anew is at the start."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.polls.begin(message.id, NOW, "a")
        await store.polls.save_cursor(message.id, PollCursor("activity", 0, "abc"))
        await store.polls.begin(message.id, NOW + 1, "b")
    assert await store.polls.open_one(message.id) == (NOW + 1, "b", None)


KEYS = st.lists(st.integers(0, 50) | st.integers(0, 2**64 - 1), min_size=1, max_size=20)
BUCKETS = st.sampled_from([0, 2900, 2901, 2**30])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.lists(st.tuples(BUCKETS, KEYS), max_size=6), min_size=1, max_size=6))
def test_runs_keep_all_keys(
    tmp_path_factory: pytest.TempPathFactory, polls: list[list[tuple[int, list[int]]]]
) -> None:
    """However many runs are added and merged from poll to poll, no key is lost; few runs stay.

    Those of buckets below the floor are dropped, all of them and no other.
    """

    async def check() -> None:
        async with open_store(tmp_path_factory.mktemp("runs") / "bridge.db") as store:
            (message,) = await tracked(store)
            model: dict[int, set[int]] = {}
            for found in polls:
                async with store.transaction():
                    await store.polls.begin(message.id, NOW, "")
                    for bucket, keys in found:
                        await store.seen_events.add_run(message.id, bucket, run_of(*keys))
                        model.setdefault(bucket, set()).update(keys)
                    await complete(store, message, 0, changed=True)
                runs = await store.seen_events.runs(message.id)
                every = set().union(*model.values()) if model else set()
                assert set(merged(runs).tolist()) == every
                assert len(runs) <= 8 * len(model)
            async with store.transaction():
                await store.polls.begin(message.id, NOW, "")
                await complete(store, message, 2901, changed=True)
            left = [keys for bucket, keys in model.items() if bucket >= 2901]
            runs = await store.seen_events.runs(message.id)
            assert set(merged(runs).tolist()) == set().union(*left)

    anyio.run(check)


async def test_any_poll_forgets_what_is_no_longer_tracked(store: Store) -> None:
    """Messages that go on sending are hardly ever read whole; what is too old goes all the same."""
    (message,) = await tracked(store)
    async with store.transaction():
        for bucket in (2900, 2901):
            await store.seen_events.add_run(message.id, bucket, run_of(bucket))
            await store.seen_events.set_totals(message.id, {bucket: (bucket, Total(5.0, 1))})
        await store.polls.complete_partial(message.id, NOW)
        await store.seen_events.compact(message.id, 2901)
    assert [run.tolist() for run in await store.seen_events.runs(message.id)] == [[2901]]
    assert list(await store.seen_events.totals(message.id)) == [2901]
    assert (await store.messages.get(message.id)).changed_at == NOW


async def test_merged_runs_are_few(store: Store) -> None:
    """A message that is polled a thousand times keeps a handful of runs."""
    (message,) = await tracked(store)
    async with store.transaction():
        for number in range(300):
            await store.polls.begin(message.id, NOW, "")
            await store.seen_events.add_run(message.id, 0, run_of(number))
            await complete(store, message, 0, changed=True)
    runs = await store.seen_events.runs(message.id)
    assert sorted(key for run in runs for key in run.tolist()) == list(range(300))
    assert len(runs) <= 10


async def test_totals(store: Store) -> None:
    """A row's last totals are kept under all 64 bits of its key, and follow it."""
    (message,) = await tracked(store)
    totals = {
        0: (0, Total(19.99, 2, 0)),
        2**63 - 1: (0, Total(0.1 + 0.2, 1, 3)),
        2**63: (2900, Total(0.0, 0, 10_000)),
        2**64 - 1: (2901, Total(-5.0, 0, 0)),
    }
    async with store.transaction():
        await store.seen_events.set_totals(message.id, totals)
        await store.seen_events.set_totals(message.id, {0: (0, Total(25.0, 3, 0))})
    expected = {key: total for key, (_, total) in totals.items()} | {0: Total(25.0, 3, 0)}
    assert await store.seen_events.totals(message.id) == expected
    async with store.transaction():
        await store.polls.begin(message.id, NOW, "")
        await complete(store, message, 2901, changed=False)
    assert set(await store.seen_events.totals(message.id)) == {2**64 - 1}


# Contacts


async def test_contacts(store: Store) -> None:
    """What Segment was told of a contact is found by list and address, in whatever case."""
    contacts = [
        Contact("Zoë@example.com", True, "C-17", 1, "", 7.0),
        Contact("o'brien@x.y", False, None, 3, SENT_AT),
        Contact("", True, None, 1, ""),
    ]
    async with store.transaction():
        await store.contacts.set(5, contacts)
        await store.contacts.set(6, [structs.replace(contacts[0], user_id="other")])
    emails = [contact.email for contact in contacts]
    found = await store.contacts.known(5, [*emails, "stranger@x.y", "ZOË@example.com"])
    assert found == {contact.email.lower(): contact for contact in contacts}
    other = Contact("zOë@example.com", False, "C-17", 2, "")
    async with store.transaction():
        await store.contacts.set(5, [other])
    assert await store.contacts.known(5, ["zoë@example.com"]) == {"zoë@example.com": other}
    assert (await store.contacts.known(6, emails))["zoë@example.com"].user_id == "other"
    assert await store.contacts.known(5, []) == {}


async def test_contacts_in_order(store: Store) -> None:
    """Known contacts can be walked through in order, a piece at a time, without deleted ones."""
    async with store.transaction():
        for email, subscribed in (("B", True), ("a", True), ("c", False), ("ä", True)):
            await store.contacts.set(5, [Contact(email, subscribed, None, 1, "")])
        await store.contacts.set(5, [Contact("gone", False, None, 1, "", 7.0)])
        await store.contacts.set(6, [Contact("aa", True, None, 1, "")])
    assert await store.contacts.after(5, "", 2) == [("a", "a", True), ("b", "B", True)]
    assert await store.contacts.after(5, "b", 2) == [("c", "c", False), ("ä", "ä", True)]
    assert await store.contacts.after(5, "ä", 2) == []


async def test_deleted_contacts_are_forgotten(store: Store) -> None:
    """With what else is kept of them, once it is long enough; ids of later ones begin above."""
    async with store.transaction():
        await store.lists.begin(5, "News", MAY, "UTC")
        await store.contacts.set(
            5,
            [
                Contact("Long@x.y", False, None, 4, "", 10.0),
                Contact("waiting@x.y", False, None, 9, "", 10.0),
                Contact("lately@x.y", False, None, 8, "", 30.0),
                Contact("here@x.y", True, None, 7, ""),
            ],
        )
        await store.unsubscribes.attribute(5, 1, ["LONG@x.y", "here@x.y"], NOW, old=False)
        await store.unsubscribes.add(5, [PendingUnsubscribe("Waiting@x.y", "d", "i", "")], NOW)
        withheld = [PendingUnsubscribe(f"{name}@x.y", "d", "i", "") for name in ("LONG", "here")]
        await store.unsubscribes.withhold(5, withheld)
        await store.contacts.forget_deleted(5, 20.0)
    assert [row.email for row in await store.unsubscribes.withheld(5, "", 9)] == ["here@x.y"]
    left = await store.contacts.after(5, "", 9)
    assert [one.key for one in left] == ["here@x.y"]
    assert set(await store.contacts.known(5, ["long@x.y", "waiting@x.y", "lately@x.y"])) == {
        "waiting@x.y",
        "lately@x.y",
    }
    assert (await store.lists.state(5)).forgotten_revision == 4
    async with store.transaction():
        await store.unsubscribes.remove(5, [PendingUnsubscribe("Waiting@x.y", "d", "i", "")])
        await store.contacts.forget_deleted(5, 20.0)
        await store.contacts.forget_deleted(5, 20.0)
    assert (await store.lists.state(5)).forgotten_revision == 9


async def test_the_most_shared_user_id(store: Store) -> None:
    """The largest number of contacts of a list with the same userId."""
    assert await store.contacts.most_shared_user_id(5) == ("", 0)
    async with store.transaction():
        for number in range(7):
            user = "shared" if number % 2 else f"own-{number}"
            await store.contacts.set(5, [Contact(f"{number}@x.y", True, user, 1, "")])
        await store.contacts.set(6, [Contact("9@x.y", True, "shared", 1, "")])
    assert await store.contacts.most_shared_user_id(5) == ("shared", 3)


async def test_contact_polls(store: Store) -> None:
    """A poll of contacts begins, goes on and ends; only a sweep counts as one."""
    async with store.transaction():
        await store.lists.begin(5, "News", MAY, "UTC")
        await store.lists.begin(6, "Other", MAY, "UTC")
        await store.contact_polls.begin(5, NOW, sweep=True)
        await store.contact_polls.begin(6, NOW, sweep=True)
    assert await store.contact_polls.open_one(5) == (True, NOW, None)
    async with store.transaction():
        await store.contact_polls.save_cursor(5, ContactCursor("Unsubscribed", "a+b="))
        await store.contact_polls.add_seen_in_sweep(5, run_of(1, 2))
        await store.contact_polls.add_seen_in_sweep(5, run_of(2**64 - 1))
        await store.contact_polls.add_seen_in_sweep(6, run_of(7))
    assert await store.contact_polls.open_one(5) == (
        True,
        NOW,
        ContactCursor("Unsubscribed", "a+b="),
    )
    seen = await store.contact_polls.seen_in_sweep(5)
    assert sorted(key for run in seen for key in run.tolist()) == [1, 2, 2**64 - 1]
    async with store.transaction():
        await store.contact_polls.complete(5)
    assert await store.contact_polls.open_one(5) is None
    assert await store.contact_polls.seen_in_sweep(5) == []
    assert len(await store.contact_polls.seen_in_sweep(6)) == 1
    assert await store.lists.state(5) == ListState(5, "News", MAY, None, NOW, NOW, "UTC")
    async with store.transaction():
        await store.contact_polls.begin(5, NOW + 60, sweep=False)
        await store.contact_polls.complete(5)
    assert await store.lists.state(5) == ListState(5, "News", MAY, None, NOW + 60, NOW, "UTC")
    assert await store.contact_polls.open_one(6) == (True, NOW, None)


async def test_a_contact_poll_begun_again(store: Store) -> None:
    """A poll that begins anew has seen nobody yet."""
    async with store.transaction():
        await store.contact_polls.begin(5, NOW, sweep=True)
        await store.contact_polls.add_seen_in_sweep(5, run_of(1))
        await store.contact_polls.begin(5, NOW + 1, sweep=False)
    assert await store.contact_polls.seen_in_sweep(5) == []
    assert await store.contact_polls.open_one(5) == (False, NOW + 1, None)


# Unsubscribes


def unsubscribe(email: str = "zoë@x.y", date: str = "2026-05-10T08:00:00") -> PendingUnsubscribe:
    return PendingUnsubscribe(email, date, SENT_AT, "Administrator")


async def test_pending(store: Store) -> None:
    """Unsubscribes are pending until what may have caused them was polled, each once."""
    other = unsubscribe(date="2026-05-11T08:00:00")
    async with store.transaction():
        await store.unsubscribes.add(5, [unsubscribe()], NOW)
        await store.unsubscribes.add(5, [unsubscribe(), other], NOW + 10)
        await store.unsubscribes.add(6, [unsubscribe()], NOW)
    assert await store.unsubscribes.are_pending(5)
    assert not await store.unsubscribes.are_pending(7)
    assert await store.unsubscribes.pending(5, NOW - 1, 10) == []
    assert await store.unsubscribes.pending(5, NOW, 10) == [unsubscribe()]
    assert await store.unsubscribes.pending(5, NOW + 10, 10) == [unsubscribe(), other]
    assert await store.unsubscribes.pending(5, NOW + 10, 1) == [unsubscribe()]
    async with store.transaction():
        await store.unsubscribes.remove(5, [unsubscribe()])
    assert await store.unsubscribes.pending(5, NOW + 10, 10) == [other]
    assert len(await store.unsubscribes.pending(6, NOW, 10)) == 1


async def test_attributions(store: Store) -> None:
    """An unsubscribe finds the message behind it by list and contact, and uses it up."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.messages.use_properties(message.id, '{"email_id":"7"}', SENT_AT)
        await store.unsubscribes.attribute(5, message.id, ["zoë@x.y", "b@x.y"], NOW, old=False)
        for list_id in (5, 6):
            await store.unsubscribes.add(list_id, [unsubscribe(), unsubscribe("c@x.y")], NOW)
    found = {row.email: row.properties for row in await store.unsubscribes.pending(5, NOW, 10)}
    assert found == {"zoë@x.y": '{"email_id":"7"}', "c@x.y": None}
    assert [row.properties for row in await store.unsubscribes.pending(6, NOW, 10)] == [None, None]
    async with store.transaction():
        await store.unsubscribes.remove(5, [unsubscribe()])
        await store.unsubscribes.add(5, [unsubscribe()], NOW)
    (_, again) = await store.unsubscribes.pending(5, NOW, 10)
    assert (again.email, again.properties) == ("zoë@x.y", None)


async def test_whose_message_is_known_waits_no_longer(store: Store) -> None:
    """Unless that may be an unsubscribe of before the start horizon."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.unsubscribes.add(5, [unsubscribe(f"{one}@x.y") for one in "abc"], NOW)
    assert await store.unsubscribes.pending(5, NOW - 1, 10) == []
    async with store.transaction():
        await store.unsubscribes.attribute(5, message.id, ["a@x.y"], NOW, old=False)
        await store.unsubscribes.attribute(5, message.id, ["b@x.y"], NOW, old=True)
        await store.unsubscribes.attribute(6, message.id, ["c@x.y"], NOW, old=False)
    ready = await store.unsubscribes.pending(5, NOW - 1, 10)
    assert [row.email for row in ready] == ["a@x.y"]


@pytest.mark.parametrize(
    ("first_old", "second_old", "winner"),
    [(False, False, 8), (True, False, 8), (True, True, 8), (False, True, 7)],
)
async def test_which_attribution(
    store: Store, first_old: bool, second_old: bool, winner: int
) -> None:
    """The later message is the cause, but for one that may have been long ago."""
    first, second = await tracked(store, found_message(7), found_message(8))
    async with store.transaction():
        for message in (first, second):
            await store.messages.use_properties(message.id, str(message.message_id), SENT_AT)
        await store.unsubscribes.attribute(5, first.id, ["zoë@x.y"], NOW, old=first_old)
        await store.unsubscribes.attribute(5, second.id, ["zoë@x.y"], NOW, old=second_old)
        await store.unsubscribes.add(5, [unsubscribe()], NOW)
    (row,) = await store.unsubscribes.pending(5, NOW, 10)
    assert row.properties == str(winner)


async def test_forgotten_attributions(store: Store) -> None:
    """What made a contact leave is history once it is back, unless that is still to be told."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.messages.use_properties(message.id, "{}", SENT_AT)
        await store.unsubscribes.attribute(5, message.id, ["zoë@x.y", "b@x.y"], NOW, old=False)
        await store.unsubscribes.add(5, [unsubscribe()], NOW)
        await store.unsubscribes.forget_attributions(5, ["zoë@x.y", "b@x.y"])
        await store.unsubscribes.add(5, [unsubscribe("b@x.y")], NOW)
    found = {row.email: row.properties for row in await store.unsubscribes.pending(5, NOW, 10)}
    assert found == {"zoë@x.y": "{}", "b@x.y": None}


async def test_old_attributions(store: Store) -> None:
    """Attributions from before the horizon go once no unsubscribe is pending that needs them."""
    (message,) = await tracked(store)

    async def properties() -> str | None:
        async with store.transaction():
            await store.unsubscribes.add(5, [unsubscribe()], NOW)
        (row,) = await store.unsubscribes.pending(5, NOW, 10)
        return row.properties

    async with store.transaction():
        await store.messages.use_properties(message.id, "{}", SENT_AT)
        await store.unsubscribes.attribute(5, message.id, ["zoë@x.y"], NOW, old=True)
        await store.unsubscribes.add(5, [unsubscribe("other@x.y")], NOW + 99)
        assert await store.unsubscribes.has_old_attributions(5)
        await store.unsubscribes.forget_old_attributions(5)
    assert await properties() == "{}"
    async with store.transaction():
        await store.unsubscribes.remove(5, [unsubscribe(), unsubscribe("other@x.y")])
        await store.unsubscribes.attribute(5, message.id, ["zoë@x.y"], NOW, old=True)
        await store.unsubscribes.forget_old_attributions(5)
        assert not await store.unsubscribes.has_old_attributions(5)
    assert await properties() is None


async def test_attributions_of_strangers(store: Store) -> None:
    """Who left through a message and is in no list is forgotten, unless it is still to be told."""
    (message,) = await tracked(store)
    names = ["stranger@x.y", "Known@x.y", "Waiting@x.y", "lately@x.y"]
    async with store.transaction():
        await store.messages.use_properties(message.id, "{}", SENT_AT)
        await store.contacts.set(5, [Contact("KNOWN@x.y", True, None, 1, "")])
        await store.unsubscribes.add(5, [unsubscribe("WAITING@x.y")], NOW)
        await store.unsubscribes.attribute(5, message.id, names[:3], NOW, old=False)
        await store.unsubscribes.attribute(5, message.id, names[3:], NOW + 9, old=False)
        await store.unsubscribes.attribute(6, message.id, names[:1], NOW, old=False)
        await store.unsubscribes.forget_strangers(5, NOW + 5)
        for list_id in (5, 6):
            await store.unsubscribes.add(list_id, [unsubscribe(name) for name in names], NOW)
    found = {row.email for row in await store.unsubscribes.pending(5, NOW, 10) if row.properties}
    assert found == {"Known@x.y", "Waiting@x.y", "WAITING@x.y", "lately@x.y"}
    (row, *_) = [row for row in await store.unsubscribes.pending(6, NOW, 10) if row.properties]
    assert row.email == "stranger@x.y"


# Runs of `identify --all`


async def test_identify_runs(store: Store) -> None:
    """A run begins, goes on and is complete; whom it or a poll has told is remembered till then."""
    runs = store.identify_runs
    assert await runs.of(5) is None
    async with store.transaction():
        await runs.add_told(5, run_of(1))
        assert await runs.begin(5, NOW)
        assert not await runs.begin(5, NOW + 1)
        assert await runs.begin(6, NOW)
    assert await runs.open_one(5) == IdentifyRun(5, NOW, None, 0, False)
    assert await runs.told(5) == [], "no run was under way"
    cursor = ContactCursor("Subscribed", "a+b=")
    async with store.transaction():
        await runs.advance(5, cursor, run_of(1, 2, 3), 2)
        await runs.advance(5, cursor, run_of(4), 1)
        await runs.add_told(5, run_of(5))
    assert await runs.open_one(5) == IdentifyRun(5, NOW, cursor, 3, False)
    assert merged(await runs.told(5)).tolist() == [1, 2, 3, 4, 5]
    async with store.transaction():
        await runs.finish(5)
        await runs.add_told(5, run_of(7))
    assert await runs.open_one(5) is None
    # Its cursor may hold an address, and is of no use any more.
    assert await runs.of(5) == IdentifyRun(5, NOW, None, 3, True)
    assert await runs.told(5) == []
    async with store.transaction():
        # The clock has stepped back: the next run is a later one all the same.
        assert await runs.begin(5, NOW - 99)
    again = await runs.open_one(5)
    assert again is not None
    assert again.started_at > NOW
    async with store.transaction():
        await runs.advance(5, cursor, run_of(1), 1)
        await runs.finish(6)
        await runs.begin_anew(NOW + 5)
    assert await runs.open_one(5) == IdentifyRun(5, NOW + 5, None, 0, False)
    assert await runs.told(5) == []
    assert await runs.open_one(6) is None, "one that is complete stays so"


# Outbox and dead letters


async def test_outbox(store: Store) -> None:
    """Pages that were journaled come back in order until they are acknowledged."""
    async with store.transaction():
        first = await store.outbox.put(7, 2, b"\x00\xff")
        second = await store.outbox.put(7, 1, b"second")
    assert await store.outbox.pages() == [(first, 7, b"\x00\xff"), (second, 7, b"second")]
    async with store.transaction():
        await store.outbox.remove(first)
    assert await store.outbox.pages() == [(second, 7, b"second")]


async def test_dead_letters(store: Store) -> None:
    """Dead letters are kept whole, in order, with when and why."""
    assert (await store.dead_letters.count(), await store.dead_letters.all()) == (0, [])
    at = time.time()
    letters = [DeadLetter("Email Sent", f"id {n}", "because", b"\x00\xff") for n in range(3)]
    async with store.transaction():
        await store.dead_letters.add(letters[:2], at)
        await store.dead_letters.add([], at)
        await store.dead_letters.add(letters[2:], at + 1)
    assert await store.dead_letters.count() == 3
    found = await store.dead_letters.all()
    assert [(row[1], row[2], row[3], row[4]) for row in found] == [
        (at, "Email Sent", "id 0", "because"),
        (at, "Email Sent", "id 1", "because"),
        (at + 1, "Email Sent", "id 2", "because"),
    ]


# Backfills


async def begin_backfill(store: Store, since: str, *events: str) -> bool:
    """Begins one of some events, on a list whose start horizon is in May."""
    ends = await store.backfills.ends(5, "2026-05", events)
    return await store.backfills.begin(5, since, ends)


async def test_backfills(store: Store) -> None:
    """A list's history is sent further and further back, one backfill after the other."""
    ref = found_message()
    async with store.transaction():
        assert await store.backfills.of(5) is None
        assert not await begin_backfill(store, "2026-05", "a")
        nothing = await store.backfills.of(5)
        assert nothing is not None
        assert nothing.finished, "whoever waits for it has an answer"
        assert not await begin_backfill(store, "2026-03"), "nothing is wanted"
        assert await begin_backfill(store, "2026-03", "a")
        assert not await begin_backfill(store, "2026-01", "a"), "one at a time"
        begun = await store.backfills.open_one(5)
        assert begun is not None
        await store.backfills.queue(begun, [("old", 0, ref), ("withheld", 9, ref)], 4)
    first = await store.backfills.next(begun)
    assert first is not None
    assert (first.part, first.message.path, first.cursor) == ("old", "List/5/Message/7", None)
    async with store.transaction():
        await store.backfills.set_properties(first, "{}", "then")
        await store.backfills.set_properties(first, "never again", "later")
        await store.backfills.save_cursor(first, PollCursor("clicks", 8, "c"), 30)
    moved = await store.backfills.next(begun)
    assert moved is not None
    cursor = PollCursor("clicks", 8, "c")
    assert (moved.properties, moved.ref.sent_at, moved.cursor) == ("{}", "then", cursor)
    async with store.transaction():
        await store.backfills.complete(moved)
    second = await store.backfills.next(begun)
    assert second is not None
    assert (second.part, second.tracked) == ("withheld", 9)
    async with store.transaction():
        await store.backfills.complete(second)
        await store.backfills.finish(begun)
    found = await store.backfills.of(5)
    assert found == Backfill(5, "2026-03", "2026-05", 1, 1, 4, 2, 30, 0, events="a")
    async with store.transaction():
        assert not await begin_backfill(store, "2026-04", "a"), "sent by the first"
        assert await begin_backfill(store, "2026-01", "a")
    again = await store.backfills.of(5)
    assert again is not None
    assert (again.since, again.before, again.finished) == ("2026-01", "2026-03", 0)


async def test_history_is_sent_event_by_event(store: Store) -> None:
    """What a backfill didn't bring a later one does; what it dropped on the way, none."""
    backfills = store.backfills

    async def finish(*dropped: str, listed: bool = True) -> None:
        begun = await backfills.open_one(5)
        assert begun is not None
        if listed:
            await backfills.queue(begun, [], 0)
            begun = await backfills.open_one(5)
            assert begun is not None
        await backfills.drop_events(begun, dropped)
        begun = await backfills.open_one(5)
        assert begun is not None
        await backfills.finish(begun)

    async with store.transaction():
        assert await begin_backfill(store, "2026-03", "a", "b")
        await finish("b")
        last = await backfills.of(5)
        assert last is not None
        assert (last.events, last.dropped) == ("a", "b")
        assert not await begin_backfill(store, "2026-03", "a", "b")
        assert await begin_backfill(store, "2026-03", "a", "b", "c", "d")
        last = await backfills.of(5)
        assert last is not None
        assert (last.events, last.before) == ("c,d", "2026-05")
        # Nothing of it was sent: its messages weren't even listed.
        await finish("d", listed=False)
        assert await backfills.ends(5, "2026-05", "abcde") == {
            **dict.fromkeys("abc", "2026-03"),
            **dict.fromkeys("de", "2026-05"),
        }
        assert await backfills.ends(5, "2026-02", "a") == {"a": "2026-02"}


async def test_messages_that_are_missing_are_counted(store: Store) -> None:
    """What Listrak doesn't have any more was not read."""
    async with store.transaction():
        assert await begin_backfill(store, "2026-03", "a")
        begun = await store.backfills.open_one(5)
        assert begun is not None
        await store.backfills.queue(begun, [("old", 0, found_message())], 0)
        message = await store.backfills.next(begun)
        assert message is not None
        await store.backfills.complete(message, missing=True)
    found = await store.backfills.of(5)
    assert found is not None
    assert (found.messages, found.missing, found.waiting) == (0, 1, 0)


async def test_withheld_unsubscribes_are_forgotten(store: Store) -> None:
    """Those of before an instant go, and the list remembers until when."""
    async with store.transaction():
        for list_id in (5, 6):
            await store.lists.begin(list_id, "News", MAY, "UTC")
            for email, instant in (("a", "2026-05-01"), ("b", "2026-05-03"), ("c", "2026-05-05")):
                row = PendingUnsubscribe(email, instant, instant, "")
                await store.unsubscribes.withhold(list_id, [row])
        await store.unsubscribes.forget_withheld(5, "2026-05-04")
        await store.unsubscribes.forget_withheld(5, "2026-05-02")
    assert [row.email for row in await store.unsubscribes.withheld(5, "", 9)] == ["c"]
    assert len(await store.unsubscribes.withheld(6, "", 9)) == 3
    assert (await store.lists.state(5)).unsubscribes_forgotten == "2026-05-03"
    assert (await store.lists.state(6)).unsubscribes_forgotten == ""


async def test_what_was_withheld_stays_apart(store: Store) -> None:
    """Runs of what was withheld are known like others, and never merged with them."""
    (message,) = await tracked(store)
    async with store.transaction():
        for number in range(6):
            await store.seen_events.add_run(message.id, 0, run_of(number), withheld=number % 2)
        await store.polls.begin(message.id, NOW, "")
        await complete(store, message, 0, changed=True)
    assert merged(await store.seen_events.runs(message.id)).tolist() == [0, 1, 2, 3, 4, 5]
    withheld = await store.seen_events.runs(message.id, withheld=EARLY)
    assert merged(withheld).tolist() == [1, 3, 5]
    assert len(withheld) < 3


async def test_unwanted_events_are_released_once_sent(store: Store) -> None:
    """What a backfill has sent is no longer withheld, and stays known."""
    (message,) = await tracked(store)
    async with store.transaction():
        await store.seen_events.add_run(message.id, 0, run_of(1, 2, 3), withheld=UNWANTED)
        await store.seen_events.add_run(message.id, 0, run_of(4), withheld=EARLY)
        await store.seen_events.set_totals(message.id, {9: (0, Total(5.0, 1, unwanted=5.0))})
    assert await store.seen_events.with_unwanted(5) == [message.id]
    async with store.transaction():
        await store.seen_events.release(message.id, 0, run_of(1, 3))
    assert merged(await store.seen_events.runs(message.id, withheld=UNWANTED)).tolist() == [2]
    assert merged(await store.seen_events.runs(message.id)).tolist() == [1, 2, 3, 4]
    async with store.transaction():
        await store.seen_events.release(message.id, 0, run_of(2))
        totals = await store.seen_events.totals(message.id)
        sent = replace(totals[9], unwanted_sent=5.0)
        await store.seen_events.release_totals(message.id, {9: sent})
        # A poll that began before knows nothing of it.
        await store.seen_events.set_totals(message.id, {9: (0, Total(7.0, 2, unwanted=5.0))})
    assert (await store.seen_events.totals(message.id))[9].unwanted_sent == 5.0
    assert await store.seen_events.with_unwanted(5) == []


async def test_very_many_contacts(store: Store) -> None:
    """They are written some hundred at once, new ones and known ones alike."""
    contacts = [Contact(f"{number % 7}.{number}@X.y", True, None, 1, "") for number in range(1203)]
    async with store.transaction():
        await store.contacts.set(5, contacts[600:])
        await store.contacts.set(5, [structs.replace(each, revision=2) for each in contacts])
        await store.contacts.set(5, [structs.replace(contacts[0], deleted_at=7)])
        await store.contacts.set(5, [])
    known = await store.contacts.known(5, [contact.email for contact in contacts])
    assert len(known) == await store.contacts.count(5) + 1 == 1203
    assert {each.revision for each in known.values()} == {1, 2}
    assert [each.deleted_at for each in known.values() if each.revision == 1] == [7.0]


async def test_a_file_is_closed_after_the_last_transaction(tmp_path: Path) -> None:
    """On a slow disk one may still be under way at the end: it is saved, and nothing fails."""
    path, begun = tmp_path / "bridge.db", anyio.Event()

    async def work(store: Store) -> None:
        async with store.transaction():
            begun.set()
            for _turn in range(100):
                await anyio.lowlevel.checkpoint()
            await store.counters.add({"fetched": 7})

    async with anyio.create_task_group() as tasks, open_store(path) as store:
        tasks.start_soon(work, store)
        await begun.wait()
        tasks.cancel_scope.cancel()
    async with open_store(path) as store:
        assert (await store.counters.all())["fetched"] == 7
