"""What BRIDGE_STATE may name: a regular file of ours, or 73 and nothing changed."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.errors import BridgeError, StateError
from bridge.state import place
from bridge.state.lock import holder_in, lock_of
from bridge.state.opening import look, open_database, verify

pytestmark = pytest.mark.anyio

IS_ROOT = os.geteuid() == 0
OTHER = 12345
NULL, NULL_LOCK = Path("/dev/null"), Path("/dev/null.lock")


async def made(path: Path) -> Path:
    """A state file with something in it."""
    async with open_database(path) as database, database.transaction():
        await database.run("INSERT OR REPLACE INTO meta VALUES ('a', 'x')")
    return path


def facts(folder: Path) -> dict[str, object]:
    """All that is in a folder: kinds, modes, owners, and what is in files."""
    found: dict[str, object] = {}
    for one in sorted(folder.rglob("*")):
        seen = one.lstat()
        content = one.read_bytes() if one.is_file() and not one.is_symlink() else b""
        found[str(one)] = (seen.st_mode, seen.st_uid, seen.st_nlink, content)
    return found


def null_device() -> tuple[int, int, bool]:
    """What must never be changed of it."""
    found = NULL.stat()
    return found.st_mode, found.st_uid, NULL_LOCK.exists()


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def linked(path: Path, to: Path | str) -> Path:
    path.symlink_to(to)
    return path


def bound(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    return path


def folder_of(path: Path) -> Path:
    path.mkdir()
    return path


def file_of(path: Path) -> Path:
    path.write_text("x")
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def fifo_by(path: Path) -> Path:
    return fifo(path.with_name("fifo"))


def loop(path: Path) -> Path:
    return linked(path, linked(path.with_name("other"), path))


ODD: dict[str, Callable[[Path], Path]] = {
    "a folder": folder_of,
    "the root": lambda _: Path("/"),
    "a FIFO": fifo,
    "a socket": bound,
    "a device": lambda _: Path("/dev/null"),
    "another device": lambda _: Path("/dev/zero"),
    "standard input": lambda _: Path("/dev/stdin"),
    "a link to a device": lambda path: linked(path, "/dev/null"),
    "a chain to a FIFO": lambda path: linked(path, linked(path.with_name("b"), fifo_by(path))),
    "a link to nothing": lambda path: linked(path, path.with_name("gone")),
    "a chain to nothing": lambda path: linked(path, linked(path.with_name("b"), "gone/there")),
    "a loop": loop,
    "a file of the kernel": lambda _: Path("/proc/version"),
    "another of the kernel": lambda _: Path("/proc/self/mem"),
    "nothing in /proc": lambda _: Path("/proc/bridge.db"),
    "nothing in /sys": lambda _: Path("/sys/bridge.db"),
    "a file of the kernel's settings": lambda _: Path("/sys/kernel/notes"),
    "a name too long": lambda path: path.with_name("n" * 230),
    "a name far too long": lambda path: path.with_name("n" * 300),
    "a path too long": lambda path: path / ("/".join(["n" * 100] * 60)),
    "below a file": lambda path: file_of(path) / "bridge.db",
    "no folder": lambda path: path / "bridge.db",
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("what", ODD)
async def test_an_odd_place(tmp_path: Path, what: str, read_only: bool) -> None:
    """Neither hangs nor ends with a traceback; nothing is made, opened or changed: 73."""
    path = ODD[what](tmp_path / "bridge.db")
    before, null = facts(tmp_path), null_device()
    with pytest.raises(StateError) as caught:
        async with open_database(path, read_only=read_only):
            pytest.fail("opened")
    assert caught.value.exit_code == 73
    assert "BRIDGE_STATE" in str(caught.value)
    assert facts(tmp_path) == before
    assert null_device() == null


@pytest.mark.parametrize("end", place.BESIDE)
@pytest.mark.parametrize("kind", [folder_of, fifo, lambda path: linked(path, "/dev/zero")])
async def test_an_odd_file_beside(tmp_path: Path, end: str, kind: Callable[[Path], Path]) -> None:
    """What stands where SQLite's files or the lock would is looked at as well."""
    path = await made(tmp_path / "bridge.db")
    beside = path.with_name(f"{path.name}{end}")
    beside.unlink(missing_ok=True)
    kind(beside)
    before = facts(tmp_path)
    for read_only in (False, True):
        with pytest.raises(StateError, match=end):
            async with open_database(path, read_only=read_only):
                pytest.fail("opened")
    assert facts(tmp_path) == before


async def test_two_names(tmp_path: Path) -> None:
    """A hard link is refused under either name, and what to do is said."""
    path = await made(tmp_path / "bridge.db")
    os.link(path, tmp_path / "other.db")
    before = facts(tmp_path)
    for name in ("bridge.db", "other.db"):
        for read_only in (False, True):
            with pytest.raises(StateError, match="2 names"):
                async with open_database(tmp_path / name, read_only=read_only):
                    pytest.fail("opened")
    assert facts(tmp_path) == before
    (tmp_path / "other.db").unlink()
    await made(path)


async def test_the_same_file_by_another_name(tmp_path: Path) -> None:
    """By a hard link made meanwhile, or after the lock file was deleted, no second one gets in."""
    path = tmp_path / "bridge.db"
    async with open_database(path):
        lock_of(path).unlink()
        with pytest.raises(StateError, match="in use by another"):
            await made(path)
    await made(path)


async def test_a_link_to_a_state_file(tmp_path: Path) -> None:
    """A link, or several, to a regular file is the file: the lock stands beside the file."""
    path = await made(tmp_path / "bridge.db")
    (tmp_path / "links").mkdir()
    link = linked(tmp_path / "links" / "a.db", linked(tmp_path / "links" / "b.db", path))
    async with open_database(path):
        with pytest.raises(StateError, match="in use"):
            await made(link)
    await made(link)
    assert names(link.parent) == ["a.db", "b.db"]


NAMES = [
    "bridge?mode=memory",
    "a#b.db",
    "100%41.db",
    "a\nb.db",
    "a b'\"\\.db",
    os.fsdecode(b"\xff\xfe.db"),
    "ß🙂.db",
    ":memory:",
    "file:x.db",
    "*.db",
    "[ab].db",
    "n" * 200,
]


@pytest.mark.parametrize("name", NAMES)
async def test_an_odd_name(tmp_path: Path, name: str) -> None:
    """A name is a name, whatever is in it: that very file is made, and nothing else."""
    path = await made(tmp_path / name)
    assert names(tmp_path) == sorted([name, f"{name}.lock"])
    async with open_database(path, read_only=True) as database:
        assert await database.one("SELECT value FROM meta") == ("x",)
    assert not look(path)
    assert verify(path).number > 0


async def test_a_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one in the folder where the command is called."""
    monkeypatch.chdir(tmp_path)
    await made(Path("bridge.db"))
    async with open_database(tmp_path / "bridge.db"):
        with pytest.raises(StateError, match="in use"):
            await made(Path("./bridge.db"))


async def test_no_folder_to_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name says nothing where the present folder was deleted."""
    gone = folder_of(tmp_path / "gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StateError):
        await made(Path("bridge.db"))


@pytest.mark.parametrize("mode", [0o444, 0o400, 0])
async def test_a_file_that_is_read_only(tmp_path: Path, mode: int) -> None:
    """Root could write it all the same, and doesn't."""
    path = await made(tmp_path / "bridge.db")
    path.chmod(mode)
    before = path.stat().st_mode
    with pytest.raises(StateError, match="read-only"):
        await made(path)
    assert path.stat().st_mode == before


# Users

AS_ANOTHER = """
import os, sys
import anyio
from anyio._backends import _asyncio
from pathlib import Path
from bridge.errors import BridgeError
from bridge.state.opening import open_database
os.setgroups([])
os.setgid({user})
os.setuid({user})

async def main():
    try:
        async with open_database(Path(sys.argv[1]), read_only=sys.argv[2] == "True"):
            print("opened")
    except BridgeError as error:
        print(error.exit_code, error)

anyio.run(main)
"""


def as_another(path: Path, *, read_only: bool) -> str:
    """What another user gets to hear."""
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER.format(user=OTHER), str(path), str(read_only)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def close(folder: Path) -> None:
    folder.chmod(0o755)


def give_away(folder: Path) -> None:
    for one in folder.iterdir():
        os.chown(one, OTHER, OTHER)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach and write; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.mark.skipif(not IS_ROOT, reason="takes another user")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
async def test_another_users_file(open_folder: Path, mode: int) -> None:
    """It is refused to whoever isn't its owner, also where its mode would let him: 73.

    Root may read it, and doesn't write it: what it would make beside it the owner couldn't open.
    """
    path = await made(open_folder / "bridge.db")
    path.chmod(mode)
    before = facts(open_folder)
    for read_only in (False, True):
        told = as_another(path, read_only=read_only)
        assert told.startswith("73 "), told
        assert "belongs to another user (uid 0; this is 12345)" in told
    assert facts(open_folder) == before
    give_away(open_folder)
    before = facts(open_folder)
    with pytest.raises(StateError, match="belongs to another user"):
        await made(path)
    assert facts(open_folder) == before
    async with open_database(path, read_only=True) as database:
        assert await database.one("SELECT value FROM meta") == ("x",)
    assert as_another(path, read_only=False) == "opened\n"


@pytest.mark.skipif(not IS_ROOT, reason="takes another user")
def test_another_users_folder(open_folder: Path) -> None:
    """Where a user can't write, nothing is made: 73."""
    open_folder.chmod(0o755)
    told = as_another(open_folder / "bridge.db", read_only=False)
    assert told.startswith("73 ")
    assert "folder" in told
    closed = folder_of(open_folder / "closed")
    closed.chmod(0o700)
    told = as_another(closed / "bridge.db", read_only=False)
    assert told.startswith("73 "), told
    assert list(closed.iterdir()) == []


@pytest.mark.skipif(not IS_ROOT, reason="takes another user")
async def test_what_another_user_left_beside(open_folder: Path) -> None:
    """A lock of root's, or a folder that can't be written any more: 73, and which it is."""
    path = await made(open_folder / "bridge.db")
    os.chown(path, OTHER, OTHER)
    told = as_another(path, read_only=False)
    assert told.startswith("73 ")
    assert "bridge.db.lock" in told
    give_away(open_folder)
    close(open_folder)
    told = as_another(path, read_only=False)
    assert told.startswith("73 ")
    assert "folder that can't be written" in told


# Who has it locked

LOCKS = """\
1: POSIX  ADVISORY  READ 1 00:2a:99 0 EOF
2: FLOCK  ADVISORY  READ 12 fe:00:4711 0 EOF
3: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 EOF
4: FLOCK  ADVISORY  WRITE 3404 fe:00:4711 0 EOF
4: -> FLOCK  ADVISORY  WRITE 99 fe:00:4711 0 EOF
5: FLOCK  ADVISORY  WRITE 5 fe:00:47112 0 EOF
"""


@pytest.mark.parametrize(
    ("device", "inode", "process"),
    [((254, 0), 4711, 3404), ((254, 0), 471, 0), ((254, 1), 4711, 0), ((0, 42), 99, 0)],
)
def test_who_has_it_locked(device: tuple[int, int], inode: int, process: int) -> None:
    """The one that the kernel names; nobody where it names none."""
    assert holder_in(LOCKS, *device, inode) == process


# File systems

MOUNTS = b"""\
23 28 0:22 / /proc rw,nosuid - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 28 0:51 /export /mnt/a\\040b rw,relatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2
41 28 0:52 / /run rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("major", "minor", "kind"),
    [(0, 22, "proc"), (254, 0, "ext4"), (0, 51, "nfs4"), (0, 52, "tmpfs"), (9, 9, "")],
)
def test_the_kind_of_a_file_system(major: int, minor: int, kind: str) -> None:
    """As the kernel tells it of each device."""
    assert place.kind_of_device(MOUNTS.splitlines(), major, minor) == kind


@pytest.mark.parametrize(
    ("kind", "words"), [("nfs4", "network"), ("tmpfs", "restart"), ("ext4", ""), ("", "")]
)
def test_what_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    """A place that can be used and isn't a good one is named, not refused."""
    monkeypatch.setattr(place, "file_system_of", lambda _: kind)
    doubt = place.doubt(tmp_path / "bridge.db")
    assert words in doubt
    assert bool(doubt) == bool(words)


def test_the_file_system_of_what_is_not_there_yet(tmp_path: Path) -> None:
    """That of the folder."""
    assert place.file_system_of(Path("/proc/bridge.db")) == "proc"
    assert place.file_system_of(tmp_path / "a" / "b") == ""


def test_all_are_errors_of_ours() -> None:
    """73 is what all of these are."""
    assert issubclass(StateError, BridgeError)
    assert StateError.exit_code == 73
