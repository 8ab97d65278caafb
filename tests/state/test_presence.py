"""A state file that is deleted, moved, replaced or overwritten while it is in use."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from bridge.errors import BridgeError, StateDamagedError, StateError
from bridge.state import database, presence
from bridge.state.database import Database
from bridge.state.file_mark import wal_of
from bridge.state.lock import lock_of
from bridge.state.opening import open_database

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "bridge.db"


def end(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


async def put(database: Database, *names: str) -> None:
    async with database.transaction():
        for name in names:
            await database.run("INSERT INTO meta VALUES (?, 'x')", name)


async def names(path: Path) -> list[str]:
    async with open_database(path) as opened:
        return [name for (name,) in await opened.all("SELECT name FROM meta ORDER BY name")]


def everything(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def all_deleted(path: Path) -> None:
    for one in path.parent.iterdir():
        one.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replaced(path: Path) -> None:
    other = path.with_name("other.db")
    shutil.copy(path, other)
    other.rename(path)


def made_anew(path: Path) -> None:
    path.unlink()
    path.touch()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def all_replaced(path: Path) -> None:
    """By a whole one that somebody else has open."""
    for one in list(path.parent.iterdir()):
        shutil.copy(one, end(one, ".copy"))
        end(one, ".copy").rename(one)


def folder_deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def by_end(suffix: str, how: Callable[[Path], None]) -> Callable[[Path], None]:
    def done(path: Path) -> None:
        how(end(path, suffix))

    return done


HARM: dict[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "all deleted": all_deleted,
    "moved": moved,
    "folder moved": folder_moved,
    "folder deleted": folder_deleted,
    "replaced": replaced,
    "all replaced": all_replaced,
    "-wal deleted": by_end("-wal", Path.unlink),
    "-wal moved": by_end("-wal", moved),
    "-wal replaced": by_end("-wal", replaced),
    "-shm deleted": by_end("-shm", Path.unlink),
    "-shm replaced": by_end("-shm", replaced),
    "lock deleted": by_end(".lock", Path.unlink),
    "lock replaced": by_end(".lock", replaced),
    "lock made anew": by_end(".lock", made_anew),
}


@pytest.mark.parametrize("harm", HARM)
async def test_harm_while_it_is_in_use(path: Path, harm: str) -> None:
    """Noticed before the next transaction: 73, and what stands there by then isn't touched."""
    async with open_database(path) as opened:
        await put(opened, "a")
        HARM[harm](path)
        there = everything(path.parent) if path.parent.exists() else {}
        for _again in range(2):
            with pytest.raises(StateError, match="while it was in use") as caught:
                await put(opened, "b")
            assert caught.value.exit_code == 73
            assert str(path) in str(caught.value)
    after = everything(path.parent) if path.parent.exists() else {}
    lost = {name for name in there if after.get(name) != there[name]}
    ours = {path.name} if "replaced" not in harm or harm[0] == "-" or "lock" in harm else set()
    # Of the files that were its own, it may have brought one to its end.
    assert lost - ours <= {wal_of(path).name, "bridge.db-shm", "moved.db", "moved.db-wal"}, lost
    if harm in ("replaced", "all replaced"):
        assert path.name not in lost
    if harm == "all replaced":
        assert not lost, "the -wal of the other is the other's"


@pytest.mark.parametrize("harm", [one for one in HARM if one[0] == "-" or "lock" in one])
async def test_nothing_is_lost_by_what_is_beside(path: Path, harm: str) -> None:
    """All that was saved is in the file, and the next start goes on with it."""
    async with open_database(path) as opened:
        await put(opened, "a", "b")
        HARM[harm](path)
        with pytest.raises(StateError):
            await put(opened, "c")
    async with open_database(path) as opened:
        assert not opened.went_back
        assert not opened.copied
    assert await names(path) == ["a", "b"]


async def test_what_was_moved_is_whole(path: Path) -> None:
    """A file that was moved without its -wal holds all that was saved until then."""
    async with open_database(path) as opened:
        await put(opened, "a")
        moved(path)
        with pytest.raises(StateError):
            await put(opened, "b")
    with closing(sqlite3.connect(f"{path.with_name('moved.db').as_uri()}?mode=ro", uri=True)) as db:
        assert db.execute("SELECT name FROM meta").fetchall() == [("a",)]
    with pytest.raises(StateDamagedError, match="is gone"):
        await names(path)


@pytest.mark.parametrize("harm", ["deleted", "all deleted"])
async def test_what_was_deleted_is_no_first_start(path: Path, harm: str) -> None:
    """Even where all was deleted: the one that had it open has left a trace. 65."""
    async with open_database(path) as opened:
        await put(opened, "a")
        HARM[harm](path)
        with pytest.raises(StateError, match=r"move bridge\.db\.lock away"):
            await put(opened, "b")
    with pytest.raises(StateDamagedError, match="is gone"):
        await names(path)
    for one in list(path.parent.iterdir()):
        one.unlink()
    assert await names(path) == []


async def test_a_second_one_meanwhile(path: Path) -> None:
    """It begins where nothing was left; the first one ends, and the second isn't harmed by that."""
    async with open_database(path) as first:
        await put(first, "a")
        all_deleted(path)
        async with open_database(path) as second:
            await put(second, "b")
            with pytest.raises(StateError, match="replaced by another"):
                await put(first, "c")
            await put(second, "d")
    assert await names(path) == ["b", "d"]


async def test_a_second_one_after_the_end(path: Path) -> None:
    """Closing the first one leaves the second one's -wal, and all in it."""
    seconds = open_database(path)
    async with open_database(path) as first:
        await put(first, "a")
        all_deleted(path)
        second = await seconds.__aenter__()
        await put(second, "b")
    assert wal_of(path).exists()
    await put(second, "c")
    await seconds.__aexit__(None, None, None)
    assert await names(path) == ["b", "c"]


@pytest.mark.parametrize("source", ["older", "nothing", "another's"])
async def test_overwritten_in_place(path: Path, tmp_path: Path, source: str) -> None:
    """A copy over a file in use keeps its inode: noticed all the same, and left as it was put."""
    other = tmp_path / "other.db"
    async with open_database(path if source == "older" else other) as opened:
        await put(opened, "old")
    content = b"" if source == "nothing" else (path if source == "older" else other).read_bytes()
    async with open_database(path) as opened:
        await put(opened, "a")
        overwrite(path, content)
        with pytest.raises(StateError, match="was overwritten") as caught:
            await put(opened, "b")
        assert caught.value.exit_code == 73
    assert everything(path.parent)[path.name] == content
    with pytest.raises(StateDamagedError):
        await names(path)


async def test_its_own_writing_is_no_harm(path: Path) -> None:
    """Checkpoints, by others as well, a file that is written anew, and readers: all as usual."""
    async with open_database(path) as opened:
        await opened.all("PRAGMA wal_autocheckpoint = 5")
        for number in range(30):
            await put(opened, f"a{number}")
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(FULL)")
        await put(opened, "b")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM meta").fetchall()
            for number in range(30):
                await put(opened, f"c{number}")
            await opened.rewrite()
            await put(opened, "d")
            assert not await opened.empty_wal()
        await put(opened, "e")
        assert await opened.empty_wal()
        await put(opened, "f")
        overwrite(path, everything(path.parent)[path.name][:4096])
        with pytest.raises(StateError, match="was overwritten"):
            await put(opened, "g")


async def test_marks_are_not_kept_without_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a reader keeps them from the file, its content isn't compared after so many."""
    monkeypatch.setattr(presence, "MOST_MARKS", 5)
    async with open_database(path) as opened:
        for number in range(20):
            await put(opened, f"a{number}")
        assert opened._hold is not None
        assert len(opened._hold.presence._marks) <= 6


async def test_noticed_while_nothing_is_saved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look every few seconds, though nothing happens."""
    monkeypatch.setattr(database, "INTERVAL", 0.01)
    async with open_database(path) as opened:
        moved(path)
        with anyio.fail_after(30), pytest.raises(StateError, match="moved away"):
            await opened.watch()


async def test_what_cannot_be_looked_at_is_no_harm(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is closed for a while, or a disk that fails to answer, proves nothing."""

    def refuse(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    async with open_database(path) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", refuse)
            await put(opened, "a")
        await put(opened, "b")
    assert await names(path) == ["a", "b"]


def test_the_error_is_the_state_files() -> None:
    """73, as all that is wrong with its place."""
    assert issubclass(StateError, BridgeError)
    assert StateError.exit_code == 73
    assert lock_of(Path("/a/b.db")) == Path("/a/b.db.lock")
