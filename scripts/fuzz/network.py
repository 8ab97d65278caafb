"""A target that reads what comes over a connection, as the real transport does."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Final

from bridge.transport.http import Http
from fuzz.mutation import Mutator
from fuzz.target import FlawError, Target

MOST: Final = 5 * 2**20
BOMB: Final = gzip.compress(bytes(2**24), 9, mtime=0)

HEADS: Final = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 099 ", b"HTTP/1.1 1000 X", b"HTTP/2 200"),
    *(b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 103 Early Hints"),
    *(b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 100 Continue", b"ICY 200 OK", b""),
    *(b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: 99999999999999999999"),
    *(b"Content-Length: 7", b"content-length: 1_0", b"Content-Length: 5, 5", b"Content-Length:"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: x"),
    *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br"),
    *(b"Content-Encoding: gzip, gzip", b"Content-Encoding: identity", b"Content-Encoding: \xff"),
    *(b"Content-Type: application/json; charset=utf-7", b"Content-Type: text/html", b": x"),
    *(b"Retry-After: 9" + b"9" * 300, b"Date: Tue, 12 May 2026 08:00:00 GMT", b"Date: \x80"),
    *(b"Set-Cookie: a=b; Domain=\xff", b"Connection: close", b"Connection: upgrade", b"X" * 9000),
    *(b"Location: http://jane.fuzz@example.com/\x00", b" folded", b"A: b\x00c", b"Upgrade: h2c"),
)
"""Lines of heads that nobody expects."""

ENDS: Final = ("close", "keep", "abort")


class Connections(Target):
    """Answers as bytes of a connection: first the bytes of a piece, and how it ends."""

    name = "http"
    what = "bytes of connections: heads, chunks, encodings"

    async def take(self, data: bytes) -> str:
        """Makes a request over the loop's own network, which the input is sent to."""
        first, _, sent = data.partition(b"\n")
        piece, _, end = first.decode("latin-1").partition(" ")
        size = int(piece) if piece.isascii() and piece.isdigit() and len(piece) < 8 else 0
        server = await asyncio.get_running_loop().create_server(
            lambda: _Sender(sent, size or len(sent) or 1, end), "127.0.0.1", 0
        )
        host, port = server.sockets[0].getsockname()[:2]
        dates: list[str] = []
        try:
            async with Http(on_date=dates.append) as http:
                return await self._asked(http, f"http://{host}:{port}/v1/List")
        finally:
            server.close()
            # What was closed is told to both ends in the next turns.
            await asyncio.sleep(0)

    async def _asked(self, http: Http, url: str) -> str:
        answer = await http.request("GET", url, headers={"Accept": "*/*"}, most=MOST)
        if len(answer.body) > MOST:
            raise FlawError("an answer is larger than it may be")
        wait = answer.retry_after
        if wait is not None and not 0 <= wait < float("inf"):
            raise FlawError("Retry-After is no time to wait")
        return f"{answer.status // 100}xx, {len(answer.body).bit_length()} bits of length"

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Other bytes: of the head, of the body, or cut and ended in another way."""
        random = mutator.random
        first, _, sent = data.partition(b"\n")
        head, _, body = sent.partition(b"\r\n\r\n")
        match random.randrange(8):
            case 0:
                size, end = random.choice((1, 2, 7, 100, 0)), random.choice(ENDS)
                return f"{size} {end}\n".encode() + sent
            case 1 | 2 | 3:
                lines = head.split(b"\r\n")
                at = random.randrange(len(lines))
                lines[at : at + random.choice((0, 1))] = [random.choice(HEADS)]
                head = b"\r\n".join(lines)
            case 4:
                head, body = self._packed(head, body, mutator)
            case 5:
                body = mutator.of_bytes(body)
            case _:
                return first + b"\n" + mutator.of_bytes(sent)
        return b"\n".join((first, head + b"\r\n\r\n" + body))

    @staticmethod
    def _packed(head: bytes, body: bytes, mutator: Mutator) -> tuple[bytes, bytes]:
        """The same body, packed or in chunks, perhaps not quite."""
        random = mutator.random
        raw = zlib.compressobj(wbits=-15)
        size = random.choice((1, 1, 2000))
        name, body = random.choice(
            (
                (b"Content-Encoding: gzip", gzip.compress(body * size, 9, mtime=0)),
                (b"Content-Encoding: deflate", zlib.compress(body * size)),
                (b"Content-Encoding: deflate", raw.compress(body) + raw.flush()),
                (b"Content-Encoding: gzip", BOMB),
                (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
                (b"Transfer-Encoding: chunked", b"%x;a=b\n%s\r\n" % (len(body) * 2, body)),
            )
        )
        if random.random() < 0.3:
            body = mutator.of_bytes(body)
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-len")]
        return b"\r\n".join((*kept, name)), body


class _Sender(asyncio.Protocol):
    """A server that sends some bytes in pieces, whatever it is asked.

    end: what it does then; by default it keeps the connection.
    """

    def __init__(self, sent: bytes, size: int, end: str) -> None:
        self._pieces = [sent[at : at + size] for at in range(0, min(len(sent), size * 300), size)]
        self._rest = sent[size * 300 :]
        self._end = end
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        transport, self._transport = self._transport, None
        if transport is None:
            return
        for piece in (*self._pieces, self._rest):
            transport.write(piece)
        end: Callable[[], object] = {
            "close": transport.close,
            "abort": transport.abort,
        }.get(self._end, lambda: None)
        end()
