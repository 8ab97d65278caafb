"""A server without a framework: each request is answered at once, in the turn in which it came."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

END_OF_HEAD: Final = b"\r\n\r\n"


class Request(NamedTuple):
    """A request.

    target: path and query, as they came.
    body: empty for none.
    """

    method: str
    target: str
    body: bytes


class Answer(NamedTuple):
    """An answer; `body` is JSON."""

    body: bytes
    status: int = 200


class _Connection(asyncio.Protocol):
    """A connection of a client, kept open for its next request."""

    transport: asyncio.Transport

    def __init__(self, answer: Callable[[Request], Answer], now: Callable[[], float]) -> None:
        self._answer = answer
        self._now = now
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (request := self._next()) is not None:
            answer = self._answer(request)
            head = (
                f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
                f"Date: {_date(int(self._now()))}\r\n"
                "Content-Type: application/json\r\n"
                f"Content-Length: {len(answer.body)}\r\n\r\n"
            )
            self.transport.write(head.encode() + answer.body)

    def _next(self) -> Request | None:
        """The next whole request of what has come; None where more is to come."""
        head, end, rest = self._unread.partition(END_OF_HEAD)
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._unread = rest[length:]
        method, target, _ = first.split(" ")
        return Request(method, target, rest[:length])


@lru_cache(16)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


@asynccontextmanager
async def serve(
    answer: Callable[[Request], Answer], now: Callable[[], float]
) -> AsyncIterator[str]:
    """Serves meanwhile; yields the address.

    answer: what answers a request.
    now: tells the time of the Date headers, in seconds since 1970.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(answer, now), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
