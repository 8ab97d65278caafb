"""Requests and whole answers, against servers on loopback that write what they like."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from bridge.errors import ConfigurationError, OversizeError, TemporaryError
from bridge.transport import http
from bridge.transport.http import Answer, Http

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
ADDRESS = "jane.doe@example.com"


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server_of(
    answer: bytes | Write, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives an answer to each request; its address, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        # The client may have heard enough.
        with suppress(ConnectionError):
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", heard


async def answer_of(answer: bytes | Write, **options: Any) -> Answer:
    """What the client makes of what a server writes."""
    async with server_of(answer) as (url, _), Http() as client:
        return await client.request("GET", f"{url}/x?email={ADDRESS}", headers={}, **options)


def body_of(data: bytes, encoding: str = "") -> bytes:
    header = f"Content-Encoding: {encoding}\r\n".encode() if encoding else b""
    return OK + header + b"Content-Length: %d\r\n\r\n" % len(data) + data


def raw_deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


DATA = b'{"data": [1, 2, 3]}' * 100


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
async def test_encodings(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """A body comes out as it went in, however it was packed."""
    answer = await answer_of(body_of(compress(DATA), encoding), most=len(DATA))
    assert answer.body == DATA


BOMB = gzip.compress(gzip.compress(bytes(50_000_000)) + bytes(200_000_000))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(body_of(bytes(100_001)), id="long"),
        pytest.param(body_of(gzip.compress(bytes(100_001)), "gzip"), id="packed"),
        pytest.param(body_of(zlib.compress(bytes(100_001)), "deflate"), id="deflated"),
        pytest.param(body_of(BOMB, "gzip"), id="bomb"),
        pytest.param(OK + b"Content-Length: 5000000000\r\n\r\n" + bytes(200_000), id="announced"),
    ],
)
async def test_what_is_too_large(answer: bytes) -> None:
    """No more is read, or unpacked, than the resource can need."""
    with pytest.raises(OversizeError, match=r"127\.0\.0\.1: an answer of more than 100,000 bytes"):
        await answer_of(answer, most=100_000)


async def test_an_answer_without_end() -> None:
    """It is not waited for."""

    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    with anyio.fail_after(15), pytest.raises(OversizeError):
        await answer_of(pour, most=1_000_000)


BROKEN = {
    "nothing": b"",
    "no http": b"220 mail.example.com ESMTP " + ADDRESS.encode() + b"\r\n\r\n",
    "a header of nonsense": b"HTTP/1.1 200 OK\r\n" + ADDRESS.encode() + b"\r\n\r\n",
    "half an answer": OK + b"Content-Length: 1000\r\n\r\n" + ADDRESS.encode(),
    "a status of nonsense": b"HTTP/1.1 2000000 " + ADDRESS.encode() + b"\r\n\r\n",
    "no gzip": body_of(ADDRESS.encode(), "gzip"),
    "half a gzip": body_of(gzip.compress(DATA)[:-9], "gzip"),
    "an unknown encoding": body_of(DATA, ADDRESS),
    "a huge header": b"HTTP/1.1 200 OK\r\nX: " + ADDRESS.encode() * 10_000 + b"\r\n\r\n",
    "a bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz" + ADDRESS.encode() + b"\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_broken_answers(answer: bytes) -> None:
    """They may pass; what is told of them quotes neither the answer nor the request."""
    with pytest.raises(TemporaryError) as caught:
        await answer_of(answer)
    assert str(caught.value).startswith("127.0.0.1:")
    assert "@" not in str(caught.value)
    assert "email" not in str(caught.value)
    assert caught.value.__cause__ is None, "a log would print it"
    assert caught.value.__suppress_context__


async def test_nobody_listens() -> None:
    """The reason is the system's."""
    async with server_of(b"") as (url, _):
        pass
    async with Http() as client:
        with pytest.raises(TemporaryError, match="no connection"):
            await client.request("GET", f"{url}/{ADDRESS}", headers={})
        with pytest.raises(TemporaryError, match="name can't be resolved"):
            await client.request("GET", f"http://no-such-host.invalid/{ADDRESS}", headers={})


async def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it waited is how long it says it waited."""

    async def say_nothing(_: asyncio.StreamWriter) -> None:
        await over.wait()

    over = asyncio.Event()
    async with server_of(say_nothing) as (url, _):
        async with Http(timeout=0.1) as client:
            with pytest.raises(TemporaryError, match=r"no complete answer within 0\.1 s"):
                await client.request("GET", url, headers={})
        monkeypatch.setattr(http, "SILENT_FOR", 0.1)
        async with Http() as client:
            with pytest.raises(TemporaryError, match=r"it sent nothing for 0\.1 s"):
                await client.request("GET", url, headers={})
        over.set()


DATE = "Date: Sun, 06 Nov 2033 08:49:37 GMT\r\n"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("", None),
        ("Retry-After: 7\r\n", 7),
        ("Retry-After: 0\r\n", 0),
        ("Retry-After:  12 \r\n", 12),
        ("Retry-After: 99999999\r\n", 300),
        (f"Retry-After: {'9' * 400}\r\n", 300),
        (f"{DATE}Retry-After: Sun, 06 Nov 2044 08:50:37 GMT\r\n", 300),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: -5\r\n", None),
        ("Retry-After: ٣\r\n", None),
        (f"{DATE}Retry-After: Sun, 06 Nov 2033 08:50:37 GMT\r\n", 60),
        (f"{DATE}Retry-After: Sunday, 06-Nov-33 08:50:37 GMT\r\n", 60),
        (f"{DATE}Retry-After: Sun Nov  6 08:50:37 2033\r\n", 60),
        (f"{DATE}Retry-After: Sun, 06 Nov 2033 08:00:00 GMT\r\n", 0),
        (f"{DATE}Retry-After: Sun, 99 Nov 2033 08:00:00 GMT\r\n", None),
        ("Date: now\r\nRetry-After: Wed, 01 Jan 2020 00:00:00 GMT\r\n", 0),
    ],
)
async def test_retry_after(headers: str, seconds: float | None) -> None:
    """Seconds, or a date, which goes by the server's clock."""
    answer = await answer_of(
        b"HTTP/1.1 503 Busy\r\nConnection: close\r\n" + headers.encode() + b"\r\n"
    )
    assert answer.retry_after == seconds


# Proxies


async def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy gets the whole address; NO_PROXY spares some hosts."""
    async with server_of(body_of(b"via")) as (proxy, heard), Http() as client:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        answer = await client.request("GET", "http://far.example/x", headers={})
        assert answer.body == b"via"
        assert heard[0].startswith(b"GET http://far.example/x HTTP/1.1\r\n")
        monkeypatch.setenv("NO_PROXY", "far.invalid,.example")
        with pytest.raises(TemporaryError, match="resolved"):
            await client.request("GET", "http://far.invalid/x", headers={})
    assert len(heard) == 1


async def test_https_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is for https is tunnelled, with the proxy's own credentials, which nobody is told."""
    refusal = b"HTTP/1.1 407 Who are you\r\nConnection: close\r\n\r\n"
    async with server_of(refusal) as (proxy, heard), Http() as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:hush@"))
        with pytest.raises(TemporaryError, match=r"the proxy answered 407 \(HTTPS_PROXY") as caught:
            await client.request("GET", "https://far.example/x", headers={})
        assert heard[0].startswith(b"CONNECT far.example:443 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic" in heard[0]
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "127.0.0.1:9"])
async def test_a_proxy_that_is_away(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It may come back; the error names the variable."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with Http() as client:
        with pytest.raises(TemporaryError, match=r"its proxy can't be reached \(HTTPS_PROXY"):
            await client.request("GET", "https://far.example/x", headers={})


@pytest.mark.parametrize(
    "proxy", ["ftp://x", "http://", "::", "http://user:hush@:3128", "[::", "/"]
)
async def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It is a wrong setting; what stands there isn't repeated."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with Http() as client:
        with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
            await client.request("GET", "https://far.example/x", headers={})
    assert "hush" not in str(caught.value)


async def test_plain_http_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy elsewhere would carry secrets that are meant for loopback over the network."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    assert (await answer_of(body_of(b"here"))).body == b"here"


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    """It is refused in words that help."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = tmp_path / "own.pem"
    await anyio.run_process(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {certificate}.key -out {certificate}"
        " -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost".split()
    )
    context.load_cert_chain(certificate, f"{certificate}.key")
    async with server_of(b"", context) as (url, heard), Http() as client:
        with pytest.raises(TemporaryError, match="its certificate is refused: self"):
            await client.request("GET", url, headers={})
    assert heard == []
