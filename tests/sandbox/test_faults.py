import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.fault import (
    Empty,
    ExpireToken,
    Fault,
    Garbage,
    Latency,
    Lost,
    Reset,
    Silent,
    Status,
    Torn,
    token_expired,
)
from bridge.sandbox.faults import KINDS, Faults
from bridge.sandbox.server import serve

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(
    faults: Faults, calls: list[str] | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server with the faults, which answers a page of three rows."""

    async def answer(request: web.Request) -> web.Response:
        if calls is not None:
            calls.append(request.path)
        if token_expired.get():
            return web.json_response({"status": 401}, status=401)
        return web.json_response({"status": 200, "nextPageCursor": "x", "data": [1, 2, 3]})

    app = web.Application(middlewares=[faults.middleware])
    app.on_shutdown.append(faults.shutdown)
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app) as url, aiohttp.ClientSession(url) as session:
        yield session


async def struck(faults: Faults, times: int) -> None:
    """Until the faults have struck so often."""
    while sum(fault.hits for fault in faults) < times:  # noqa: ASYNC110 - faults tell nobody
        await asyncio.sleep(0)


async def test_latency() -> None:
    """Latency delays, then the next fault or the answer comes."""
    async with served(Faults(Latency(0.05), Status(503))) as session:
        begun = time.monotonic()
        async with session.get("/") as response:
            assert response.status == 503
        assert time.monotonic() - begun >= 0.05


async def test_status() -> None:
    """A status comes instead of the answer, with Retry-After and body as told."""
    calls: list[str] = []
    faults = Faults(Status(429, retry_after="7", body='{"no":1}', times=1))
    async with served(faults, calls) as session:
        async with session.get("/") as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "7"
            assert await response.json() == {"no": 1}
        async with session.get("/") as response:
            assert response.status == 200
    assert calls == ["/"]


@pytest.mark.parametrize(("fault", "served_calls"), [(Reset(), 0), (Lost(), 1)])
async def test_connection_lost(fault: Fault, served_calls: int) -> None:
    """The connection drops without an answer: before the request is served, or after."""
    calls: list[str] = []
    async with served(Faults(fault), calls) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post("/")  # A GET might be tried again by the client itself.
        assert len(calls) == served_calls


async def test_torn() -> None:
    """Half of the body arrives, then the connection ends."""
    async with served(Faults(Torn())) as session, session.get("/") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_silent() -> None:
    """No answer ever comes, until the fault is lifted."""
    faults = Faults(Silent(path="/held"))
    async with served(faults) as session:
        with pytest.raises(TimeoutError):
            await session.get("/held", timeout=aiohttp.ClientTimeout(total=0.1))
        held = asyncio.create_task(session.post("/held"))
        async with session.get("/free") as response:
            assert response.status == 200
        await struck(faults, 2)
        faults.clear()
        with pytest.raises(aiohttp.ClientError):
            await held


async def test_silent_does_not_hold_the_server() -> None:
    """A server stops at once although it keeps somebody waiting."""
    faults = Faults(Silent(times=1))
    async with served(faults) as session:
        held = asyncio.create_task(session.post("/"))
        await struck(faults, 1)
        begun = time.monotonic()
        held.cancel()
    assert time.monotonic() - begun < 0.9


async def test_garbage() -> None:
    """A 200 that is no JSON."""
    async with served(Faults(Garbage())) as session, session.get("/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"


@pytest.mark.parametrize(("more", "cursor"), [(False, None), (True, "x")])
async def test_empty(more: bool, cursor: str | None) -> None:
    """A page loses its rows, and is the last one unless told otherwise."""
    async with served(Faults(Empty(more))) as session, session.get("/") as response:
        assert await response.json() == {"status": 200, "nextPageCursor": cursor, "data": []}


async def test_expire_token() -> None:
    """The emulator is told to take the token, where there is one, for expired."""
    async with served(Faults(ExpireToken())) as session:
        async with session.get("/", headers={"Authorization": "Bearer x"}) as response:
            assert response.status == 401
        async with session.get("/") as response:
            assert response.status == 200


async def test_filters() -> None:
    """A fault strikes only its paths, so many times, so often, and never the sandbox's own."""
    seldom = Status(501, path="/seldom", probability=0.3)
    faults = Faults(Status(503, path="/one", times=2), seldom, seed=1)
    async with served(faults) as session:
        seen = []
        for path in ("/one", "/two", "/one", "/one", "/_sandbox/one"):
            async with session.get(path) as response:
                seen.append(response.status)
        assert seen == [503, 200, 503, 200, 200]
        for _ in range(100):
            await (await session.get("/seldom")).read()
    assert 15 < seldom.hits < 45


def test_parse() -> None:
    """The bare value is a fault's first option; the rest have names."""
    assert isinstance(Faults.parse("reset"), Reset)
    status = Faults.parse("status:503,times=3,path=Activity")
    assert isinstance(status, Status)
    assert (status.code, status.times, status.path) == (503, 3, "Activity")
    torn = Faults.parse("torn,probability=0.5")
    assert isinstance(torn, Torn)
    assert torn.probability == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "status:many",
        "status:503,color=red",
        "reset:5",
        "empty:perhaps",
        "torn,times",
        "bad_values:empty",
    ],
)
def test_parse_refuses(text: str) -> None:
    """What is no fault is refused."""
    with pytest.raises(ValueError, match=r".+"):
        Faults.parse(text)


@given(
    st.sampled_from(sorted(KINDS)),
    st.none() | st.integers(0, 9),
    st.floats(0, 1),
    st.sampled_from(["", "Activity", "/v1/batch"]),
)
def test_text_round_trip(name: str, times: int | None, probability: float, path: str) -> None:
    """A fault prints as the text that makes it."""
    fault = KINDS[name](times=times, probability=probability, path=path)
    again = Faults.parse(str(fault))
    assert str(again) == str(fault)
    assert (again.times, again.probability, again.path) == (times, probability, path)
