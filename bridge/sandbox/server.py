"""Serves an emulator on a port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from .faults import Faults

FAULTS_PATH = "/_sandbox/faults"


@asynccontextmanager
async def serve(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serves `app` and yields its base URL, such as `http://127.0.0.1:40123`, without a slash.

    Port 0 stands for any free one; OSError when the port is in use. Bodies reach the handlers as
    sent, compressed ones compressed. Requests under way at the end have a second to finish. An
    application is served once.
    """
    # aiohttp waits for that timeout twice. It would log a body that it can't decompress as an error
    # of this server.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


def fault_routes(faults: Faults) -> list[web.RouteDef]:
    """The routes below `/_sandbox/faults` that show and change `faults`.

    GET answers `{"faults": [text, ...]}`; POST adds the faults of its body, one text a line (400
    and nothing added when one is not understood); DELETE lifts all. All answer what is then in
    force.
    """

    async def show(_request: web.Request) -> web.Response:
        return web.json_response({"faults": [str(fault) for fault in faults]})

    async def add(request: web.Request) -> web.Response:
        lines = filter(None, map(str.strip, (await request.text()).splitlines()))
        try:
            added = [faults.parse(line) for line in lines]
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        for fault in added:
            faults.add(fault)
        return await show(request)

    async def lift(request: web.Request) -> web.Response:
        faults.clear()
        return await show(request)

    return [
        web.get(FAULTS_PATH, show),
        web.post(FAULTS_PATH, add),
        web.delete(FAULTS_PATH, lift),
    ]
