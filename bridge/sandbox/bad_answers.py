"""The faults of an answer that comes: what stands in it, and around it."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import anyio
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from .clock import utc_now
from .fault import Fault, cut

WRONG = {"null": None, "text": "no", "number": 7, "true": True, "list": [[1]], "object": {"a": 1}}
"""Data of the wrong type, by what it is called."""


@dataclass
class Blank(Fault):
    """An answer without a body, such as 200 or 204."""

    name = "blank"
    code: int = 200

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        return web.Response(status=self.code)


@dataclass
class WrongType(Fault):
    """A 200 whose JSON is of another type: null, text, number, true, list or object.

    bare: that stands alone, not as the data of an answer.
    """

    name = "wrong_type"
    kind: str = "null"
    bare: bool = False

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        value = WRONG.get(self.kind, self.kind)
        return web.json_response(value if self.bare else {"data": value, "nextPageCursor": None})


@dataclass
class Redirect(Fault):
    """A redirect to another address."""

    name = "redirect"
    code: int = 302
    to: str = "http://127.0.0.1:9/login"

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        return web.Response(status=self.code, headers={hdrs.LOCATION: self.to})


@dataclass
class NotPacked(Fault):
    """A 200 that says it is packed, and isn't, or breaks off.

    encoding: what it says: gzip, deflate, or another.
    """

    name = "not_packed"
    encoding: str = "gzip"

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        body = {"gzip": gzip.compress(b'{"data": []}')[:-6], "deflate": zlib.compress(b"{}")[:-2]}
        return web.Response(
            body=body.get(self.encoding, b"?"),
            headers={hdrs.CONTENT_ENCODING: self.encoding},
            content_type="application/json",
        )


@dataclass
class CutShort(Fault):
    """A complete answer of HTTP with half of the JSON."""

    name = "cut_short"

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        """Answers with the help of the handler."""
        answer = await handler(request)
        body = answer.body if isinstance(answer, web.Response) else None
        half = body[: len(body) // 2] if isinstance(body, bytes) else b"{"
        return web.Response(status=answer.status, body=half, content_type="application/json")


@dataclass
class Charset(Fault):
    """The answer in another encoding than UTF-8, or of another content type.

    encoding: such as utf-16 or latin-1.
    """

    name = "charset"
    encoding: str = "utf-16"
    content_type: str = "text/plain"

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        """Answers with the help of the handler."""
        answer = await handler(request)
        text = answer.text if isinstance(answer, web.Response) else ""
        body = (text or "").encode(self.encoding, errors="replace")
        return web.Response(status=answer.status, body=body, content_type=self.content_type)


@dataclass
class NoHttp(Fault):
    """Bytes that are no HTTP; `size` of a header line, where that is more."""

    name = "no_http"
    size: int = 0

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        if request.transport is not None:
            line = b"HTTP/1.1 200 OK\r\nX: " + b"x" * self.size if self.size else b"hello there"
            request.transport.write(line + b"\r\n\r\n")
            request.transport.close()
        return web.Response()


@dataclass
class Slow(Fault):
    """An answer that comes a byte at a time, each after some seconds."""

    name = "slow"
    seconds: float = 0.1

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        answer = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/json"})
        await answer.prepare(request)
        # Whoever has had enough of it closes the connection.
        with suppress(ConnectionError):
            while request.transport is not None and not self.lifted.is_set():
                await answer.write(b" ")
                with anyio.move_on_after(self.seconds):
                    await self.lifted.wait()
        return cut(request)


@dataclass
class Echo(Fault):
    """A refusal that repeats the request: its address, its headers and its body."""

    name = "echo"
    code: int = 400

    async def serve(self, request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        body = await request.read()
        if request.headers.get(hdrs.CONTENT_ENCODING) == "gzip":
            body = gzip.decompress(body)
        said = f"{request.url} {dict(request.headers)} {body.decode(errors='replace')}"
        error: dict[str, Any] = {"status": self.code, "error": said, "message": said}
        return web.json_response(error, status=self.code)


@dataclass
class Throttle(Fault):
    """A refusal for now, with a Retry-After in one of its forms.

    after: zero, negative, garbage, huge, date (in two seconds), past (a date; both by this
        machine's clock, where Listrak's answers tell the world's), or the text itself.
    """

    name = "throttle"
    after: str = "zero"
    code: int = 429

    async def serve(self, _request: web.Request, _handler: Handler, /) -> web.StreamResponse:
        """Answers in place of the handler."""
        now = utc_now()
        forms = {
            "zero": "0",
            "negative": "-5",
            "garbage": "soon",
            "huge": "9" * 400,
            "date": format_datetime(now + timedelta(seconds=2), usegmt=True),
            "past": format_datetime(now - timedelta(days=1), usegmt=True),
        }
        headers = {hdrs.RETRY_AFTER: forms.get(self.after, self.after)}
        return web.json_response({"status": self.code}, status=self.code, headers=headers)


@dataclass
class Poison(Fault):
    """A failure of every request whose body, unpacked, holds a text."""

    name = "poison"
    text: str = "identify"
    code: int = 500

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        """Answers with the help of the handler."""
        body = await request.read()
        if request.headers.get(hdrs.CONTENT_ENCODING) == "gzip":
            body = gzip.decompress(body)
        if self.text.encode() not in body:
            self.hits -= 1
            return await handler(request)
        error = {"status": self.code, "error": "ERROR_SANDBOX", "message": "A fault."}
        return web.Response(
            status=self.code, text=json.dumps(error), content_type="application/json"
        )
