"""State files in the middle of their life, and what disks, copies and other programs do to them."""

import lzma
import shutil
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from bridge.state.checksums import Connection, Writing, columns_of
from bridge.state.file_format import bring_up_to_date, create

RECORDED = Path(__file__).parent / "recorded"
PAGE = 4096
FILLING = 600_000
"""Keys of messages that aren't tracked any more, which make a file larger than 4 MB."""


@dataclass(frozen=True)
class Pair:
    """A state file and the -wal beside it, b"" for none."""

    main: bytes
    wal: bytes = b""

    def lay(self, path: Path) -> None:
        """Puts both there, and nothing else."""
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.main)
        if self.wal:
            wal_of(path).write_bytes(self.wal)


def wal_of(path: Path) -> Path:
    """The -wal beside a file."""
    return path.with_name(f"{path.name}-wal")


def found(path: Path) -> Pair:
    """What is there now."""
    wal = wal_of(path)
    return Pair(path.read_bytes(), wal.read_bytes() if wal.exists() else b"")


@dataclass(frozen=True)
class Life:
    """A file at rest, the same one after a crash with a -wal, and what isn't its own.

    at_rest: all in the main file.
    crashed: the same while a service had it open, and what it has saved since in the -wal: last,
        that a page of the outbox was acknowledged.
    earlier: the same file at an earlier moment, with its -wal.
    foreign_wal: that of another file.
    """

    at_rest: Pair
    crashed: Pair
    earlier: Pair
    foreign_wal: bytes


def lived(folder: Path, *, large: bool) -> Life:
    """A file that was killed in the middle of its work, of this format."""
    path = folder / f"lived-{large}.db"
    packed = (RECORDED / "format-4-service.db.xz").read_bytes()
    path.write_bytes(lzma.decompress(packed))
    with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as db:
        bring_up_to_date(db, 4)
        db.execute("VACUUM")
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    with closing(sqlite3.connect(path, isolation_level=None, factory=Writing)) as db:
        if large:
            _fill(db)
        db.execute("UPDATE file_mark SET in_use = 1")
        _checkpoint(db)
        earlier = _commit(db, path, "UPDATE contacts SET revision = revision")
        _checkpoint(db)
        _commit(db, path, "UPDATE messages SET watch = watch")
        acknowledged = "DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)"
        crashed = _commit(db, path, acknowledged)
    crashed.lay(path)
    wal_of(path).unlink()
    with closing(sqlite3.connect(path, isolation_level=None, factory=Writing)) as db:
        db.execute("UPDATE file_mark SET in_use = 0")
        _checkpoint(db)
    return Life(found(path), crashed, earlier, _foreign(folder))


def _checkpoint(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _fill(db: sqlite3.Connection) -> None:
    random = np.random.default_rng(1)
    for number in range(FILLING // 20_000):
        run = np.sort(random.integers(0, 2**64, 20_000, np.uint64, endpoint=False))
        db.execute(
            "INSERT INTO runs (message, bucket, keys) VALUES (?, 0, ?)",
            (1_000_000 + number, run.astype("<u8").tobytes()),
        )


def _commit(db: sqlite3.Connection, path: Path, statement: str) -> Pair:
    """Makes a transaction as the bridge does; the file then."""
    db.execute("BEGIN IMMEDIATE")
    db.execute(statement)
    db.execute("UPDATE file_mark SET before = own, own = randomblob(8)")
    db.execute("COMMIT")
    return found(path)


def _foreign(folder: Path) -> bytes:
    path = folder / "foreign.db"
    if path.exists():
        path.unlink()
    create(path)
    with closing(sqlite3.connect(path, isolation_level=None, factory=Writing)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        return _commit(db, path, "INSERT INTO meta VALUES ('since', '2025-01-01T00:00:00Z')").wal


Deed = Callable[[Random, Life, Path], Pair]


def _bits(random: Random, life: Life, _: Path) -> Pair:
    """A bit, or some, anywhere."""
    content = bytearray(life.at_rest.main)
    for _time in range(random.choice((1, 1, 1, 2, 8))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return Pair(bytes(content))


def _bytes(random: Random, life: Life, _: Path) -> Pair:
    """Some bytes in a row."""
    content = bytearray(life.at_rest.main)
    size = random.choice((1, 1, 2, 4, 16, 512))
    start = random.randrange(len(content) - size)
    content[start : start + size] = random.randbytes(size)
    return Pair(bytes(content))


def _head(random: Random, life: Life, _: Path) -> Pair:
    """A bit of the file's head, or of the head of a page."""
    content = bytearray(life.at_rest.main)
    page = random.choice((0, random.randrange(len(content) // PAGE)))
    content[page * PAGE + random.randrange(100 if page == 0 else 12)] ^= 1 << random.randrange(8)
    return Pair(bytes(content))


def _text(random: Random, life: Life, _: Path) -> Pair:
    """A byte of a value that is stored: of an address, a subject, a list of keys."""
    content = bytearray(life.at_rest.main)
    values = [
        value if isinstance(value, bytes) else value.encode()
        for row in _rows(life)
        for value in row
        if isinstance(value, str | bytes) and len(value) > 3
    ]
    places: list[int] = []
    while not places:
        value = random.choice(values)[:40]
        place = content.find(value)
        places = [place] if place >= 0 else []
    at = places[0] + random.randrange(len(value))
    content[at] = random.choice((content[at] ^ 1 << random.randrange(8), 0xFF, 0))
    return Pair(bytes(content))


def _rows(life: Life) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        content = bytearray(life.at_rest.main)
        content[18:20] = b"\x01\x01"
        db.deserialize(bytes(content))
        return [row for table in columns_of(db) for row in db.execute(f"SELECT * FROM {table}")]


def _column(random: Random, life: Life, trial: Path) -> Pair:
    """A value of a live row in the place of another, in a file that SQLite finds whole."""

    def change(db: sqlite3.Connection, table: str, columns: list[str], key: str) -> None:
        column = random.choice(columns)
        before = db.execute(f"SELECT {column}, checksum FROM {table} WHERE {key}").fetchone()
        db.create_function("row_checksum", -1, lambda *_: before[1], deterministic=True)
        db.execute(
            f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {key}", (_other(random, before[0]),)
        )

    return _by_sql(random, life, trial, change)


def _other(random: Random, value: object) -> object:
    if isinstance(value, int):
        return random.choice((value ^ 1 << random.randrange(20), value + 1, -value, 0))
    if isinstance(value, float):
        return random.choice((value + 86400.0, value / 2, -value, 0.0))
    if isinstance(value, bytes):
        return value[:-8] if random.random() < 0.5 else value[8:] + value[:8]
    if isinstance(value, str):
        return random.choice((value[:-1], value + "x", "", value.replace("1", "2"), "nothing"))
    return random.choice((0, 1))


def _row(random: Random, life: Life, trial: Path) -> Pair:
    """A row that is gone, or that is from another time, in a file that SQLite finds whole."""

    def change(db: sqlite3.Connection, table: str, _: list[str], key: str) -> None:
        db.create_function("row_checksum", -1, lambda *_: 1, deterministic=True)
        db.execute(f"DELETE FROM {table} WHERE {key}")

    return _by_sql(random, life, trial, change)


def _by_sql(
    random: Random,
    life: Life,
    trial: Path,
    change: Callable[[sqlite3.Connection, str, list[str], str], None],
) -> Pair:
    life.at_rest.lay(trial)
    with closing(sqlite3.connect(trial, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        tables = {
            name: columns
            for name, columns in columns_of(db).items()
            if db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        }
        table = random.choice(sorted(tables))
        columns = tables[table]
        names = " AND ".join(f"quote({name}) = quote(?)" for name in columns)
        rows = db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        row = random.choice(rows)
        key = " AND ".join(
            f"{name} IS {db.execute('SELECT quote(?)', (value,)).fetchone()[0]}"
            for name, value in zip(columns, row, strict=True)
        )
        assert names
        try:
            change(db, table, columns, key)
        except (sqlite3.IntegrityError, sqlite3.DataError):
            # The table's own rules keep this one out: another does.
            return _by_sql(random, life, trial, change)
    pair = found(trial)
    content = bytearray(pair.main)
    content[18:20] = b"\x02\x02"
    return Pair(bytes(content))


def _truncated(random: Random, life: Life, _: Path) -> Pair:
    """The end is cut off."""
    content = life.at_rest.main
    cut = random.randrange(len(content))
    return Pair(content[: cut - cut % PAGE if random.random() < 0.5 else cut])


def _pages(random: Random, life: Life, _: Path) -> Pair:
    """A page that reads as zeros, or as another one."""
    content = bytearray(life.at_rest.main)
    one, other = (random.randrange(len(content) // PAGE) * PAGE for _ in range(2))
    content[one : one + PAGE] = (
        bytes(PAGE) if random.random() < 0.5 else content[other : other + PAGE]
    )
    return Pair(bytes(content))


def _wal(random: Random, life: Life, _: Path) -> Pair:
    """A -wal that is missing, of another file or time, damaged or cut off; or a file beside it."""
    main, wal = life.crashed.main, bytearray(life.crashed.wal)
    place = random.randrange(len(wal))
    match random.randrange(7):
        case 0:
            wal = bytearray()
        case 1:
            wal = bytearray(life.foreign_wal)
        case 2:
            wal = bytearray(life.earlier.wal)
        case 5:
            main = life.earlier.main
        case 3:
            wal[place] ^= 1 << random.randrange(8)
        case 4:
            del wal[place:]
        case _:
            content = bytearray(main)
            content[random.randrange(len(main))] ^= 1 << random.randrange(8)
            main = bytes(content)
    return Pair(main, bytes(wal))


def _little(random: Random, life: Life, _: Path) -> Pair:
    """A file of a few bytes, or with nothing but zeros."""
    size = random.choice((0, 1, 15, 99, 100, 512, PAGE))
    content = random.choice((life.at_rest.main[:size], bytes(size)))
    return Pair(content, random.choice((b"", life.crashed.wal)))


DEEDS: dict[str, Deed] = {
    deed.__name__[1:]: deed
    for deed in (*(_bits, _bytes, _head, _text, _column, _row, _truncated, _pages, _wal, _little),)
}


OF_ANY_FORMAT = ("bits", "bytes", "head", "text", "truncated", "pages")


def damaged(
    seed: int, life: Life, folder: Path, deeds: Collection[str] = DEEDS
) -> tuple[str, Pair]:
    """What the seed does to a file: its name, and what is there afterwards."""
    random = Random(seed)
    names = sorted(deeds)
    name = names[seed % len(names)]
    place = folder / f"trial-{seed}"
    place.mkdir()
    try:
        return name, DEEDS[name](random, life, place / "trial.db")
    finally:
        shutil.rmtree(place)
