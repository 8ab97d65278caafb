"""The faults of a server and its network, a kind each."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, ClassVar

import anyio
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

# True while the request of an expired token is served, for the emulator to see.
token_expired: ContextVar[bool] = ContextVar("token_expired", default=False)

# Makes the Date of the next answer of the true time, "" for none; None for the true one.
date_of: ContextVar[Callable[[datetime], str] | None] = ContextVar("date_of", default=None)


@dataclass(kw_only=True)
class Fault:
    """A fault that hits some requests.

    path: text that the path of a request must contain to be hit; with "$" behind it, end with.
    times: hits until the fault is over, None for no end.
    probability: of a hit, 0 to 1.
    hits: requests hit so far.
    lifted: set when the fault is removed.
    """

    name: ClassVar[str]
    path: str = ""
    times: int | None = None
    probability: float = 1.0
    hits: int = field(default=0, init=False)
    lifted: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler, or with its help."""
        raise NotImplementedError

    def strikes(self, request: web.Request, rng: random.Random) -> bool:
        """Tells whether this request is hit, and counts it then."""
        if not self.fits(request.path) or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability < 1 and rng.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def fits(self, path: str) -> bool:
        """Tells whether requests of a path are hit."""
        text = self.path.removesuffix("$")
        return path.endswith(text) if text != self.path else text in path

    def __str__(self) -> str:
        """The text of the fault, as `parse` reads it."""
        told = {
            f.name: str(value).lower() if isinstance(value, bool) else value
            for f in dataclasses.fields(self)
            if f.init and (value := getattr(self, f.name)) != f.default
        }
        values = [f"{key}={value}" for key, value in told.items()]
        return f"{self.name}:{','.join(values)}" if values else self.name


@dataclass
class Latency(Fault):
    """A delay of the answer by `seconds`."""

    name = "latency"
    seconds: float = 1.0

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        with anyio.move_on_after(self.seconds):
            await self.lifted.wait()
        return await handler(request)


@dataclass
class Status(Fault):
    """Any HTTP status instead of the answer, the request unserved.

    retry_after: value of the Retry-After header, None for no header.
    body: JSON text, None for an error's.
    """

    name = "status"
    code: int = 503
    retry_after: str | None = None
    body: str | None = None

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        body = self.body
        if body is None:
            error = {"status": self.code, "error": "ERROR_SANDBOX", "message": "A fault."}
            body = json.dumps(error)
        return web.Response(
            status=self.code, headers=headers, text=body, content_type="application/json"
        )


@dataclass
class Reset(Fault):
    """A reset of the connection before anything is done."""

    name = "reset"

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        return cut(request)


@dataclass
class Lost(Fault):
    """A reset of the connection after the request is served, before the answer."""

    name = "lost"

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        await handler(request)
        return cut(request)


@dataclass
class Torn(Fault):
    """A reset of the connection after half of the answer."""

    name = "torn"

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        answer = await handler(request)
        body = answer.body if isinstance(answer, web.Response) else None
        if not isinstance(body, bytes):
            return cut(request)
        headers = {"Content-Type": answer.headers["Content-Type"], "Content-Length": f"{len(body)}"}
        torn = web.StreamResponse(status=answer.status, headers=headers)
        await torn.prepare(request)
        await torn.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()  # flushes the half, unlike a reset
        return torn


@dataclass
class Silent(Fault):
    """No answer until the connection ends, or the fault is lifted."""

    name = "silent"

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        while request.transport is not None and not self.lifted.is_set():
            with anyio.move_on_after(0.05):
                await self.lifted.wait()
        return cut(request)


@dataclass
class Garbage(Fault):
    """A 200 that is no JSON, such as a proxy's."""

    name = "garbage"

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        page = "<html><body><h1>We'll be back soon</h1></body></html>"
        return web.Response(text=page, content_type="text/html")


@dataclass
class Empty(Fault):
    """A page of Listrak's without its rows.

    more: the cursor of the next page stays, else it is the last page.
    """

    name = "empty"
    more: bool = False

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        answer = await handler(request)
        if not isinstance(answer, web.Response) or answer.status != 200 or answer.text is None:
            return answer
        envelope: Any = json.loads(answer.text)
        if not isinstance(envelope, dict) or not isinstance(envelope.get("data"), list):
            return answer
        envelope["data"] = []
        if "nextPageCursor" in envelope and not self.more:
            envelope["nextPageCursor"] = None
        return web.json_response(envelope)


@dataclass
class Huge(Fault):
    """A 200 that is far too large.

    size: bytes of the body.
    packed: it is sent as gzip, a thousandth of that.
    """

    name = "huge"
    size: int = 300_000_000
    packed: bool = False

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        part = b" " * 65_536
        if self.packed:
            answer.headers["Content-Encoding"] = "gzip"
            answer.headers["Content-Length"] = str(len(part := _spaces(self.size)))
        await answer.prepare(request)
        # Whoever has had enough of it closes the connection.
        with suppress(ConnectionError):
            for _ in range(1 if self.packed else self.size // len(part)):
                await answer.write(part)
        return answer


@dataclass
class Deep(Fault):
    """A 200 whose JSON is nested a hundred thousand times."""

    name = "deep"

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        text = '{"data":' + "[" * 100_000 + "]" * 100_000 + "}"
        return web.Response(text=text, content_type="application/json")


@dataclass
class Circle(Fault):
    """Pages of Listrak's that never end.

    size: pages in the circle; 0 for cursors that are all new, and pages without rows.
    """

    name = "circle"
    size: int = 2

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        if "cursor" not in request.query:
            return await handler(request)
        number = self.hits % self.size if self.size else self.hits
        return web.json_response({"data": [], "nextPageCursor": f"circle-{number}"})


@dataclass
class Denial(Fault):
    """A refusal of Listrak's in the body of a 200."""

    name = "denial"
    code: int = 401

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        said = {"status": self.code, "error": "ERROR_UNAUTHORIZED", "message": "No.", "data": []}
        return web.json_response(said)


@dataclass
class WrongDate(Fault):
    """An answer whose Date is `days` wrong, as of a server whose clock is, or of a proxy's memory.

    text: the Date itself; empty for an answer without one.
    """

    name = "wrong_date"
    days: float = 40.0
    text: str | None = None

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        date_of.set(self._date)
        return await handler(request)

    def _date(self, true: datetime) -> str:
        if self.text is not None:
            return self.text
        return format_datetime(true + timedelta(days=self.days), usegmt=True)


@dataclass
class ExpireToken(Fault):
    """An expiry of the request's access token; hits only requests that have one."""

    name = "expire_token"

    def strikes(self, request: web.Request, rng: random.Random) -> bool:
        return hdrs.AUTHORIZATION in request.headers and super().strikes(request, rng)

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        mark = token_expired.set(True)
        try:
            return await handler(request)
        finally:
            token_expired.reset(mark)


def cut(request: web.Request) -> web.StreamResponse:
    """Resets the connection; the result goes nowhere."""
    transport = request.transport
    if transport is not None:
        # Linger of zero makes the kernel send RST instead of FIN; within a process there is none.
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


@lru_cache
def _spaces(size: int) -> bytes:
    return gzip.compress(b" " * size, 1)
