"""The state file: who may open it, and what is said where it can't be used."""

import fcntl
import os
import re
import sqlite3
import sys
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import anyio
import pytest

from bridge.errors import StateDamagedError, StateError, TemporaryError
from bridge.state.database import Database
from bridge.state.file_format import APPLICATION_ID, SCHEMA_VERSION
from bridge.state.inspection import translated
from bridge.state.lock import lock_of
from bridge.state.opening import open_database

pytestmark = pytest.mark.anyio

HOLD = """
import sys, anyio
from pathlib import Path
from bridge.state.opening import open_database

async def hold():
    async with open_database(Path(sys.argv[1])):
        print("held", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)

anyio.run(hold)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


async def put(database: Database, name: str, value: str = "x") -> None:
    await database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)


async def names(database: Database) -> list[str]:
    return [row[0] for row in await database.all("SELECT name FROM meta ORDER BY name")]


async def made(path: Path, rows: int = 0) -> None:
    """A state file with something in it, closed."""
    async with open_database(path) as database, database.transaction():
        for number in range(rows):
            await put(database, f"name {number:05}", "x" * 200)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def content(path: Path) -> bytes:
    return path.read_bytes()


def put_in_place(path: Path, content: bytes = b"", mode: int = 0o600) -> None:
    """A file that somebody else made."""
    path.write_bytes(content)
    path.chmod(mode)


# Opening


@pytest.mark.parametrize("mask", [0o022, 0o000])
async def test_for_nobody_else(path: Path, mask: int) -> None:
    """All files are made for their owner alone, whatever the umask: they hold addresses."""
    before = os.umask(mask)
    try:
        async with open_database(path) as database:
            async with database.transaction():
                await put(database, "a")
            found = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert found["bridge.db"] == 0o600
    assert {"bridge.db", "bridge.db.lock", "bridge.db-wal"} <= set(found)
    assert set(found.values()) == {0o600}


async def test_made_private_again(path: Path) -> None:
    """A state file that others can read (copied, restored) is closed to them."""
    await made(path)
    put_in_place(path, content(path), 0o644)
    await made(path)
    assert mode(path) == 0o600


async def test_stays(path: Path) -> None:
    """What was committed is there after opening it again."""
    for name in ("a", "b"):
        async with open_database(path) as database, database.transaction():
            await put(database, name)
    async with open_database(path) as database:
        assert await names(database) == ["a", "b"]
        assert await database.one("PRAGMA user_version") == (SCHEMA_VERSION,)
        assert await database.one("PRAGMA journal_mode") == ("wal",)
        assert await database.one("PRAGMA synchronous") == (2,), "FULL: survives power loss"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("text", [b"", b"S", b"SQLite format 3\0"])
async def test_a_file_of_a_few_bytes(path: Path, text: bytes, read_only: bool) -> None:
    """A file that lost its content is no new one: 65, and nothing is changed or left beside it."""
    put_in_place(path, text, mode=0o644)
    with pytest.raises(StateDamagedError) as caught:
        async with open_database(path, read_only=read_only):
            pytest.fail("opened")
    assert caught.value.exit_code == 65
    assert content(path) == text
    assert mode(path) == 0o644
    assert list(path.parent.iterdir()) == [path]


async def test_held_by_another_process(path: Path) -> None:
    """While another process holds it nobody else writes: 73, and that one is not disturbed."""
    with anyio.fail_after(60):
        async with await anyio.open_process([sys.executable, "-c", HOLD, str(path)]) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert (await other.stdout.receive()).strip() == b"held"
            with pytest.raises(StateError, match="in use by another") as caught:
                await made(path)
            assert caught.value.exit_code == 73
            # Not on all file systems the kernel tells it.
            told = re.findall(r"\(process (\d+)\)", str(caught.value))
            assert told in ([], [str(other.pid)])
            async with open_database(path, read_only=True) as database:
                assert await names(database) == []
            await other.stdin.aclose()
            assert await other.wait() == 0
    await made(path)


async def test_held_by_this_process(path: Path) -> None:
    """Nor does this process open it twice; afterwards it is free again."""
    async with open_database(path):
        with pytest.raises(StateError, match="in use"):
            await made(path)
    await made(path)


async def test_free_after_an_error(path: Path) -> None:
    """What fails while it is open doesn't keep it locked."""
    with pytest.raises(ZeroDivisionError):
        async with open_database(path):
            raise ZeroDivisionError
    await made(path)


async def test_no_folder(tmp_path: Path) -> None:
    """A folder that isn't there is not made: 73, and what to do."""
    path = tmp_path / "missing" / "bridge.db"
    with pytest.raises(StateError, match="folder") as caught:
        await made(path)
    assert caught.value.exit_code == 73
    assert str(path) in str(caught.value)
    assert not path.parent.exists()


async def test_a_folder(tmp_path: Path) -> None:
    """A folder in place of the file is named."""
    (tmp_path / "bridge.db").mkdir()
    with pytest.raises(StateError, match="is a folder"):
        await made(tmp_path / "bridge.db")


async def test_older(path: Path) -> None:
    """A file of an older version is brought up to date, with all that it holds."""
    first = files("bridge.state").joinpath("schema", "1.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(first)
        db.execute(
            "INSERT INTO messages (list_id, kind, message_id, found_at, summary)"
            " VALUES (5, 'broadcast', 7, 1.5, '[1]')"
        )
        db.commit()
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    async with open_database(path, read_only=True) as database:
        assert await database.version() == 1, "who only looks changes nothing"
    for _ in range(2):
        async with open_database(path) as database:
            assert await database.version() == SCHEMA_VERSION
            assert await database.one("SELECT summary, asked FROM messages") == ("[1]", 0)
            assert await database.all("SELECT * FROM event_counts") == []


def of_format_3(path: Path, *statements: str) -> None:
    """A file of format 3 with something in it."""
    schema = files("bridge.state").joinpath("schema")
    with closing(sqlite3.connect(path)) as db:
        for step in (1, 2, 3):
            db.executescript(schema.joinpath(f"{step}.sql").read_text(encoding="utf-8"))
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 3")


async def test_spellings_that_were_told_apart(path: Path) -> None:
    """The contact goes on as the one with most changes, and whichever left last, that is known."""
    march, may = "2026-03-01T05:00:00.000Z", "2026-05-01T04:00:00.000Z"
    contacts = [
        (5, "Bob@X.com", 1, "B-1", 4, march),
        (5, "bob@x.com", 0, None, 3, may),
        (6, "bob@x.com", 0, None, 9, ""),
        (5, "ÉVE@x.com", 0, None, 2, ""),
        (5, "éve@x.com", 1, "E-1", 2, ""),
        (5, "ann@x.com", 1, None, 1, march),
    ]
    of_format_3(
        path,
        *(
            "INSERT INTO contacts (list_id, email, subscribed, user_id, revision, unsubscribed_at)"
            f" VALUES {contact!r}".replace("None", "NULL")
            for contact in contacts
        ),
        "INSERT INTO causes VALUES (5, 'Bob@X.com', 7, 0), (5, 'bob@x.com', 8, 1),"
        " (5, 'ÉVE@x.com', 9, 1), (5, 'ann@X.com', 7, 0)",
        "INSERT INTO met (list_id, keys) VALUES (5, x'0000000000000000')",
        "INSERT INTO contact_looks VALUES (5, 1, 1.5, '[]')",
    )
    async with open_database(path) as database:
        assert await database.all("SELECT * FROM sound_contacts ORDER BY list_id, email") == [
            (5, "ann@x.com", None, 1, None, 1, march, None),
            (5, "bob@x.com", "Bob@X.com", 1, "B-1", 4, may, None),
            # With as many changes, the subscribed one: the next sweep corrects it.
            (5, "éve@x.com", None, 1, "E-1", 2, "", None),
            (6, "bob@x.com", None, 0, None, 9, "", None),
        ]
        assert await database.all("SELECT * FROM sound_causes ORDER BY email") == [
            (5, "ann@x.com", 7, 0, 0.0),
            (5, "bob@x.com", 7, 0, 0.0),
            (5, "éve@x.com", 9, 1, 0.0),
        ]
        assert await database.all("SELECT * FROM met") == []
        assert await database.all("SELECT * FROM contact_looks") == []


async def test_newer(path: Path) -> None:
    """A file of a newer version is left as it is: 65."""
    await made(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for read_only in (False, True):
        with pytest.raises(StateDamagedError, match="newer version") as caught:
            async with open_database(path, read_only=read_only):
                pytest.fail("opened")
        assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    "text", [b"hello, this is a text" * 500, b"\0" * 8192, b"SQLite format 3\0"]
)
async def test_not_a_database(path: Path, text: bytes) -> None:
    """A file that is no database is not touched: 65."""
    put_in_place(path, text)
    with pytest.raises(StateDamagedError) as caught:
        await made(path)
    assert caught.value.exit_code == 65
    assert str(path) in str(caught.value)
    assert content(path) == text


@pytest.mark.parametrize("read_only", [False, True])
async def test_somebody_elses(path: Path, read_only: bool) -> None:
    """Another program's database is left untouched, its permissions as well."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (a)")
        db.execute("INSERT INTO theirs VALUES (1)")
        db.commit()
    before = content(path)
    put_in_place(path, before, 0o644)
    with pytest.raises(StateDamagedError, match="not a state file of this program"):
        async with open_database(path, read_only=read_only):
            pytest.fail("opened")
    assert content(path) == before
    assert mode(path) == 0o644


async def test_damaged(path: Path) -> None:
    """Damage is found at the start: 65, the file left as it is, and what to do."""
    await made(path, rows=500)
    damaged = bytearray(content(path))
    page = 4096
    for start in range(3 * page, len(damaged) - page, 2 * page):
        damaged[start : start + page] = b"\xde\xad" * (page // 2)
    put_in_place(path, bytes(damaged))
    with pytest.raises(StateDamagedError, match="damaged") as caught:
        await made(path)
    assert caught.value.exit_code == 65
    assert "backup" in str(caught.value)
    assert content(path) == damaged
    with pytest.raises(StateDamagedError):
        async with open_database(path, read_only=True) as database:
            await database.all("SELECT * FROM meta")


async def test_cut_short(path: Path) -> None:
    """So is a file that lost its end."""
    await made(path, rows=500)
    os.truncate(path, len(content(path)) // 2)
    with pytest.raises(StateDamagedError):
        await made(path)


# Reading beside a service


async def test_read_only(path: Path) -> None:
    """A reader sees what is committed while another one writes, and writes nothing itself."""
    async with open_database(path) as writer:
        async with writer.transaction():
            await put(writer, "a")
        async with open_database(path, read_only=True) as reader:
            assert await names(reader) == ["a"]
            async with writer.transaction():
                await put(writer, "b")
            assert await names(reader) == ["a", "b"]
            with pytest.raises((StateError, sqlite3.OperationalError)):
                async with reader.transaction():
                    await put(reader, "c")


async def test_nothing_to_read(path: Path) -> None:
    """A reader doesn't make a file."""
    with pytest.raises(StateError, match="no state file"):
        async with open_database(path, read_only=True):
            pytest.fail("opened")
    assert list(path.parent.iterdir()) == []


# Transactions


async def test_all_or_nothing(path: Path) -> None:
    """An error takes back all of a transaction, and the next one works."""
    async with open_database(path) as database:

        async def half() -> None:
            async with database.transaction():
                await put(database, "a")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await half()
        async with database.transaction():
            await put(database, "b")
        assert await names(database) == ["b"]


async def test_not_cancelled_half_way(path: Path) -> None:
    """A transaction that has begun is finished, also while the service stops."""
    async with open_database(path) as database:
        with anyio.CancelScope() as scope:
            async with database.transaction():
                await put(database, "a")
                scope.cancel()
                await put(database, "b")
        assert await names(database) == ["a", "b"]


async def test_a_full_disk(path: Path) -> None:
    """A full disk may pass: nothing of the transaction is there, and later it works."""
    async with open_database(path) as database:
        (pages,) = await database.one("PRAGMA page_count")
        await database.all(f"PRAGMA max_page_count = {pages + 2}")

        async def much() -> None:
            async with database.transaction():
                for number in range(100):
                    await put(database, f"name {number}", "x" * 1000)

        with pytest.raises(TemporaryError, match="full"):
            await much()
        assert await names(database) == []
        await database.all("PRAGMA max_page_count = 1000000")
        async with database.transaction():
            await put(database, "a")
        assert await names(database) == ["a"]


async def test_what_is_wrong_with_a_statement(path: Path) -> None:
    """A mistake of ours is no damage and no matter of waiting."""
    async with open_database(path) as database:
        with pytest.raises(StateError):
            async with database.transaction():
                await database.run("INSERT INTO nowhere VALUES (1)")
        with pytest.raises(StateError):
            await database.all("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_FULL", TemporaryError),
        ("SQLITE_IOERR_WRITE", TemporaryError),
        ("SQLITE_BUSY", TemporaryError),
        ("SQLITE_BUSY_SNAPSHOT", TemporaryError),
        ("SQLITE_CORRUPT", StateDamagedError),
        ("SQLITE_CORRUPT_INDEX", StateDamagedError),
        ("SQLITE_NOTADB", StateDamagedError),
        ("SQLITE_READONLY", StateError),
        ("SQLITE_CANTOPEN", StateError),
        ("", StateError),
    ],
)
async def test_translated(path: Path, name: str, kind: type[Exception]) -> None:
    """SQLite's errors are told by what is to be done about them, with the file's name."""
    error = sqlite3.OperationalError("some reason")
    if name:
        error.sqlite_errorname = name
    found = translated(error, path)
    assert type(found) is kind
    assert str(path) in str(found)
    assert "some reason" in str(found)


async def test_a_file_that_is_rewritten(path: Path) -> None:
    """Deleted bytes are gone once the -wal is emptied; a reader in between holds that up."""
    async with open_database(path) as database:
        for number in range(300):
            async with database.transaction():
                await database.run(
                    "INSERT INTO meta VALUES (?, ?)", f"name {number}", f"secret {number} " * 20
                )
        async with database.transaction():
            await database.run("DELETE FROM meta WHERE name != 'name 7'")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM meta").fetchall()
            await database.rewrite()
            assert not await database.empty_wal()
        assert await database.empty_wal()
        assert secrets(path) == [7]
        assert len(await database.all("SELECT * FROM meta")) == 1


def secrets(path: Path) -> list[int]:
    """Which of the secrets stand in the file or in its -wal."""
    kept = path.read_bytes() + path.with_name("bridge.db-wal").read_bytes()
    return [number for number in range(300) if f"secret {number} ".encode() in kept]


async def test_a_rewriting_that_is_stopped(path: Path) -> None:
    """It ends soon, whatever is left of it to do, and the file is as it was."""
    async with open_database(path) as database:
        async with database.transaction():
            await database.run("INSERT INTO meta VALUES ('large', ?)", "x" * 50_000_000)
        with anyio.move_on_after(0) as scope:
            await database.rewrite()
        assert scope.cancelled_caught
        async with database.transaction():
            await database.run("INSERT INTO meta VALUES ('small', 'y')")
        lengths = await database.all("SELECT name, length(value) FROM meta ORDER BY name")
        assert [tuple(row) for row in lengths] == [("large", 50_000_000), ("small", 1)]
        assert (await database.one("PRAGMA quick_check"))[0] == "ok"


async def test_who_only_asks_keeps_nobody_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`explain` and others lock the file for an instant to learn whether a service has it."""
    async with open_database(path):
        pass
    with lock_of(path).open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        waits = []

        async def answered(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(asking, fcntl.LOCK_UN)

        with monkeypatch.context() as patch:
            patch.setattr(anyio, "sleep", answered)
            async with open_database(path):
                assert len(waits) == 1
