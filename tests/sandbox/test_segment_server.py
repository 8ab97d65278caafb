"""Serving an emulator."""

from __future__ import annotations

import aiohttp
import anyio
import pytest
from aiohttp import web

from bridge.sandbox.server import serve

pytestmark = pytest.mark.anyio


def hello() -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.add_routes([web.post("/", answer)])
    return app


async def test_only_while_it_lasts() -> None:
    """The address answers inside the context, and nobody listens there afterwards."""
    async with aiohttp.ClientSession() as client:
        async with serve(hello()) as url, client.post(url, data=b"x") as answer:
            assert url.startswith("http://127.0.0.1:")
            assert await answer.read() == b"x"
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post(url)


async def test_bodies_as_sent() -> None:
    """Handlers see compressed bodies compressed."""
    async with serve(hello()) as url, aiohttp.ClientSession() as client:
        headers = {"Content-Encoding": "gzip"}
        async with client.post(url, data=b"no gzip", headers=headers) as answer:
            assert await answer.read() == b"no gzip"


async def test_a_port_that_is_taken() -> None:
    """A port can be chosen; a taken one is an OSError, and the first server goes on."""
    async with serve(hello()) as url, aiohttp.ClientSession() as client:
        with pytest.raises(OSError, match="in use"):
            async with serve(hello(), port=int(url.rpartition(":")[2])):
                pytest.fail("two servers on one port")
        async with client.post(url, data=b"x") as answer:
            assert answer.status == 200


async def test_a_held_request_does_not_hold_the_end() -> None:
    """Leaving takes about a second at most, whatever a handler waits for."""

    async def hold(_request: web.Request) -> web.Response:
        held.set()
        await anyio.sleep_forever()
        raise AssertionError

    held = anyio.Event()
    app = web.Application()
    app.add_routes([web.get("/", hold)])

    async def ask(url: str) -> None:
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(url)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, serve(app) as url:
            group.start_soon(ask, url)
            await held.wait()
