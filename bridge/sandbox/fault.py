"""One fault of a server or its network."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import struct
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import ClassVar

from aiohttp import web
from aiohttp.typedefs import Handler

# True while the request of an expired token is served, for the emulator to see.
token_expired: ContextVar[bool] = ContextVar("token_expired", default=False)


@dataclass(kw_only=True)
class Fault:
    """A fault that hits some requests.

    path: text that the path of a request must contain to be hit.
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
        if self.path not in request.path or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability < 1 and rng.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def __str__(self) -> str:
        """The text of the fault, as `parse` reads it."""
        told = {
            f.name: str(value).lower() if isinstance(value, bool) else value
            for f in dataclasses.fields(self)
            if f.init and (value := getattr(self, f.name)) != f.default
        }
        values = [f"{key}={value}" for key, value in told.items()]
        return f"{self.name}:{','.join(values)}" if values else self.name


def cut(request: web.Request) -> web.StreamResponse:
    """Resets the connection; the result goes nowhere."""
    transport = request.transport
    if transport is not None:
        # Linger of zero makes the kernel send RST instead of FIN.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
    return web.Response(status=500)
