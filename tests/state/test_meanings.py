"""The meanings of columns: each column has one, or is among those whose values may be anything."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final, get_args

import pytest

from bridge.errors import StateDamagedError
from bridge.state import checksums, meanings
from bridge.state.checksums import Connection
from bridge.state.file_format import bring_up_to_date
from bridge.state.opening import verify
from bridge.state.records import MessageRef
from bridge.state.set_aside import Part, PartKind, PartSetAside
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

MAY: Final = "2026-05-01T00:00:00.000Z"
NOW: Final = 1_778_500_000.25
LIST: Final = 5

IDS: Final = {
    *("id", "seq", "list_id", "message", "message_id", "conversation_id", "campaign_id", "key"),
}
TEXTS: Final = {
    ("contacts", "email"),
    ("contacts", "spelling"),
    ("contacts", "user_id"),
    ("contacts", "unsubscribed_at"),
    ("contact_twins", "email"),
    ("causes", "email"),
    ("unsubscribes", "email"),
    ("unsubscribes", "date"),
    ("unsubscribes", "method"),
    ("withheld_unsubscribes", "email"),
    ("withheld_unsubscribes", "date"),
    ("withheld_unsubscribes", "method"),
    ("lists", "list_name"),
    ("lists", "zone"),
    ("messages", "subject"),
    ("set_aside", "subject"),
    ("set_aside", "reason"),
    ("dead_letters", "event"),
    ("dead_letters", "reason"),
    ("dead_letters", "body"),
    ("erasures", "request"),
    ("meta", "name"),
    ("counters", "name"),
}
"""Columns of somebody else's texts, and of names."""

OTHERS: Final = {
    # Constraints of their tables tell what they may be.
    ("backfill_messages", "part"),
    ("backfills", "kind"),
    # Names with a comma between; unknown ones are no events.
    ("backfills", "events"),
    ("backfills", "dropped"),
    # A mended count may be below what was counted before.
    ("event_counts", "seen"),
    ("event_counts", "unsent"),
    ("event_counts", "dead"),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "bridge.db") as store:
        async with store.transaction():
            await store.lists.begin(LIST, "News", MAY, "UTC")
            await store.messages.add([MessageRef(LIST, "broadcast", 7, 0, 0, MAY, "Hello")], NOW)
        yield store


def test_every_column() -> None:
    """A new column is thought about here: it has a meaning, or may be anything."""
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Connection)) as db:
        bring_up_to_date(db, 0)
        columns = {
            (table, column)
            for table, names in checksums.columns_of(db).items()
            for column in names
            if column not in IDS or column in meanings.MEANINGS.get(table, {})
        } | {("dead_letters", "message_id")}
    known = {(table, column) for table, names in meanings.MEANINGS.items() for column in names}
    assert columns - known - {("dead_letters", "message_id")} == TEXTS | OTHERS
    assert known <= columns


def test_kinds_of_parts() -> None:
    """The file knows all that the code does."""
    assert get_args(PartKind) == meanings.PARTS


async def test_a_part_of_an_unknown_kind(store: Store) -> None:
    """A newer version wrote it: 65, wherever it is met."""
    async with store.transaction():
        await store.set_aside.put(PartSetAside(Part(LIST, "links", "7"), NOW, "500", None))
        await store.set_aside.put(
            PartSetAside(Part(LIST, "colours", "7"), NOW, "500", None)  # type: ignore[arg-type]
        )
    with pytest.raises(StateDamagedError, match="set_aside"):
        await store.set_aside.all()
    with pytest.raises(StateDamagedError, match=r"1 of 2 rows .* set_aside have no valid kind"):
        verify(store.path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lists SET revision_floor = -1",
        "UPDATE transactions SET number = -9",
        "INSERT INTO reversals (found_at, behind) VALUES (1, -1)",
        "INSERT INTO reversals (found_at, told) VALUES (1, 2)",
        "INSERT INTO outbox (events, body, set_aside) VALUES (0, x'', 2)",
        "INSERT INTO set_aside VALUES (5, 'links', '', -1, '', NULL)",
        "INSERT INTO meta VALUES ('clock', '{')",
        "INSERT INTO meta VALUES ('since', '2026-02-30T00:00:00.000Z')",
        "UPDATE messages SET sent_at = '2026-05-01T23:157.Z'",
        "UPDATE lists SET horizon = '2026-05-01T25:00:00.000Z'",
    ],
)
async def test_values_that_mean_nothing(store: Store, statement: str) -> None:
    """Columns of format 5: a file that has such a value isn't started from."""
    async with store.transaction():
        await store.meta._db.run(statement)
    with pytest.raises(StateDamagedError, match="no valid"):
        verify(store.path)


async def test_times_that_are_mended(store: Store) -> None:
    """What a wrong clock left is mended with checksums: nothing later, and the file is sound."""
    (message,) = await store.messages.tracked(LIST)
    late = NOW + 40 * 86400
    async with store.transaction():
        await store.messages.add([MessageRef(LIST, "broadcast", 8, 0, 0, MAY, "Late")], late)
        await store.messages.set_details(message.id, "Hello", 0, late)
        await store.messages.save_watermarks(message.id, '{"Email Sent": {}}', "{}")
        await store.polls.begin(message.id, late, "{}")
        await store.polls.complete(message.id, changed=True)
        await store.polls.begin(message.id, late, "{}")
        await store.lists.set_discovered(LIST, late, MAY)
        await store.contact_polls.begin(LIST, late, sweep=True)
        await store.contact_polls.complete(LIST)
        await store.contact_polls.begin(LIST, late, sweep=True)
        await store.identify_runs.begin(LIST, late)
    assert await store.future_times.any_after(NOW)
    verify(store.path)
    async with store.transaction():
        await store.future_times.forget(NOW)
        for row, _ in await store.future_times.watermarks():
            await store.future_times.replace_watermarks(row, "{}")
    assert not await store.future_times.any_after(NOW)
    assert verify(store.path).rows["messages"] == 2


async def test_a_damaged_time_is_not_mended(store: Store) -> None:
    """A time that is in the future as a bit of it flipped is damage, not a wrong clock."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        ((before,),) = db.execute("SELECT checksum FROM messages").fetchall()
        db.create_function("row_checksum", -1, lambda *_: before, deterministic=True)
        db.execute("UPDATE messages SET found_at = 4e9")
    with pytest.raises(StateDamagedError):
        await store.future_times.any_after(NOW)
    with pytest.raises(StateDamagedError):
        async with store.transaction():
            await store.future_times.forget(NOW)
