"""The file of everything that the emulated Segment received."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .delivery import Delivery, text_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,  -- ISO 8601, UTC
    events INTEGER NOT NULL,    -- 0 when the body was not read
    bytes INTEGER NOT NULL,     -- of the body, uncompressed
    gzip INTEGER NOT NULL,      -- 1: it came compressed
    sent_at TEXT,
    answer INTEGER NOT NULL     -- HTTP status
);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY,    -- order of arrival
    received_at TEXT NOT NULL,
    batch INTEGER NOT NULL REFERENCES batches,
    message_id TEXT,
    type TEXT,
    event TEXT,                 -- the name of a track
    anonymous_id TEXT,
    user_id TEXT,
    body TEXT NOT NULL,         -- JSON, as it came
    verdict TEXT NOT NULL       -- accepted, duplicate, or dropped: and a reason
);
CREATE UNIQUE INDEX IF NOT EXISTS first_ones ON events (message_id) WHERE verdict = 'accepted';
"""
STORE_BATCH = """
INSERT INTO batches (received_at, events, bytes, gzip, sent_at, answer) VALUES (?, ?, ?, ?, ?, ?)
"""
STORE_EVENT = """
INSERT INTO events
    (received_at, batch, message_id, type, event, anonymous_id, user_id, body, verdict)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
FIRST = "SELECT body FROM events WHERE verdict = 'accepted' AND message_id = ?"
TOTALS = "SELECT verdict, coalesce(event, type), count(*) FROM events GROUP BY 1, 2"
LATEST = """
SELECT seq, received_at, verdict, body FROM events
WHERE :name IS NULL OR :name IN (event, type) ORDER BY seq DESC LIMIT :limit
"""
TAKEN = """
SELECT received_at, body FROM events WHERE verdict IN ('accepted', 'duplicate') ORDER BY seq
"""
TAKEN_ONCE = "SELECT received_at, body FROM events WHERE verdict = 'accepted' ORDER BY seq"


def read_events(
    path: Path, unique: bool = False, *, stamped: bool = False
) -> Iterator[dict[str, Any]]:
    """Yields the events that Segment accepted, decoded, in order of arrival; `unique`: no repeats.

    `stamped`: each with the instant of its arrival as `receivedAt`, as Segment hands it on.

    Events that arrive meanwhile are left out. Any process may read while the emulator writes.
    FileNotFoundError when there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    with closing(sqlite3.connect(path)) as db:
        for received_at, body in db.execute(TAKEN_ONCE if unique else TAKEN):
            event = msgspec.json.decode(body)
            yield event | {"receivedAt": received_at} if stamped else event


class Exchange(NamedTuple):
    """A request and its answer, without the events.

    at: instant of its arrival, aware.
    body_bytes: size of the body, uncompressed.
    gzip: it came compressed.
    answer: HTTP status.
    """

    at: datetime
    body_bytes: int
    gzip: bool
    answer: int


class Inbox:
    """The file at `path`, made when missing, else continued. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        # WAL lets others read meanwhile; a sandbox need not survive a power failure.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the file, if it is open."""
        self._db.close()

    def store(self, exchange: Exchange, delivery: Delivery, verdicts: Sequence[str]) -> None:
        """Stores a request and its events, in one transaction."""
        at, body_bytes, gzip, answer = exchange
        received_at = at.astimezone(UTC).isoformat(timespec="milliseconds")
        sent_at = delivery.sent_at if isinstance(delivery.sent_at, str) else None
        with self._db:
            batch = self._db.execute(
                STORE_BATCH, (received_at, len(delivery.events), body_bytes, gzip, sent_at, answer)
            ).lastrowid
            judged = zip(delivery.events, delivery.texts, verdicts, strict=True)
            self._db.executemany(
                STORE_EVENT,
                (
                    (received_at, batch, *_columns(event), text.decode(), verdict)
                    for event, text, verdict in judged
                ),
            )

    def first(self, message_id: str) -> Any:
        """The event that was accepted under this messageId, or None."""
        row = self._db.execute(FIRST, (message_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def totals(self) -> Iterator[tuple[str, str | None, int]]:
        """Yields verdict, name (of a track) or type, and the number of such events."""
        yield from self._db.execute(TOTALS)

    def latest(self, name: str | None, limit: int) -> list[dict[str, Any]]:
        """The latest events, of this name or type when given, the oldest first."""
        rows = self._db.execute(LATEST, {"name": name, "limit": limit}).fetchall()
        return [
            {"seq": seq, "received_at": at, "verdict": verdict, "body": msgspec.json.decode(body)}
            for seq, at, verdict, body in reversed(rows)
        ]


def _columns(event: object) -> tuple[str | None, ...]:
    """The message_id, type, event, anonymous_id and user_id of an event."""
    kind = text_of(event, "type")
    name = text_of(event, "event") if kind == "track" else None
    ids = (text_of(event, "anonymousId"), text_of(event, "userId"))
    return text_of(event, "messageId"), kind, name, *ids
