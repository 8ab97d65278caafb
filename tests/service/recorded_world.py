"""A recorded account of Listrak, served again, and a Segment that keeps the bytes of every event.

Independent of the bridge and of its emulators: whatever becomes of their code, these answers stay.
"""

import asyncio
import gzip
import hashlib
import json
import lzma
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from bridge.state.checksums import Writing

CLIENT, SECRET, KEY = "the-client-id", "the-client-secret", "the-write-key"
LISTS: Final = "12345=777,13456=Customer ID"

PAGE_ROWS: Final = 7
"""Rows of a page: few, so that most things take several."""


class Recording:
    """Answers by path and instant: what stood there from an instant on, None where nothing does.

    A path of contacts ends in their state, as in `List/12345/Contact?Subscribed`.
    """

    def __init__(self, path: Path) -> None:
        content = json.loads(lzma.decompress(path.read_bytes()))
        self.instants = {
            name: datetime.fromisoformat(text) for name, text in content["instants"].items()
        }
        self._answers: dict[str, dict[str, Any]] = content["answers"]

    def answers(self, instant: str) -> dict[str, Any]:
        """What there is at an instant, by path."""
        found: dict[str, Any] = {}
        for path, versions in self._answers.items():
            for name, data in versions.items():
                if self.instants[name] <= self.instants[instant]:
                    found[path] = data
        return {path: data for path, data in found.items() if data is not None}


class Replay:
    """Listrak at one instant of a recording. Filters by date or activity are ignored."""

    def __init__(self, recording: Recording, instant: str) -> None:
        self.answers = recording.answers(instant)
        self._now = recording.instants[instant]
        self._began = 0.0

    @property
    def app(self) -> web.Application:
        """To be served once."""
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_get("/v1/{path:.*}", self.answer)
        app.on_response_prepare.append(self._date)
        return app

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "a-token", "expires_in": 3599})

    async def _date(self, _request: web.Request, answer: web.StreamResponse) -> None:
        # From the instant of its first answer on it goes as time does.
        self._began = self._began or time.monotonic()
        now = self._now + timedelta(seconds=time.monotonic() - self._began)
        answer.headers["Date"] = format_datetime(now, usegmt=True)

    async def answer(self, request: web.Request) -> web.Response:
        """A resource, or a page of a collection."""
        path = request.path.removeprefix("/v1/")
        if state := request.query.get("subscriptionState"):
            path = f"{path}?{state}"
        if path not in self.answers:
            error = {"status": 404, "error": "ERROR_UNABLE_TO_LOCATE_RESOURCE"}
            return web.json_response(error, status=404)
        data = self.answers[path]
        envelope: dict[str, Any] = {"status": 200}
        if (cursor := request.query.get("cursor")) is not None:
            start = 0 if cursor == "Start" else int(cursor.removeprefix("row "))
            stop = start + PAGE_ROWS
            envelope["nextPageCursor"] = f"row {stop}" if stop < len(data) else None
            data = data[start:stop]
        return web.json_response({**envelope, "data": data})


class Sink:
    """A Segment that takes every batch and keeps each event as it came."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    @property
    def app(self) -> web.Application:
        """To be served once."""
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/batch", self._batch)
        return app

    async def _batch(self, request: web.Request) -> web.Response:
        body = gzip.decompress(await request.read())
        events = msgspec.json.decode(body, type=_Batch).batch
        return await self.take([bytes(event) for event in events])

    async def take(self, events: list[bytes]) -> web.Response:
        """Answers a batch."""
        self.received += events
        return web.json_response({"success": True})


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[str]:
    """Serves on loopback; the base address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def environment(
    replay: Replay, sink: Sink, state: Path, settings: Mapping[str, str]
) -> AsyncIterator[dict[str, str]]:
    """Serves both; the environment that leads a bridge to them."""
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(serve(replay.app))
        target = await stack.enter_async_context(serve(sink.app))
        yield {
            "PATH": os.environ["PATH"],
            "LISTRAK_CLIENT_ID": CLIENT,
            "LISTRAK_CLIENT_SECRET": SECRET,
            "SEGMENT_WRITE_KEY": KEY,
            "LISTRAK_LISTS": LISTS,
            "LISTRAK_API_URL": f"{source}/v1",
            "LISTRAK_TOKEN_URL": f"{source}/token",
            "SEGMENT_API_URL": f"{target}/v1",
            "LISTRAK_REQUESTS_PER_SECOND": "0",
            "BRIDGE_EVENTS_PER_SECOND": "0",
            "BRIDGE_STATE": str(state),
            "BRIDGE_STATUS_BIND": "",
            "BRIDGE_FLUSH_INTERVAL": "0.02",
            **settings,
        }


@dataclass(frozen=True)
class Step:
    """A command at an instant of the recording."""

    instant: str
    command: Sequence[str]

    def __str__(self) -> str:
        return f"{self.instant}: {' '.join(self.command)}"


@dataclass
class Bridge:
    """A checkout's command, by its interpreter, over one state file."""

    recording: Recording
    state: Path
    settings: Mapping[str, str]
    python: str
    folder: Path | None = None

    async def run(self, step: Step, *, within: float = 60) -> list[bytes]:
        """Runs a step to its end; the events it sent, sorted."""
        sink = Sink()
        replay = Replay(self.recording, step.instant)
        async with environment(replay, sink, self.state, self.settings) as variables:
            await self.call(variables, step.command, within=within)
        self.pin(step.instant)
        return sorted(sink.received)

    async def call(
        self, variables: Mapping[str, str], command: Sequence[str], *, within: float = 60
    ) -> tuple[bytes, bytes]:
        """What a command prints, on standard output and on standard error; it has to end with 0."""
        process = await asyncio.create_subprocess_exec(
            *(self.python, "-m", "bridge", *command),
            env=variables,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), within)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, (command, errors.decode())
        return out, errors

    def pin(self, instant: str) -> None:
        """Sets the instants of a step's looks to the step's own.

        Events of which Listrak keeps no date are dated by the look before, in the milliseconds
        that it happened to take: the next step starts from a round number instead.
        """
        if not self.state.exists():
            return
        at = self.recording.instants[instant].timestamp()
        with closing(sqlite3.connect(self.state, factory=Writing)) as db, db:
            db.execute("UPDATE messages SET looked_at = ?1 WHERE looked_at >= ?1", (at,))
            db.execute("UPDATE lists SET contacts_at = ?1 WHERE contacts_at >= ?1", (at,))


# What a state file holds, without what is of the machine that ran

RUN: Final = 300.0
"""Seconds that a step takes at most: times that are so little after an instant are of its step."""

SPANS: Final = {
    0: "",
    -600: " - 10 min",
    86400: " + 1 d",
    7 * 86400: " + 7 d",
    30 * 86400: " + 30 d",
}
"""Seconds by which times are ahead of the look that set them."""


class Dump:
    """The content of a state file as plain JSON, in which a time is that of a step.

    Left out: the ids of rows (lists are read side by side), the time of this machine's clock
    (first_start, dead letters, held unsubscribes), into how many runs keys are divided, and what
    was learned of scans (trust): of the messages asked first, at once, one forgets the other's.
    """

    def __init__(self, state: Path, instants: Mapping[str, datetime]) -> None:
        self._db = sqlite3.connect(state)
        self._db.row_factory = sqlite3.Row
        self._instants = {name: at.timestamp() for name, at in instants.items()}
        self._messages = {
            row["id"]: f"{row['list_id']} {row['kind']} {row['message_id']}"
            for row in self._db.execute("SELECT * FROM messages")
        }

    def content(self) -> dict[str, Any]:
        """Everything."""
        with closing(self._db):
            meta = dict(map(tuple, self._db.execute("SELECT name, value FROM meta")))
            return {
                "format": self._db.execute("PRAGMA user_version").fetchone()[0],
                "since": meta["since"],
                "counters": dict(map(tuple, self._db.execute("SELECT name, value FROM counters"))),
                "lists": self._rows("lists"),
                "messages": self._rows("messages", without=("id",)),
                "looks": self._rows("looks"),
                "runs": self._runs(),
                "totals": self._rows("totals"),
                "event_counts": self._rows("event_counts"),
                "contacts": self._rows("contacts"),
                "contact_looks": self._rows("contact_looks"),
                "met": self._rows("met", without=("seq",)),
                "unsubscribes": self._rows("unsubscribes", without=("noted_at",)),
                "causes": self._rows("causes", without=("noted_at",)),
                "outbox": self._rows("outbox", without=("id",)),
                "dead_letters": self._rows("dead_letters", without=("id", "at")),
                "backfills": self._rows("backfills"),
                "backfill_messages": self._rows("backfill_messages", without=("id",)),
            }

    def _rows(self, table: str, *, without: Sequence[str] = ()) -> list[Any]:
        rows = [
            {
                column: self._plain(column, row[column])
                for column in row.keys()  # noqa: SIM118 - iterating a row gives its values
                if column not in (*without, "checksum")
            }
            for row in self._db.execute(f"SELECT * FROM {table}")
        ]
        return sorted(rows, key=json.dumps)

    def _runs(self) -> list[Any]:
        found: dict[tuple[Any, ...], set[bytes]] = {}
        for message, bucket, withheld, keys in self._db.execute(
            "SELECT message, bucket, withheld, keys FROM runs"
        ):
            place = (self._messages[message], bucket, withheld)
            run = {keys[start : start + 8] for start in range(0, len(keys), 8)}
            found.setdefault(place, set()).update(run)
        return [
            [*place, len(keys), _digest(b"".join(sorted(keys)))]
            for place, keys in sorted(found.items())
        ]

    def _plain(self, column: str, value: Any) -> Any:
        if column in ("message", "tracked"):
            return self._messages.get(value, value)
        if column == "watch":
            return self._timeless(json.loads(value or "null"))
        if isinstance(value, bytes):
            return _digest(value)
        return self._timeless(value) if column.endswith("_at") else value

    def _timeless(self, value: Any) -> Any:
        """JSON in which times are told by the name of their step."""
        if isinstance(value, dict):
            return {name: self._timeless(inner) for name, inner in sorted(value.items())}
        if isinstance(value, list):
            return [self._timeless(inner) for inner in value]
        if isinstance(value, float) and value > 1e9:
            for name, at in self._instants.items():
                for ahead, span in SPANS.items():
                    if 0 <= value - ahead - at < RUN:
                        return name + span
        return value


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()
