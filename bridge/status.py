"""Health and metrics over HTTP; no email address is ever shown there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bridge.errors import ConfigurationError
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.values import Bind


class Health:
    """The state of the service as others see it: started, stopping, or waiting."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.ready = False
        self.stopping = False

    def waiting_for(self) -> list[str]:
        """Names of what keeps the bridge waiting: listrak, segment, state."""
        samples = next(iter(self._metrics.blocked.collect())).samples
        return sorted(sample.labels["by"] for sample in samples if sample.value)

    def sentence(self) -> str:
        """One line for the service manager."""
        if self.stopping:
            return "stopping: letting what was read arrive"
        if not self.ready:
            return "starting"
        waiting = self.waiting_for()
        return f"waiting for {', '.join(waiting)}" if waiting else "running"


@asynccontextmanager
async def status_server(bind: Bind, health: Health, metrics: Metrics) -> AsyncIterator[str]:
    """Serves /livez, /readyz and /metrics; yields its address.

    Raises ConfigurationError naming BRIDGE_STATUS_BIND where it can't listen.
    """
    app = web.Application()

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = health.waiting_for()
        ready = health.ready and not health.stopping and not waiting
        body = {"ready": ready, "status": health.sentence(), "waiting_for": waiting}
        return web.Response(
            status=200 if ready else 503,
            text=json.dumps(body) + "\n",
            content_type="application/json",
        )

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, bind.host, bind.port).start()
        except OSError as error:
            raise ConfigurationError(
                "BRIDGE_STATUS_BIND",
                f"can't listen on {bind.host}:{bind.port}: {error.strerror}. "
                "Name another address, port 0 for any, or nothing for none",
            ) from None
        host, port = runner.addresses[0][:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("status.listening", address=address)
        yield address
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
