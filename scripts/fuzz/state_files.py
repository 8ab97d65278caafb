"""Targets that read state files: damaged ones, and sound ones with values that mean nothing."""

import gzip
import json
import lzma
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from bridge.state.checksums import BULK, Connection, Writing, checksum_of, columns_of
from bridge.state.file_format import bring_up_to_date
from bridge.state.store import open_store
from fuzz.mutation import Mutator
from fuzz.readings import readings
from fuzz.shrinking import smaller_json
from fuzz.target import FlawError, Target

RECORDED: Final = Path(__file__).parents[2] / "tests/service/recorded/format-4-service.db.xz"
PAGE: Final = 4096
ROWS: Final = 12
"""Rows of a table at most."""

IN_MEMORY: Final = Path("/dev/shm")


class Template(NamedTuple):
    """A sound state file, from the middle of a life.

    lists: ids of its lists.
    columns: by table.
    """

    content: bytes
    lists: list[int]
    columns: dict[str, list[str]]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of its own for an input; in memory where there is such a disk."""
    where = IN_MEMORY if IN_MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="fuzz-", dir=where) as name:
        yield Path(name)


@cache
def template() -> Template:
    """The file that inputs change."""
    with folder() as here:
        place = here / "bridge.db"
        place.write_bytes(lzma.decompress(RECORDED.read_bytes()))
        with closing(sqlite3.connect(place, isolation_level=None, factory=Connection)) as db:
            db.execute("PRAGMA journal_mode = DELETE").fetchall()
            bring_up_to_date(db, 4)
        with closing(sqlite3.connect(place, isolation_level=None, factory=Writing)) as db:
            columns = columns_of(db)
            _thin(db, columns)
            db.execute("UPDATE file_mark SET in_use = 0")
            lists = [row[0] for row in db.execute("SELECT list_id FROM lists ORDER BY 1")]
        with closing(sqlite3.connect(place, isolation_level=None, factory=Connection)) as db:
            db.execute("VACUUM")
        content = bytearray(place.read_bytes())
    # As one that a -wal belongs to.
    content[18:20] = b"\x02\x02"
    return Template(bytes(content), lists, columns)


def _thin(db: sqlite3.Connection, columns: dict[str, list[str]]) -> None:
    """Leaves some rows of each table: a small file is read fast."""
    for table in columns:
        described = db.execute(f"PRAGMA table_info({table})").fetchall()
        key = ", ".join(row[1] for row in described if row[5])
        some = f"SELECT {key} FROM {table} LIMIT {ROWS}"
        db.execute(f"DELETE FROM {table} WHERE ({key}) NOT IN ({some})")


async def opened(place: Path) -> tuple[str, bool]:
    """Opens a file as the service does, and reads all of it that the service reads.

    Returns what was read, so that it can be compared.

    Raises FlawError where a file is refused and isn't as it was.
    """
    before, is_open = _content(place), False
    try:
        async with open_store(place) as store:
            is_open = True
            return await readings(store, template().lists), store.copied
    finally:
        if not is_open and _content(place) != before:
            raise FlawError("a file that was refused was changed")


def _content(place: Path) -> bytes:
    return place.read_bytes()


@cache
def _sound() -> list[str]:
    return []


class StateFiles(Target):
    """Damaged files, as JSON: `[[[place, hex], ...], length, lock]`: edits of a sound one, its
    length, and what stands in the lock file beside it, null for none."""

    name = "state"
    what = "damaged state files"

    async def take(self, data: bytes) -> str:
        """Opens a damaged file."""
        with folder() as here:
            if not _sound():
                whole = here / "whole.db"
                whole.write_bytes(template().content)
                _sound().append((await opened(whole))[0])
            place = here / "bridge.db"
            place.write_bytes(_edited(data))
            if (lock := _lock(data)) is not None:
                (here / "bridge.db.lock").write_bytes(lock.encode("utf-8", "replace"))
            read, _ = await opened(place)
            # That it went back, as a lock file may say, is noted in it.
            if read != _sound()[0] and lock is None:
                raise FlawError("a damaged file is read as if it were sound")
        return "read"

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Further, or other, damage."""
        random, content = mutator.random, template().content
        edits, length = _edits(data)
        edits = edits[-3:] if random.random() < 0.3 else []
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            page = random.randrange(len(content) // PAGE) * PAGE
            place = random.choice(
                (random.randrange(100), page + random.randrange(12), page + random.randrange(PAGE))
            )
            size = random.choice((1, 1, 1, 2, 4, 16, 512))
            old = content[place : place + size]
            one = bytes([old[0] ^ 1 << random.randrange(8)]) if old else b""
            new = random.choice((one, random.randbytes(size), bytes(size), b"\xff" * size))
            edits.append([place, new.hex()])
        length = random.choice((len(content),) * 9 + (random.randrange(len(content)),))
        if random.random() < 0.1:
            number = random.choice((0, 1, 2**31, 2**63 - 1, 2**63, 10**20 - 1))
            return json.dumps([[], len(content), mutator.of_text(lock_text(number))]).encode()
        return json.dumps([edits, length]).encode()

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Less damage."""
        edits, length = _edits(data)
        if _lock(data) is not None:
            return
        for number in range(len(edits)):
            yield json.dumps([edits[:number] + edits[number + 1 :], length]).encode()
        for number, (place, new) in enumerate(edits):
            for half in (new[: len(new) // 4 * 2],):
                yield json.dumps(
                    [[*edits[:number], [place, half], *edits[number + 1 :]], length]
                ).encode()


def lock_text(number: int) -> str:
    """The content of a lock file beside a file with so many transactions."""
    digits = f"{number:020d}"
    check = zlib.crc32(digits.encode())
    return f"A state file was here.\nTransactions on disk: {digits} ({check:08x})\n"


def _lock(data: bytes) -> str | None:
    _, _, *lock = json.loads(data)
    return lock[0] if lock else None


def _edits(data: bytes) -> tuple[list[Any], int]:
    edits, length, *_ = json.loads(data)
    return edits, length


def _edited(data: bytes) -> bytes:
    edits, length = _edits(data)
    content = bytearray(template().content)
    for place, new in edits:
        given = bytes.fromhex(new)[: max(0, len(content) - place)]
        content[place : place + len(given)] = given
    return bytes(content[:length])


class StateRows(Target):
    """Sound files with another value in a column, as JSON: `[table, column, value]`."""

    name = "rows"
    what = "values of a sound state file, outbox among them"

    async def take(self, data: bytes) -> str:
        """Opens a file in which a column has a value, and the right checksums."""
        table, column, value = json.loads(data)
        with folder() as here:
            place = here / "bridge.db"
            place.write_bytes(template().content)
            if not _put(place, table, column, _value_of(value)):
                return "kept out"
            await opened(place)
        return f"{table}.{column}"

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Another value, in the same column or in another one."""
        random = mutator.random
        table, column, value = json.loads(data)
        if random.random() < 0.8:
            table = random.choice([*template().columns])
            column = random.choice(template().columns[table])
            value = _stored(table, column)
        if isinstance(value, dict):
            (kind, text), *_ = value.items()
            made = mutator.of_json(text.encode()).decode("utf-8", "replace")
            return json.dumps([table, column, {kind: made}]).encode()
        if isinstance(value, str) and value[:1] in ("{", "["):
            value = mutator.of_json(value.encode()).decode("utf-8", "replace")
        elif random.random() < 0.5:
            value = random.choice(
                (-1, 2**62, -(2**63), 1e300, -1e300, 1e12, 0.5, "", "x", None, {"hex": "00ff"})
            )
        elif isinstance(value, str):
            value = mutator.of_text(value)
        else:
            value = random.choice((f"{value}", {"hex": "1f8b"}, {"gzip": "[]"}, {"gzip": "[1,{}]"}))
        return json.dumps([table, column, value]).encode()

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Shorter values in the same column."""
        table, column, value = json.loads(data)
        if isinstance(value, dict):
            (kind, text), *_ = value.items()
            for shorter in smaller_json(text.encode()):
                given = {kind: shorter.decode("utf-8", "replace")}
                yield json.dumps([table, column, given]).encode()
        elif isinstance(value, str):
            for shorter in smaller_json(value.encode("utf-8", "replace")):
                yield json.dumps([table, column, shorter.decode("utf-8", "replace")]).encode()


def _value_of(value: Any) -> Any:
    """A value as SQLite takes it: JSON has no bytes."""
    match value:
        case {"hex": str(text)}:
            try:
                return bytes.fromhex(text)
            except ValueError:
                return text.encode("utf-8", "replace")
        case {"gzip": str(text)}:
            return gzip.compress(text.encode("utf-8", "replace"), 1, mtime=0)
        case str():
            return value.encode("utf-8", "replace").decode()
        case bool() | list() | dict():
            return json.dumps(value)
    return value


def _stored(table: str, column: str) -> Any:
    """The value that a column has in some row of the file."""
    with closing(sqlite3.connect(":memory:")) as db:
        content = bytearray(template().content)
        content[18:20] = b"\x01\x01"
        db.deserialize(bytes(content))
        row = db.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
    value = row[0] if row else None
    if isinstance(value, bytes):
        if value[:2] == b"\x1f\x8b":
            return {"gzip": gzip.decompress(value).decode()}
        return {"hex": value.hex()}
    return value


def _put(place: Path, table: str, column: str, value: Any) -> bool:
    """Puts a value into all rows of a column; False where the table's own rules keep it out."""
    columns = template().columns.get(table, [])
    if column not in columns:
        return False
    given = f"{column} = ?1"
    if table in BULK:
        changed = ["?1" if name == column else name for name in columns]
        given += f", checksum = {checksum_of(table, changed)}"
    with closing(sqlite3.connect(place, isolation_level=None, factory=Writing)) as db:
        try:
            changes = db.execute(f"UPDATE OR IGNORE {table} SET {given}", (value,)).rowcount
        except (sqlite3.Error, OverflowError):
            return False
    return changes > 0
