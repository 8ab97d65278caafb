"""Serves health and metrics over HTTP, to few at a time; no email address is ever shown there."""

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

import anyio
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bridge.environment.values import Bind, is_loopback
from bridge.errors import ConfigurationError
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.supervision.health import Health

MOST_CONNECTIONS: Final = 16
"""Connections at once; for a further one the oldest is closed, so that none shuts others out."""

CONNECTION_SECONDS: Final = 10.0
"""Seconds that a connection may last, used or idle."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def status_server(bind: Bind, health: Health, metrics: Metrics) -> AsyncIterator[str]:
    """Serves /livez, /readyz and /metrics; yields its address.

    Raises ConfigurationError naming BRIDGE_STATUS_BIND where it can't listen.
    """
    runner = web.AppRunner(
        _app(health, metrics, local=is_loopback(bind.host)),
        access_log=None,
        # What others send wrongly is no news.
        logger=_silent(),
        shutdown_timeout=0.5,
        keepalive_timeout=CONNECTION_SECONDS,
    )
    await runner.setup()
    try:
        try:
            server = await asyncio.get_running_loop().create_server(
                _Door(runner), bind.host, bind.port, backlog=MOST_CONNECTIONS
            )
        except OSError as error:
            # asyncio's own text says the address once more; a negative number is of a name.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror
            raise ConfigurationError(
                "BRIDGE_STATUS_BIND",
                f"can't listen on {bind.host}:{bind.port}: {reason}. "
                "Name another address, port 0 for any, or nothing for none",
            ) from None
        try:
            host, port = server.sockets[0].getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            log.info("status.listening", address=address)
            yield address
        finally:
            server.close()
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _app(health: Health, metrics: Metrics, *, local: bool) -> web.Application:
    """The pages.

    local: they are served on this machine alone.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        report = health.report()
        return web.Response(
            status=200 if report["ready"] else 503,
            text=json.dumps(report) + "\n",
            content_type="application/json",
        )

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        # A page in a browser on this machine may have any name resolve to it.
        # Browsers always send one; a health check by HTTP/1.0 may not.
        if local and "Host" in request.headers and not _is_local(request.host):
            raise web.HTTPMisdirectedRequest(text="this is served to this machine alone\n")
        return await handler(request)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    return app


def _is_local(host: str) -> bool:
    """Tells whether a Host header names this machine: by an address, or as localhost."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.removeprefix("[").removesuffix("]")
    if is_loopback(name.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class _Door:
    """Lets few connections in at once, and none for long."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._latest: deque[web.RequestHandler] = deque()

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        server = self._runner.server
        if server is None:
            return _Closed()
        handler = server()
        self._latest.append(handler)
        if len(self._latest) > MOST_CONNECTIONS:
            _end(self._latest.popleft())
        asyncio.get_running_loop().call_later(CONNECTION_SECONDS, _end, handler)
        return handler


def _end(handler: web.RequestHandler) -> None:
    """Ends a connection, if it hasn't ended by itself."""
    if handler.transport is not None:
        handler.transport.abort()


class _Closed(asyncio.Protocol):
    """A connection that is closed as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Closes it."""
        transport.close()


def _silent() -> logging.Logger:
    """A logger that says nothing."""
    logger = logging.Logger("bridge.supervision.health")
    logger.addHandler(logging.NullHandler())
    return logger
