"""The erasure of an address: from each table, and nothing of anybody else."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bridge.compression import compressed, decompressed
from bridge.flow.page import address_keys
from bridge.state import erasures, keys
from bridge.state.cursors import ContactCursor, PollCursor
from bridge.state.erasures import Removed
from bridge.state.keys import sorted_keys
from bridge.state.opening import verify
from bridge.state.records import (
    Contact,
    DeadLetter,
    EventCount,
    MessageRef,
    PendingUnsubscribe,
)
from bridge.state.set_aside import Part, PartSetAside
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

LIST, OTHER = 5, 6
ADDRESS = "bob+news@example.com"
SPELLED = "Bob+News@Example.com"
NEIGHBOURS = ["abob+news@example.com", "bob+news@example.com.au", "alice@example.com"]
DATE, MAY = "2026-05-01T08:00:00", "2026-05-01T12:00:00.000Z"
NOW = 1_778_500_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    path = tmp_path / "bridge.db"
    async with open_store(path) as store:
        yield store
    # Whatever was written fits its checksums, and means something.
    verify(path)


def track(email: str, event: str = "Email Converted") -> bytes:
    properties = {"list_id": str(LIST), "email_id": "7", "order_total": 12.5}
    return json.dumps(
        {"type": "track", "anonymousId": email, "event": event, "properties": properties}
    ).encode()


async def filled(store: Store, *people: str) -> int:
    """Puts each of some people everywhere where an address can be; returns the message's row."""
    async with store.transaction():
        await store.messages.add([MessageRef(LIST, "broadcast", 7, 0, 0, MAY, "Hello")], NOW)
        (message,) = await store.messages.tracked(LIST)
        for list_id in (LIST, OTHER):
            await store.lists.begin(list_id, "News", MAY, "UTC")
            await store.contact_polls.begin(list_id, NOW, sweep=True)
            await store.identify_runs.begin(list_id, NOW)
        for email in people:
            await of_one(store, message.id, email)
        pages = [track(email) for email in people]
        await store.outbox.put(LIST, len(pages), compressed(b"[" + b",".join(pages) + b"]"))
        await store.event_counts.add(
            message.id, {"Email Converted": EventCount(seen=9, amount=100.0)}
        )
        await store.counters.add({"fetched": 2 * len(people)})
        all_keys = sorted_keys(address_keys(email.lower() for email in people))
        await store.contact_polls.add_seen_in_sweep(LIST, all_keys)
        await store.identify_runs.add_told(OTHER, all_keys)
    return message.id


async def of_one(store: Store, message: int, email: str) -> None:
    pending = [PendingUnsubscribe(email, DATE, MAY, "Link")]
    await store.contacts.set(LIST, [Contact(email, True, None, 3, "")])
    await store.contacts.set(OTHER, [Contact(email, False, None, 1, DATE, NOW)])
    await store.contacts.add_twins(LIST, [email.lower()])
    await store.unsubscribes.add(LIST, pending, NOW)
    await store.unsubscribes.withhold(LIST, pending)
    await store.unsubscribes.attribute(LIST, message, [email], NOW, old=False)
    letter = DeadLetter("Email Opened", "listrak-1", "too large", track(email, "Email Opened"))
    of_row = DeadLetter("Email Sent", "listrak-2", "no date", json.dumps({"e": email}).encode())
    quoting = DeadLetter("identify", "listrak-3", f"Segment answered 400: {email}", b"{}")
    await store.dead_letters.add([letter, of_row, quoting], NOW)


async def erased(store: Store, address: str = ADDRESS) -> Removed:
    async with store.transaction():
        return await store.erasures.erase(address, address_keys([address]))


async def everything(store: Store) -> str:
    """All texts of all tables, in lower case, each on a line; bodies as they were packed."""
    db = store.meta._db
    texts: list[str] = []
    for (table,) in await db.all("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        for row in await db.all(f"SELECT * FROM {table}"):
            for value in row:
                packed = isinstance(value, bytes) and value[:2] == b"\x1f\x8b"
                data = decompressed(value) if packed else value
                texts.append(data.decode("latin-1") if isinstance(data, bytes) else str(data))
    return "\n".join(texts).lower()


async def test_it_is_gone_from_everywhere(store: Store) -> None:
    """Whatever its case; what was removed is counted, and everybody else stays as they were."""
    message = await filled(store, SPELLED, *NEIGHBOURS)
    removed = await erased(store)
    assert removed == Removed(
        contacts=2,
        pending_unsubscribes=1,
        withheld_unsubscribes=1,
        attributions=1,
        outbox_events=1,
        dead_letters=3,
        marks=2,
        contact_of=[LIST],
    )
    rest = await everything(store)
    for neighbour in NEIGHBOURS:
        assert rest.count(neighbour) >= 9
        rest = rest.replace(neighbour, "")
    assert ADDRESS not in rest
    ((_, _, body),) = await store.outbox.pages()
    assert json.loads(decompressed(body)) == [json.loads(track(email)) for email in NEIGHBOURS]
    assert (await store.counters.all())["in_flight"] == 6
    # What was seen of its order is not sent, and told so.
    counts = (await store.event_counts.of(message))["Email Converted"]
    assert (counts.seen, counts.unsent, counts.unsent_amount) == (9, 1, 12.5)
    met, told = await store.contact_polls.seen_in_sweep(LIST), await store.identify_runs.told(OTHER)
    assert len(keys.merged(met)) == len(keys.merged(told)) == len(NEIGHBOURS)
    assert await erased(store) == Removed()


async def test_ids_after_an_erasure_are_new(store: Store) -> None:
    """Should the contact come back, its identifies begin after the latest that was sent."""
    await filled(store, ADDRESS)
    await erased(store)
    assert (await store.lists.state(LIST)).forgotten_revision == 3
    assert (await store.lists.state(OTHER)).forgotten_revision == 1


async def test_the_last_event_of_a_page(store: Store) -> None:
    """A page with nobody else's events leaves the outbox."""
    await filled(store, ADDRESS)
    await erased(store)
    assert await store.outbox.pages() == []
    assert (await store.counters.all())["in_flight"] == 0


async def test_cursors_that_name_it(store: Store) -> None:
    """A comparison of known contacts goes on where it was; a page of Listrak's is begun anew."""
    await filled(store, ADDRESS, *NEIGHBOURS)
    message = (await store.messages.tracked(LIST))[0].id
    async with store.transaction():
        await store.contact_polls.save_cursor(LIST, ContactCursor("lost", ADDRESS))
        await store.contact_polls.save_cursor(OTHER, ContactCursor("Subscribed", f"<{SPELLED}>"))
        await store.identify_runs.advance(
            LIST, ContactCursor("lost", NEIGHBOURS[1]), sorted_keys(address_keys([])), 0
        )
        await store.polls.begin(message, NOW, "")
        await store.polls.save_cursor(message, PollCursor("activity", 0, f"after={ADDRESS}"))
    assert (await erased(store)).cursors == 3
    first, second = [await store.contact_polls.open_one(list_id) for list_id in (LIST, OTHER)]
    assert first is not None
    assert first.cursor == ContactCursor("lost", "alice@example.com")
    assert second is not None
    assert second.cursor is None
    poll, run = await store.polls.open_one(message), await store.identify_runs.of(LIST)
    assert poll is not None
    assert poll.cursor is None
    assert run is not None
    assert run.cursor == ContactCursor("lost", NEIGHBOURS[1])


async def test_the_cursor_before_the_first(store: Store) -> None:
    """Where nobody stands before it, the comparison begins with the first."""
    await filled(store, ADDRESS)
    async with store.transaction():
        await store.identify_runs.advance(
            LIST, ContactCursor("lost", ADDRESS), sorted_keys(address_keys([])), 0
        )
    assert (await erased(store)).cursors == 1
    run = await store.identify_runs.of(LIST)
    assert run is not None
    assert run.cursor == ContactCursor("lost", "")


async def test_a_finished_run_keeps_no_address(store: Store) -> None:
    """Where it ended is of no use any more."""
    await filled(store)
    async with store.transaction():
        await store.identify_runs.advance(
            LIST, ContactCursor("lost", ADDRESS), sorted_keys(address_keys([])), 0
        )
        await store.identify_runs.finish(LIST)
    assert ADDRESS not in await everything(store)


async def test_names_that_hold_it(store: Store) -> None:
    """It is taken out of subjects and properties; longer addresses stay."""
    await filled(store)
    message = (await store.messages.tracked(LIST))[0].id
    async with store.transaction():
        text = f"For {SPELLED}, not for {NEIGHBOURS[0]} or {NEIGHBOURS[1]}."
        await store.messages.use_properties(message, json.dumps({"email_subject": text}), MAY)
        await store.messages.set_details(message, text, 0, NOW)
        await store.lists.rename(OTHER, f"{ADDRESS}")
    assert (await erased(store)).texts == 3
    changed = await store.messages.get(message)
    assert changed.subject == text.replace(SPELLED, "(erased)")
    assert json.loads(changed.properties or "") == {"email_subject": changed.subject}
    assert (await store.lists.state(OTHER)).list_name == "(erased)"


async def test_a_user_id_that_is_the_address(store: Store) -> None:
    """Of another contact: it has none until the next sweep; the address matches in any case."""
    async with store.transaction():
        await store.lists.begin(LIST, "News", MAY, "UTC")
        await store.contacts.set(LIST, [Contact(NEIGHBOURS[0], True, SPELLED, 1, "")])
    assert await erased(store) == Removed(user_ids=1)
    known = await store.contacts.known(LIST, [NEIGHBOURS[0]])
    assert known[NEIGHBOURS[0]].user_id is None


async def test_other_alphabets(store: Store) -> None:
    """Case is that of the whole of Unicode, as for contacts."""
    await filled(store, "Jürgen.ÄÖ@BÜCHER.example", "Ελένη@example.com")
    assert (await erased(store, "jürgen.äö@bücher.example")).contacts == 2
    assert "bücher" not in await everything(store)


async def test_what_is_noted_of_it(store: Store) -> None:
    """Numbers without the address, for three months."""
    day = 86400.0
    async with store.transaction():
        await store.erasures.note("request-1", Removed(contacts=2), NOW)
        await store.erasures.note("request-2", Removed(), NOW + 91 * day)
    assert await store.erasures.unfinished()
    async with store.transaction():
        await store.erasures.set_overwritten()
    assert not await store.erasures.unfinished()
    assert await store.erasures.of("request-1") is None
    found = await store.erasures.of("request-2")
    assert found is not None
    assert found.overwritten


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([None, {"e": [f" {SPELLED} "]}]).encode(),
        json.dumps({SPELLED: 1}).encode(),
        json.dumps({"e": f"\ud83d{SPELLED}\n"}).encode(),
        json.dumps({"e": SPELLED}).replace("@", "\\u0040").encode(),
        json.dumps({"e": f"<{SPELLED}>", "n": float("nan")}).encode(),
        b'{"e": "\xff' + SPELLED.encode(),
        b"[" * 5000 + json.dumps(SPELLED).encode(),
        SPELLED.encode() + b"\0",
    ],
)
async def test_rows_that_could_not_be_read(store: Store, body: bytes) -> None:
    """Dead letters of them hold anything; longer addresses of others stay."""
    others = [body.replace(b"Bob", b"aBob"), json.dumps({"e": NEIGHBOURS}).encode(), b"\xff", b"3"]
    letters = [
        DeadLetter("contacts", f"listrak-{number}", "a row can't be read", each)
        for number, each in enumerate([*others, body])
    ]
    async with store.transaction():
        await store.dead_letters.add(letters, NOW)
    assert (await erased(store)).dead_letters == 1
    assert [row[3] for row in await store.dead_letters.all()] == [
        letter.message_id for letter in letters[:-1]
    ]


async def test_parts_that_are_set_aside(store: Store) -> None:
    """Neither what they are nor why names it; they stay set aside."""
    parts = [Part(LIST, "contact look-ups", f"for {email}") for email in (SPELLED, *NEIGHBOURS)]
    async with store.transaction():
        for part in parts:
            await store.set_aside.put(PartSetAside(part, NOW, f"400: <{part.subject}>", None))
    assert (await erased(store)).texts == 2
    left = await store.set_aside.all()
    assert {each.part.subject for each in left} == {
        f"for {email}" for email in ("(erased)", *NEIGHBOURS)
    }
    assert ADDRESS not in str([each for each in left if "erased" in each.reason]).lower()


NEVER: Final = {
    # Names, kinds and numbers of our own, and what is made of a setting.
    *(
        "own",
        "name",
        "value",
        "kind",
        "event",
        "part",
        "zone",
        "request",
        "removed",
        "events",
        "dropped",
    ),
    # Times, ids and counters.
    *("horizon", "tracked_from", "unsubscribes_forgotten", "since", "before", "instant"),
    *("sent_at", "summary", "watch", "message_id"),
    # Of rows that are erased as a whole, as they are of the address.
    *("spelling", "unsubscribed_at", "date", "method"),
}
"""Columns in which there is no address, or only beside its own."""


async def test_every_column_is_thought_of(store: Store) -> None:
    """Each text and each body is one that an erasure looks at, or has none to look at."""
    looked_at = {
        *erasures.TEXTS,
        *((table, "position") for table, _ in erasures.CURSORS),
        *((table, "email") for table in ("contacts", "contact_twins", "causes")),
        *((table, "email") for table in ("unsubscribes", "withheld_unsubscribes")),
        *(("contacts", "user_id"), ("outbox", "body")),
        *(("dead_letters", "reason"), ("dead_letters", "body")),
        # Keys.
        *((table, "keys") for table in ("met", "identified", "runs")),
    }
    found = set()
    for (table,) in await store.meta._db.all(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'checksums'"
    ):
        for _, column, kind, *_ in await store.meta._db.all(f"PRAGMA table_xinfo({table})"):
            if kind in ("TEXT", "BLOB") and column not in NEVER:
                found.add((table, column))
    assert found == looked_at
