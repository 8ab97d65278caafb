"""Faults of a server and its network, injected in front of an emulator."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import anyio
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as Handler
from aiohttp.typedefs import Middleware

from .fault import Fault as Fault
from .fault import cut as cut
from .fault import token_expired as token_expired


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


KINDS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        *(Latency, Status, Reset, Lost, Torn, Silent, Garbage, Empty, ExpireToken),
        *(Huge, Deep, Circle, Denial),
    )
}


class Faults:
    """The faults in force on one server; the first hit decides, latency adds up.

    Requests below `/_sandbox/` are spared.
    """

    def __init__(self, *faults: Fault | str, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._faults: list[Fault] = []
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, fault: Fault | str) -> Fault:
        """Puts a fault, or the text of one, into force. ValueError as in `parse`."""
        added = self.parse(fault) if isinstance(fault, str) else fault
        self._faults.append(added)
        return added

    def clear(self) -> None:
        """Lifts all faults; requests that they delay go on at once."""
        for fault in self._faults:
            fault.lifted.set()
        self._faults.clear()

    async def shutdown(self, _app: web.Application) -> None:
        """Lifts all faults, for `app.on_shutdown`."""
        self.clear()

    @staticmethod
    def parse(text: str) -> Fault:
        """Parses `name[:value][,option=value...]`, as `status:503,times=3,path=Activity`.

        The bare value is the first option of the fault. ValueError names what is not known.
        """
        name, _, rest = text.strip().partition(":")
        if "," in name:
            name, _, rest = text.strip().partition(",")
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"no fault {name!r}; there are {', '.join(KINDS)}")
        types = {f.name: str(f.type) for f in dataclasses.fields(kind) if f.init}
        first = next((f.name for f in dataclasses.fields(kind) if f.init and not f.kw_only), None)
        options: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            key, equals, value = part.partition("=")
            if not equals and first is not None and not options:
                key, value = first, part
            if key not in types:
                raise ValueError(f"{name} has no option {key!r}; it has {', '.join(types)}")
            options[key] = _read(types[key], value)
        return kind(**options)

    @property
    def middleware(self) -> Middleware:
        """The middleware for `web.Application(middlewares=[faults.middleware])`."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/_sandbox/"):
                return await handler(request)
            waiting = iter(tuple(self._faults))

            async def follow(request: web.Request) -> web.StreamResponse:
                for fault in waiting:
                    if fault.strikes(request, self._rng):
                        return await fault.serve(request, follow)
                return await handler(request)

            return await follow(request)

        return strike


@lru_cache
def _spaces(size: int) -> bytes:
    return gzip.compress(b" " * size, 1)


def _read(kind: str, value: str) -> object:
    """The value of an option's text, of its declared type. ValueError when it isn't one."""
    if kind.startswith("int"):
        return int(value)
    if kind.startswith("float"):
        return float(value)
    if kind.startswith("bool"):
        if value not in ("true", "false"):
            raise ValueError(f"{value!r} is neither true nor false")
        return value == "true"
    return value
