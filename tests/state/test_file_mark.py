"""State files, and what stands beside them: of one file and moment, or refused, at any instant."""

import lzma
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest
from tracer import traced

from bridge.errors import StateDamagedError, StateError
from bridge.state import file_mark
from bridge.state.database import Database
from bridge.state.file_format import APPLICATION_ID, SCHEMA_VERSION
from bridge.state.lock import lock_of
from bridge.state.opening import open_database

pytestmark = pytest.mark.anyio

State = dict[str, str]
Pair = tuple[bytes, bytes | None]
"""A main file and the -wal beside it, None for none."""

MARKED_SINCE = 4
"""The first format whose files have a mark."""

LIVE = """
import sys, anyio
from pathlib import Path
from test_file_mark import changes, change
from bridge.state.opening import open_database

async def live(path, seed, already):
    async with open_database(path) as database:
        await database.all("PRAGMA wal_autocheckpoint = 12")
        for number, values in enumerate(changes(seed)):
            if number >= already:
                await change(database, values)
                print(number + 1, flush=True)

anyio.run(live, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""


def changes(seed: int, number: int = 12) -> Iterator[State]:
    """The changes of a life, each a transaction: of different sizes, each of a part of the rows."""
    chance = random.Random(seed)
    for step in range(number):
        rows = chance.choice([1, 2, 25])
        yield {f"{chance.randrange(60)}": f"{seed}.{step} " + "x" * 900 for _ in range(rows)}


def states(seed: int) -> list[State]:
    """The true states of a life, in order."""
    found: list[State] = [{}]
    for values in changes(seed):
        found.append(found[-1] | values)
    return found


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def pair(path: Path) -> Pair:
    """What stands on disk now."""
    return path.read_bytes(), wal(path).read_bytes() if wal(path).exists() else None


def put(path: Path, found: Pair) -> Path:
    """Both in place, and nothing else."""
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    main, beside = found
    path.write_bytes(main)
    if beside is not None:
        wal(path).write_bytes(beside)
    return path


def folder(path: Path) -> dict[str, bytes]:
    """All that is in the folder of a file, byte for byte."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


async def state(database: Database) -> State:
    return dict(await database.all("SELECT name, value FROM meta"))


async def change(database: Database, values: State) -> None:
    async with database.transaction():
        for name, value in values.items():
            await database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)


async def opened(path: Path, *, read_only: bool = False) -> tuple[State, bool]:
    """What a service reads, and whether it takes the file for a copy."""
    async with open_database(path, read_only=read_only) as database:
        return await state(database), database.copied


async def refused(path: Path, *, read_only: bool = False) -> bool:
    """Tells whether it is refused; what it holds isn't changed by that."""
    before = folder(path)
    problem: StateDamagedError | None = None
    try:
        await opened(path, read_only=read_only)
    except StateDamagedError as error:
        problem = error
    if problem is None:
        return False
    assert problem.exit_code == 65
    assert str(path) in str(problem)
    assert folder(path) == before, problem
    return True


async def life(path: Path, seed: int) -> list[tuple[Pair, State]]:
    """What stood on disk at moments of a life, and the state at each.

    The life is one of runs that end in a crash or a stop, with checkpoints, and readers that keep
    a -wal from being begun anew.
    """
    chance = random.Random(seed)
    moments: list[tuple[Pair, State]] = []
    left = iter(list(changes(seed)))
    now: State = {}
    while len(moments) < 12:
        async with open_database(path) as database:
            await database.all(f"PRAGMA wal_autocheckpoint = {chance.choice([5, 12, 40])}")
            for values in [next(left, {"0": "x"}) for _ in range(chance.randint(1, 5))]:
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
                    if chance.random() < 0.3:
                        reader.execute("BEGIN")
                        reader.execute("SELECT count(*) FROM meta").fetchone()
                    await change(database, values)
                    await database.all("PRAGMA wal_checkpoint(PASSIVE)")
                    now = now | values
                    moments.append((pair(path), now))
                await change(database, again := {"again": values.popitem()[1]})
                now = now | again
                moments.append((pair(path), now))
        if chance.random() < 0.5:
            put(path, moments[-1][0])
        else:
            moments.append((pair(path), now))
    return moments


async def crossed(moments: list[tuple[Pair, State]], trial: Path) -> dict[bool, int]:
    """Opens each main file with each -wal; how many were refused, and how many were not.

    Those that were not refused hold exactly the state of one moment.
    """
    known = [now for _, now in moments]
    verdicts = {True: 0, False: 0}
    for (main, own), _ in moments:
        for (_, other), _ in moments:
            if other is None or other == own:
                continue
            put(trial, (main, other))
            no = await refused(trial, read_only=True)
            verdicts[no] += 1
            if not no:
                assert (await opened(put(trial, (main, other)), read_only=True))[0] in known
            if sum(verdicts.values()) % 7 == 0:
                assert await refused(put(trial, (main, other))) == no, "who writes sees the same"
    return verdicts


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_moments_that_are_crossed(tmp_path: Path, seed: int) -> None:
    """Each main file with each -wal of a life: refused, or exactly the state of one moment.

    What stood on disk together is opened, as that very state.
    """
    moments = await life(tmp_path / "bridge.db", seed)
    trial = tmp_path / "trial" / "bridge.db"
    for found, now in moments:
        assert await opened(put(trial, found), read_only=True) == (now, False)
    verdicts = await crossed(moments, trial)
    assert min(verdicts.values()) > 10, verdicts


KILLS = [
    *(f"pwrite64:signal=KILL:when={nth}" for nth in (1, 2, 3, 5, 9, 17, 30, 44, 61, 80)),
    *(f"fdatasync:signal=KILL:when={nth}" for nth in (1, 2, 3, 4, 7, 11)),
    *(f"{call}:signal=KILL:when=1" for call in ("write", "fsync", "rename", "unlink", "ftruncate")),
    "fsync:signal=KILL:when=2",
    "unlink:signal=KILL:when=2",
]


async def test_killed_again_and_again(tmp_path: Path) -> None:
    """From the making of the file to its closing: never refused, and nothing saved is lost.

    Nor do the main file of one kill and the -wal of another make a state that never was.
    """
    path, trial = tmp_path / "life" / "bridge.db", tmp_path / "trial" / "bridge.db"
    path.parent.mkdir()
    moments: list[tuple[Pair, State]] = []
    for seed in (5, 6):
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        expected, saved = states(seed), 0
        for inject in random.Random(seed).sample(KILLS, len(KILLS)):
            saved = live_until(inject, path, seed, saved)
            if not path.exists():
                continue
            found, _ = await opened(put(trial, pair(path)))
            # The last transaction may be on disk without having been told.
            assert found in expected[saved : saved + 2], inject
            saved = expected.index(found)
            moments.append((pair(path), found))
            if saved == len(expected) - 1:
                break
        assert saved == len(expected) - 1
    assert min((await crossed(moments, trial)).values()) > 10


def live_until(inject: str, path: Path, seed: int, already: int = 0) -> int:
    """Lives under a tracer that kills at a system call; returns how many changes were saved."""
    command = [sys.executable, "-c", LIVE, str(path), str(seed), str(already)]
    here = Path(__file__).parent
    folders = (here, here.parent, here.parent.parent / "scripts")
    done = subprocess.run(
        traced(command, inject),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Error" not in done.stderr, done.stderr
    return int(done.stdout.split()[-1]) if done.stdout else already


async def made(path: Path) -> None:
    async with open_database(path) as database:
        await change(database, {"a": "x"})


@pytest.mark.parametrize("trace", ["-wal", "-shm", "-journal", ".lock"])
async def test_a_file_that_is_gone(tmp_path: Path, trace: str) -> None:
    """What is left beside a lost file tells that there was one: 65, until it is moved away."""
    path = tmp_path / "life" / "bridge.db"
    path.parent.mkdir()
    async with open_database(path) as database:
        await change(database, {"a": "x"})
        left = lock_of(path) if trace == ".lock" else path.with_name(path.name + trace)
        kept = left.read_bytes() if left.exists() else b""
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    left.write_bytes(kept)
    assert await refused(path)
    assert await refused(path, read_only=True)
    left.unlink()
    await made(path)


async def test_a_first_start_that_ended_early(tmp_path: Path) -> None:
    """A lock file in which nothing is written, or an unfinished new file, is no trace of one."""
    path = tmp_path / "bridge.db"
    lock_of(path).touch()
    path.with_name("bridge.db.new").write_bytes(b"SQL")
    await made(path)
    assert not path.with_name("bridge.db.new").exists()
    assert (await opened(path))[0] == {"a": "x"}


async def test_a_new_file_identifies_itself(tmp_path: Path) -> None:
    """From its first moment on it holds its tables and its mark, whatever stands beside it."""
    path = tmp_path / "bridge.db"
    async with open_database(path):
        main, _ = pair(path)
    path = put(tmp_path / "copy" / "bridge.db", (main, None))
    assert await opened(path) == ({}, True)
    assert await opened(path) == ({}, False), "noticed once: it is a file of its own since then"


async def test_a_backup_beside_the_wal_of_the_lost_file(tmp_path: Path) -> None:
    """Put in place where an older -wal was left, as restoring a backup goes wrong: refused."""
    path = tmp_path / "life" / "bridge.db"
    path.parent.mkdir()
    await made(path)
    backup = path.read_bytes()
    async with open_database(path) as database:
        for values in changes(3):
            await change(database, values)
        await database.checkpoint()
        await change(database, {"b": "y"})
        await database.checkpoint()
        await change(database, {"c": "z"})
        _, beside = pair(path)
    assert await refused(put(path, (backup, beside)))
    assert (await opened(put(path, (backup, None))))[0] == {"a": "x"}


@pytest.mark.parametrize("how", ["damaged", "cut", "foreign journal", "another page size"])
async def test_what_else_may_be_beside_a_file(tmp_path: Path, how: str) -> None:
    """A -wal without anything valid in it adds nothing, and that is noticed; others are refused."""
    path = tmp_path / "life" / "bridge.db"
    path.parent.mkdir()
    async with open_database(path) as database:
        await change(database, {"a": "x"})
        main, beside = pair(path)
        assert beside is not None
    put(path, (main, beside))
    if how == "damaged":
        wal(path).write_bytes(beside[:40] + bytes([beside[40] ^ 1]) + beside[41:])
        assert (await opened(path))[1], "what was in it is missing"
        return
    if how == "cut":
        os.truncate(wal(path), 32)
        assert (await opened(path))[1]
        return
    if how == "foreign journal":
        path.with_name("bridge.db-journal").write_bytes(b"x" * 512)
    else:
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as db:
            db.executescript(
                "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; CREATE TABLE a (b)"
            )
            shutil.copy(wal(other), wal(path))
    assert await refused(path)


async def test_a_damaged_wal(tmp_path: Path) -> None:
    """A changed bit anywhere in it: refused, or only the last transaction is left out.

    The latter can't be told from a crash. A -wal without a valid head counts as none.
    """
    path = tmp_path / "life" / "bridge.db"
    path.parent.mkdir()
    known: list[State] = []
    async with open_database(path) as database:
        main, _ = pair(path)
        for values in changes(4, number=5):
            await change(database, values)
            known.append(await state(database))
        _, beside = pair(path)
    assert beside is not None
    chance = random.Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(60):
        place = chance.choice([chance.randrange(32), chance.randrange(32, len(beside))])
        bit = bytes([beside[place] ^ (1 << chance.randrange(8))])
        put(path, (main, beside[:place] + bit + beside[place + 1 :]))
        no = await refused(path, read_only=True)
        verdicts[no] += 1
        if not no:
            found, copied = await opened(path, read_only=True)
            assert copied or found in known[-2:], place
    assert verdicts[True] > 10, verdicts


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", [2, 6, 128, 16_384])
def test_the_checksum_of_the_format(order: str, number: int) -> None:
    """That of SQLite's file format, section 4.2, which adds word by word, in either byte order."""
    content = random.Random(number).randbytes(4 * number)
    before = one, two = 0xFFFF_FFFF, 0xDEAD_BEEF
    words = struct.unpack(f"{order}{number}I", content)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) % 2**32
        two = (two + second + one) % 2**32
    assert file_mark._checksum(content, before, order) == (one, two)


async def test_a_link(tmp_path: Path) -> None:
    """What is beside the file counts, not what is beside a link to it."""
    real, link = tmp_path / "disk" / "real.db", tmp_path / "bridge.db"
    real.parent.mkdir()
    await made(real)
    link.symlink_to(real)
    async with open_database(link) as database:
        await change(database, {"a": "x"})
        with pytest.raises(StateError, match="in use"):
            await made(real)
        crash = pair(real)
    assert await opened(put(real, crash)) == ({"a": "x"}, False)
    put(real, (crash[0], None))
    assert (await opened(link))[1]


@pytest.mark.parametrize("step", range(1, MARKED_SINCE))
async def test_older_formats_have_no_mark(tmp_path: Path, step: int) -> None:
    """A -wal beside a file of an older version is taken in, as a crash of it left it there."""
    path, trial = tmp_path / "old.db", tmp_path / "trial" / "bridge.db"
    schema = files("bridge.state").joinpath("schema")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for number in range(1, step + 1):
            script = schema.joinpath(f"{number}.sql").read_text(encoding="utf-8")
            db.executescript(
                f"BEGIN; {script} PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {number}; COMMIT;"
            )
        db.execute("INSERT INTO meta VALUES ('a', 'x')")
        early = pair(path)
        db.execute("PRAGMA wal_checkpoint")
        db.execute("INSERT INTO meta VALUES ('b', 'y')")
        late = pair(path)
    for found, now in ((early, {"a": "x"}), (late, {"a": "x", "b": "y"})):
        read, copied = await opened(put(trial, found))
        assert now.items() <= read.items()
        assert not copied


RECORDED = Path(__file__).parents[1] / "service" / "recorded"


@pytest.mark.parametrize("version", [1, 2, 3, SCHEMA_VERSION])
async def test_a_crash_after_the_file_was_written_anew(tmp_path: Path, version: int) -> None:
    """The table of the mark has moved then; the -wal is its own nevertheless."""
    path, crashed = tmp_path / "bridge.db", tmp_path / "crashed" / "bridge.db"
    if version < SCHEMA_VERSION:
        packed = RECORDED / f"format-{version}-service.db.xz"
        path.write_bytes(lzma.decompress(packed.read_bytes()))
    async with open_database(path) as database:
        await change(database, {"0": "before"})
        assert await database.empty_wal()
        await database.rewrite()
        put(crashed, pair(path))
    async with open_database(crashed) as database:
        assert not database.copied
        assert (await state(database))["0"] == "before"
