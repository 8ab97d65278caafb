"""Checksums: a row that another hand changed is noticed where it is read, or changed again."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from bridge.errors import StateDamagedError
from bridge.state import checksums
from bridge.state.checksums import Connection, Writing
from bridge.state.file_format import APPLICATION_ID, bring_up_to_date, create, step
from bridge.state.opening import verify
from bridge.state.records import Contact, MessageRef
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

ADDRESS: Final = "ann@example.com"
LIST: Final = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """A store that knows a contact and a message, and has counted something."""
    async with open_store(path) as store:
        async with store.transaction():
            await store.lists.begin(LIST, "News", "2026-03-01T05:00:00Z", "UTC")
            await store.contacts.set(LIST, [Contact(ADDRESS, True, "A-1", 3, "")])
            await store.messages.add([MessageRef(LIST, "broadcast", 7, subject="Hello")], 1.5)
            await store.counters.add({"fetched": 3, "delivered": 3})
        yield store


def changed(path: Path, statement: str) -> None:
    """Changes a row, and leaves its checksum as it was: as a disk does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        table = statement.split()[1]
        for (before,) in db.execute(f"SELECT checksum FROM {table}").fetchall():
            db.create_function(
                "row_checksum", -1, lambda *_, before=before: before, deterministic=True
            )
        db.execute(statement)


def replace_bytes(path: Path, before: bytes, after: bytes) -> None:
    """Changes bytes of a file that nobody has open."""
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after))


CHANGES: Final[list[tuple[str, Callable[[Store], Awaitable[object]]]]] = [
    ("UPDATE contacts SET subscribed = 0", lambda store: store.contacts.known(LIST, [ADDRESS])),
    ("UPDATE messages SET subject = 'Hullo'", lambda store: store.messages.tracked()),
    ("UPDATE lists SET horizon = '2026-03-02'", lambda store: store.lists.state(LIST)),
]


@pytest.mark.parametrize(("statement", "read"), CHANGES)
async def test_read_while_it_runs(
    store: Store, path: Path, statement: str, read: Callable[[Store], Awaitable[object]]
) -> None:
    """A row that changes under a running service isn't used: 65, and nothing of it is quoted."""
    changed(path, statement)
    table = statement.split()[1]
    with pytest.raises(StateDamagedError, match=f"{table} is not as it was written") as caught:
        await read(store)
    assert "it was left as it is" not in str(caught.value)
    assert caught.value.exit_code == 65
    assert not any(text in str(caught.value) for text in (ADDRESS, "Hullo", "2026"))


async def test_text_that_is_no_text(path: Path) -> None:
    """SQLite's error would quote the text in which a byte is no UTF-8: an address, mostly."""
    async with open_store(path) as store, store.transaction():
        await store.contacts.set(LIST, [Contact(ADDRESS, True, "quoted", 3, "")])
    replace_bytes(path, b"quoted", b"quote\xff")
    async with open_store(path, read_only=True) as store:
        for read in (
            store.contacts.known(LIST, [ADDRESS]),
            store.meta._db.all("SELECT user_id FROM contacts"),
        ):
            with pytest.raises(StateDamagedError) as caught:
                await read
            assert "quote" not in str(caught.value)
    with pytest.raises(StateDamagedError, match="contacts") as caught:
        verify(path)
    assert "quote" not in str(caught.value)


async def test_damage_is_not_counted_on(store: Store, path: Path) -> None:
    """What is computed from a damaged row would be sound: it isn't changed any more."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("row_checksum", -1, lambda *_: 1, deterministic=True)
        db.execute("UPDATE counters SET value = 4711 WHERE name = 'fetched'")
    with pytest.raises(StateDamagedError):
        async with store.transaction():
            await store.counters.add({"delivered": 1, "fetched": 1})
    assert dict(await store.meta._db.all("SELECT name, value FROM counters")) == {
        "delivered": 3,
        "fetched": 4711,
    }


async def test_rows_that_a_condition_leaves_out(store: Store) -> None:
    """A row that another condition doesn't want isn't taken for damaged, nor is one of no match."""
    async with store.transaction():
        await store.messages.add([MessageRef(LIST, "broadcast", 8)], 1.5)
        for message in await store.messages.tracked():
            if message.message_id == 7:
                await store.messages.untrack(message.id)
    assert [message.message_id for message in await store.messages.tracked(LIST)] == [8]
    for column, value in (("retired", 1), ("kind", "broadcast"), ("message_id", 7)):
        rows = await store.meta._db.all(
            f"SELECT id FROM sound_messages WHERE {column} = ? AND id > 0", value
        )
        assert rows
        literal = repr(value)
        assert rows == await store.meta._db.all(
            f"SELECT id FROM sound_messages WHERE {column} = {literal} AND {column} IS {literal}"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM contacts",
        "UPDATE messages SET message_id = 8",
        "UPDATE checksums SET total = total + 1 WHERE name = 'contacts'",
        "UPDATE checksums SET row_count = row_count + 1 WHERE name = 'met'",
        "DELETE FROM checksums WHERE name = 'met'",
        "CREATE INDEX other ON met (list_id, seq)",
        "DROP TABLE met",
        # One bit of the file's head; taken for an older format, it would get new checksums.
        "PRAGMA user_version = 4",
    ],
)
async def test_what_another_hand_has_done(store: Store, path: Path, statement: str) -> None:
    """A start, and `state verify`, find a row or a table that is gone, or isn't what it was."""
    del store
    verify(path)
    with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as db:
        db.execute(statement)
    with pytest.raises(StateDamagedError):
        verify(path)


async def test_other_programs_read_it(store: Store, path: Path) -> None:
    """Nothing of ours is needed for that; what they write without it is refused, or noticed."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT email, user_id FROM contacts").fetchall() == [(ADDRESS, "A-1")]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with pytest.raises(sqlite3.OperationalError, match="row_checksum"):
            db.execute("UPDATE messages SET subject = 'B'")
        with pytest.raises(sqlite3.OperationalError, match="row_checksum"):
            db.execute("INSERT INTO counters VALUES ('known', 1)")
        with pytest.raises(sqlite3.IntegrityError, match="checksum"):
            db.execute(
                "INSERT INTO contacts (list_id, email, subscribed, revision) VALUES (5, 'b', 1, 1)"
            )
        # What goes through is found where it is read.
        db.execute("UPDATE contacts SET user_id = 'B'")
        db.commit()
    with pytest.raises(StateDamagedError):
        verify(path)
    with pytest.raises(StateDamagedError):
        await store.contacts.known(LIST, [ADDRESS])


async def test_contacts_are_given_their_checksums(store: Store) -> None:
    """Our own connection takes no change of a contact without a new one."""
    with pytest.raises(StateDamagedError):
        async with store.transaction():
            await store.meta._db.run("UPDATE contacts SET user_id = 'B'")
    known = await store.contacts.known(LIST, [ADDRESS])
    assert known[ADDRESS].user_id == "A-1"


async def test_damage_is_not_deleted(store: Store, path: Path) -> None:
    """What a damaged row says isn't what it is deleted for."""
    changed(path, "UPDATE counters SET value = 4711")
    with pytest.raises(StateDamagedError):
        async with store.transaction():
            await store.meta._db.one("DELETE FROM counters WHERE value > 4000")


def test_a_column_that_a_later_format_adds(path: Path) -> None:
    """It is part of the checksum from then on, and all rows are there as before."""
    create(path)
    with closing(sqlite3.connect(path, isolation_level=None, factory=Writing)) as db:
        db.execute(
            "INSERT INTO messages (list_id, kind, message_id, found_at)"
            " VALUES (5, 'broadcast', 7, 1)"
        )
        contact = (5, ADDRESS, None, 1, None, 1, "", None)
        db.execute(
            f"INSERT INTO contacts VALUES ({', '.join('?' * 9)})",
            (checksums.row_checksum("contacts", *contact), *contact),
        )
    with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as db:
        db.execute("BEGIN")
        db.execute("ALTER TABLE messages ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
        db.execute("ALTER TABLE contacts ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
        db.execute("CREATE TABLE shapes (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")
        checksums.protect(db)
        db.execute("COMMIT")
    verify(path)
    with closing(sqlite3.connect(path, isolation_level=None, factory=Writing)) as db:
        db.execute("UPDATE messages SET colour = 'blue'")
        db.execute("INSERT INTO shapes VALUES ('round')")
        assert db.execute("SELECT id, message_id, colour FROM sound_messages").fetchall() == [
            (1, 7, "blue")
        ]
        assert db.execute("SELECT sql FROM sqlite_schema WHERE name = 'runs_by_message'").fetchone()
    verify(path)
    changed(path, "UPDATE messages SET colour = 'green'")
    with pytest.raises(StateDamagedError, match="messages"):
        verify(path)


def test_counts_below_0(path: Path) -> None:
    """Those that Listrak had sent, and that older versions took over, are mended."""
    with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as db:
        for number in range(1, 5):
            db.executescript(step(number))
        db.execute("INSERT INTO counters VALUES ('fetched', -4), ('known', 2)")
        db.execute(
            "INSERT INTO totals (message, key, bucket, order_total, rises, clicks, withheld_clicks)"
            " VALUES (1, 2, 0, 0.0, 0, -4, -4)"
        )
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 4")
        assert not verify(path).checksums
        bring_up_to_date(db, 4)
        assert db.execute("SELECT value FROM counters ORDER BY name").fetchall() == [(0,), (2,)]
        assert db.execute("SELECT clicks, withheld_clicks FROM totals").fetchone() == (0, 0)
    assert verify(path).checksums
