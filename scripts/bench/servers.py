"""The benchmark's two servers in one process: a Listrak that only hands out, a Segment that keeps.

Commands come a line each on standard input: `begin` and `begin empty` before a run, `report` after
it; each is answered with a line. The process ends with its standard input.
"""

import asyncio
import gzip
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Protocol

import msgspec
import xxhash
from aiohttp import web

from bench.load import Load, Ready, Report, envelope
from bridge.sandbox.server import serve

API = "/email/v1"
NOTHING = envelope([])


class Attended(Protocol):
    """Servers that are told when a run begins, and asked what arrived."""

    app: web.Application

    def begin(self, *, empty: bool) -> None: ...

    def report(self) -> Report: ...


class Event(msgspec.Struct, rename="camel"):
    """What is read of a delivered event."""

    message_id: str
    anonymous_id: str
    event: str
    timestamp: datetime
    properties: msgspec.Raw


class Batch(msgspec.Struct):
    """A delivered body."""

    batch: list[Event]


class Servers:
    """While a run lasts, nothing is done but answer and keep; counting comes after it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.begin(empty=False)
        self.app = web.Application(client_max_size=2**23)
        self.app.router.add_post("/OAuth2/Token", self._token)
        self.app.router.add_get(API + "/{path:.+}", self._read)
        self.app.router.add_post("/v1/batch", self._batch)

    def begin(self, *, empty: bool) -> None:
        """Forgets the run before; in an `empty` one there are no messages."""
        self._empty = empty
        self._kept: list[bytes] = []
        self._first = self._last = 0.0
        self._used = self._used_before = 0.0

    def report(self) -> Report:
        """Counts what arrived."""
        events, content = 0, 0
        ids: set[str] = set()
        decoder = msgspec.json.Decoder(Batch)
        for body in self._kept:
            for event in decoder.decode(gzip.decompress(body)).batch:
                events += 1
                ids.add(event.message_id)
                properties = _sorted(bytes(event.properties))
                when = event.timestamp.timestamp()
                said = f"{event.event} {event.anonymous_id} {when:.3f} {properties}"
                content = (content + xxhash.xxh3_64_intdigest(said.encode())) % 2**64
        return Report(
            events=events,
            distinct=len(ids),
            content=content,
            posts=len(self._kept),
            wire_bytes=sum(map(len, self._kept)),
            first_page=self._first,
            last_post=self._last,
            busy=self._used - self._used_before,
        )

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "good", "expires_in": 3599})

    async def _read(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path.endswith("/Activity") and not self._first:
            self._first, self._used_before = time.monotonic(), time.process_time()
        body = self._load.bodies.get((path, request.query.get("cursor", "")), NOTHING)
        if self._empty and path.endswith("/Message"):
            body = self._load.no_messages
        return web.Response(body=body, content_type="application/json")

    async def _batch(self, request: web.Request) -> web.Response:
        self._kept.append(await request.read())
        self._last, self._used = time.monotonic(), time.process_time()
        return web.Response(body=b'{"success":true}', content_type="application/json")


@cache
def _sorted(properties: bytes) -> str:
    """Properties whatever their order; there are few different ones."""
    decoded: dict[str, Any] = msgspec.json.decode(properties)
    return str(sorted(decoded.items()))


async def attend(servers: Attended, about: Callable[[str], Ready]) -> None:
    """Serves until standard input ends; `about` makes the first line, given the address."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    async with serve(servers.app) as address:
        _say(msgspec.json.encode(about(address)))
        async for line in commands:
            if line == b"report\n":
                _say(msgspec.json.encode(servers.report()))
            else:
                servers.begin(empty=line == b"begin empty\n")
                _say(b"ready")


async def main(events: int) -> None:
    """Serves a load until standard input ends."""
    load = Load(events)
    await attend(
        Servers(load), lambda address: Ready(address, load.messages, load.rows, load.events)
    )


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
