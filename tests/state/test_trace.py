"""The trace of a state file: what is older than it is known, and a crash never looks like that."""

import os
import shutil
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from bridge.state.database import Database
from bridge.state.file_format import APPLICATION_ID
from bridge.state.lists import Lists
from bridge.state.lock import lock_of
from bridge.state.opening import open_database
from bridge.state.reversals import Reversals
from bridge.state.trace import JUMP, LOCK_NOTE, trace_of

pytestmark = pytest.mark.anyio

Moment = dict[str, bytes]
"""The content of all files of a moment, by the end of their names."""

ENDS = ("", "-wal", ".lock")


async def put(database: Database, name: str) -> None:
    async with database.transaction():
        await database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, "x" * 900)


def moment_of(path: Path) -> Moment:
    """What would be there after a crash now, -shm left out, as SQLite makes that anew."""
    places = {end: path.with_name(f"{path.name}{end}") for end in ENDS}
    return {end: place.read_bytes() for end, place in places.items() if place.exists()}


def at(path: Path, moment: Moment, *, lock: Moment | None = None) -> Path:
    """A moment in place, with the trace of another one."""
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    content = moment | ({} if lock is None else {".lock": lock[".lock"]})
    for end, data in content.items():
        path.with_name(f"{path.name}{end}").write_bytes(data)
    return path


async def life(path: Path) -> list[Moment]:
    """The moments of a life: after each transaction and each stop."""
    path.parent.mkdir()
    moments = []
    for run in range(3):
        async with open_database(path) as database:
            await database.all("PRAGMA wal_autocheckpoint = 12")
            for step in range(5):
                await put(database, f"{run}.{step}")
                moments.append(moment_of(path))
        moments.append(moment_of(path))
    return moments


async def seen(path: Path) -> tuple[bool, int | None, bool]:
    """Whether it went back, how far it is behind, and whether it looks like a copy."""
    async with open_database(path, read_only=True) as reader:
        read = (reader.went_back, reader.behind, reader.copied)
    async with open_database(path) as database:
        found = (database.went_back, database.behind, database.copied)
    assert found == read
    return found


async def test_what_survives_of_a_life(tmp_path: Path) -> None:
    """Each moment, with each trace: behind it is what was on disk when that was written, alone."""
    moments = await life(tmp_path / "life" / "bridge.db")
    trial = tmp_path / "trial" / "bridge.db"
    for number, moment in enumerate(moments):
        assert await seen(at(trial, moment)) == (False, 0, False), "a crash"
        for other, later in list(enumerate(moments))[::3]:
            went_back, behind, _ = await seen(at(trial, moment, lock=later))
            assert behind is not None
            assert went_back == (other > number)
            assert (behind > 0) == went_back


async def test_a_wal_that_was_deleted(tmp_path: Path) -> None:
    """After a crash it holds what was saved last; of what is missing the trace tells."""
    moments = await life(tmp_path / "life" / "bridge.db")
    crash = next(one for one in moments if len(one.get("-wal", b"")) > 12000)
    path = at(tmp_path / "trial" / "bridge.db", {end: crash[end] for end in ("", ".lock")})
    went_back, behind, copied = await seen(path)
    assert went_back
    assert behind
    assert copied


async def test_opened_by_another_program_after_a_crash(tmp_path: Path) -> None:
    """It brings the -wal into the file: nothing is missing, and the trace says so."""
    moments = await life(tmp_path / "life" / "bridge.db")
    path = at(tmp_path / "trial" / "bridge.db", moments[2])
    with closing(sqlite3.connect(path)) as db:
        db.execute("SELECT count(*) FROM meta").fetchone()
    assert not path.with_name("bridge.db-wal").exists()
    assert await seen(path) == (False, 0, False)


async def test_it_is_found_once(tmp_path: Path) -> None:
    """A file that was found to be behind is ahead from then on, and remembers it until it is told.

    The file that it replaced, put back later, is behind as well.
    """
    moments = await life(tmp_path / "life" / "bridge.db")
    path = at(tmp_path / "trial" / "bridge.db", moments[5], lock=moments[-1])
    before = trace_of(lock_of(path)).number
    async with open_database(path) as database:
        assert database.behind == 14, "two runs of five, with their beginning and their end"
        latest = await Reversals(database).latest()
        assert latest is not None
        assert (latest.behind, latest.told) == (14, False)
    moved = moment_of(path)
    assert trace_of(lock_of(path)).number > before + JUMP
    async with open_database(path) as database:
        assert not database.went_back
        async with database.transaction():
            await Reversals(database).set_told()
        latest = await Reversals(database).latest()
        assert latest is not None
        assert latest.told
    assert (await seen(at(path, moments[-1], lock=moved)))[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        LOCK_NOTE,
        b"\xff\xfe\0 rubbish",
        LOCK_NOTE + b"Transactions on disk: 00000000000000000999 (00000000)\n",
        LOCK_NOTE + b"Transactions on disk: 0000000000",
        b"x" * 100_000,
    ],
)
async def test_without_a_trace(tmp_path: Path, content: bytes) -> None:
    """A trace that is lost, damaged, or of an older version tells nothing and hinders nothing."""
    moments = await life(tmp_path / "life" / "bridge.db")
    path = at(tmp_path / "trial" / "bridge.db", moments[-1] | {".lock": content})
    assert (await seen(path))[:2] == (False, None)
    lock_of(path).unlink()
    assert (await seen(path))[:2] == (False, None)
    assert trace_of(lock_of(path)).number, "from now on there is one"
    async with open_database(path) as database:
        assert not database.is_untraced
    lock_of(path).unlink()
    async with open_database(path, read_only=True) as database:
        assert database.is_untraced


async def test_an_older_format_in_its_place(tmp_path: Path) -> None:
    """A backup from before the numbers were counted is behind any trace."""
    path = tmp_path / "bridge.db"
    async with open_database(path) as database:
        await put(database, "a")
    schema = files("bridge.state").joinpath("schema")
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.create_function("lower_case", 1, str.lower, deterministic=True)
        for step in (1, 2, 3):
            db.executescript(schema.joinpath(f"{step}.sql").read_text(encoding="utf-8"))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 3")
    assert (await seen(path))[:2] == (True, 3)


async def test_a_trace_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no reason to stop: it says less from then on."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    path = tmp_path / "bridge.db"
    async with open_database(path) as database:
        number = trace_of(lock_of(path)).number
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            await put(database, "a")
        assert trace_of(lock_of(path)).number == number
    assert await seen(path) == (False, 0, False)


@pytest.mark.parametrize("went_back", [False, True])
async def test_a_list_that_begins_later(tmp_path: Path, went_back: bool) -> None:
    """In the time that is lost it may have been there: its ids are above those of then as well."""
    moments = await life(tmp_path / "life" / "bridge.db")
    path = at(tmp_path / "trial" / "bridge.db", moments[5 if went_back else -1], lock=moments[-1])
    async with open_database(path) as database:
        lists = Lists(database)
        async with database.transaction():
            await lists.begin(5, "News", "2026-03-01T05:00:00.000Z", "UTC")
        floor = (await lists.state(5)).revision_floor
    assert (floor > 1_000_000_000_000) == went_back
    assert bool(floor) == went_back
