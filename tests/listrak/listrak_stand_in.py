"""A server that answers as a test says, and notes what it was asked."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bridge.clock import SourceClock
from bridge.listrak.auth import Auth
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics
from bridge.sandbox.server import serve
from bridge.transport.http import Http

Reply = Callable[[web.Request], web.StreamResponse]


def ok(data: Any, following: str | None = None) -> Reply:
    """A page, or one resource."""
    return lambda _: web.json_response({"data": data, "nextPageCursor": following})


def status(code: int, body: str = "{}", **headers: str) -> Reply:
    """Any refusal."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(status=code, text=body, headers=named)


def cut(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


class StandIn:
    """Gives the next of `replies` to each call of the API, the last one again and again.

    Tokens are `token-1`, `token-2`, ... unless `token_replies` has others; `calls` are the API's.
    """

    def __init__(self, *replies: Reply, lifetime: float = 3599, check: bool = True) -> None:
        self.replies = list(replies)
        self.token_replies: list[Reply] = []
        self.lifetime = lifetime
        self.check = check
        self.calls: list[web.Request] = []
        self.tokens = 0
        self.forms: list[dict[str, Any]] = []
        self.revoked: set[str] = set()

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/Token", self._token)
        app.router.add_get("/v1/{path:.*}", self._answer)
        return app

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.tokens += 1
        self.forms.append(dict(await request.post()))
        if self.token_replies:
            return self.token_replies.pop(0)(request)
        answer = {
            "access_token": f"token-{self.tokens}",
            "token_type": "bearer",
            "expires_in": self.lifetime,
        }
        return web.json_response(answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if self.check and token in self.revoked:
            return web.Response(status=401, text=json.dumps({"message": "Authorization denied"}))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(request)


@asynccontextmanager
async def auth_of(stand_in: StandIn) -> AsyncIterator[Auth]:
    """Credentials that are asked for at a stand-in."""
    async with serve(stand_in.app) as base, Http() as http:
        yield Auth(http, url=f"{base}/Token", client_id="an id", client_secret="a&secret")


@asynccontextmanager
async def client_of(
    stand_in: StandIn,
    *,
    deadline: float | None = 0,
    metrics: Metrics | None = None,
    requests_per_second: float = 0,
) -> AsyncIterator[Listrak]:
    """A client of a stand-in."""
    clock = SourceClock()
    async with serve(stand_in.app) as base, Http(on_date=clock.observe) as http:
        auth = Auth(http, url=f"{base}/Token", client_id="an id", client_secret="a&secret")
        yield Listrak(
            http,
            auth,
            metrics or Metrics(),
            clock,
            base=f"{base}/v1",
            requests_per_second=requests_per_second,
            deadline=deadline,
        )
