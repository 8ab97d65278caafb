"""The emulated Listrak: its token endpoint and Email API over HTTP, in front of a world."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from .api import Api, NotFoundError
from .clock import Clock, WallClock
from .fault import date_of, token_expired
from .faults import Faults
from .pages import InvalidParameterError, OversizeError, Pages
from .read_request import ReadRequest
from .server import fault_routes
from .switches import Switches
from .world import World

log = logging.getLogger(__name__)

TOKEN_PATH = "/OAuth2/Token"  # noqa: S105 - a path
API_PATH = "/email/v1"
DENIED = (401, "ERROR_UNAUTHORIZED", "Authorization was denied for this request.")


@dataclass(frozen=True)
class Integration:
    """The credentials and limits of a client.

    token_lifetime: seconds of real time that a token is valid.
    max_page: rows of a page at most.
    """

    client_id: str
    client_secret: str
    token_lifetime: float = 3599.0
    max_page: int = 5000


class Listrak:
    """An emulator that serves `world` at the instant of `clock`, like the real API as far as known.

    The Date header tells the world's time.

    app: answers at TOKEN_PATH and below API_PATH; below `/_sandbox/` it shows the world, stops the
        clock, sets it forward (`POST /_sandbox/advance?days=90`) and takes faults.
    requests: number of requests by route of the Swagger document (and TOKEN_PATH).
    max_concurrency: most requests under way at once.
    timezone: zone of the API's naive times.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        integration: Integration,
        *,
        switches: Switches | None = None,
        faults: Faults | None = None,
        timezone: str = "America/New_York",
        seed: int = 0,
    ) -> None:
        self.world = world
        self.clock = clock
        self.switches = switches or Switches()
        self.faults = faults or Faults(seed=seed)
        self.requests: Counter[str] = Counter()
        self.max_concurrency = 0
        self._under_way = 0
        self._integration = integration
        self._tokens: dict[str, float] = {}
        self._rng = random.Random(seed)
        pages = Pages(self.switches, max_page=integration.max_page, seed=seed)
        self._api = Api(world, self.switches, pages, WallClock(timezone))
        self.app = self._build()

    def expire_tokens(self) -> None:
        """Invalidates all tokens given out so far."""
        self._tokens.clear()

    def _build(self) -> web.Application:
        app = web.Application(middlewares=[self._watch, self.faults.middleware, self._translate])
        app.on_shutdown.append(self.faults.shutdown)
        app.on_response_prepare.append(self._date)
        app.router.add_post(TOKEN_PATH, self._token)
        for template in self._api.routes:
            app.router.add_get("/email" + template, self._read)
        app.router.add_get("/_sandbox/world", self._show_world)
        app.router.add_post("/_sandbox/freeze", self._freeze)
        app.router.add_post("/_sandbox/resume", self._resume)
        app.router.add_post("/_sandbox/advance", self._advance)
        app.router.add_routes(fault_routes(self.faults))
        return app

    # Middlewares, outermost first; the faults stand between them

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Counts requests."""
        resource = request.match_info.route.resource
        if resource is not None and not request.path.startswith("/_sandbox/"):
            self.requests[resource.canonical.removeprefix("/email")] += 1
        self._under_way += 1
        self.max_concurrency = max(self.max_concurrency, self._under_way)
        try:
            return await handler(request)
        finally:
            self._under_way -= 1

    async def _date(self, _request: web.Request, answer: web.StreamResponse) -> None:
        """Puts the world's time on every answer, also on one that a fault spoils."""
        now = self.clock.now.astimezone(UTC)
        wrong = date_of.get()
        date_of.set(None)
        answer.headers["Date"] = date = wrong(now) if wrong else format_datetime(now, usegmt=True)
        if not date:
            del answer.headers["Date"]

    @web.middleware
    async def _translate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns the errors of a request into the envelope that Listrak sends."""
        try:
            return await handler(request)
        except InvalidParameterError as error:
            message = f"An invalid value was supplied for '{error}'."
            return _error(400, "ERROR_INVALID_PARAMETER", message)
        except (NotFoundError, OversizeError, web.HTTPNotFound):
            message = "Unable to locate the requested resource."
            return _error(404, "ERROR_UNABLE_TO_LOCATE_RESOURCE", message)
        except web.HTTPMethodNotAllowed as error:
            return _error(405, "ERROR_METHOD_NOT_ALLOWED", error.reason)
        except ConnectionResetError:
            # Who asked has ended: nobody's fault, and nobody hears an answer.
            raise
        except Exception:
            log.exception("the emulator failed at %s", request.path)
            return _error(500, "ERROR_UNHANDLED_EXCEPTION", "An unhandled exception occurred.")

    # Answers of Listrak

    async def _token(self, request: web.Request) -> web.Response:
        if self.switches.paused:
            return _error(*DENIED)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        granted = self._integration
        credentials = (granted.client_id, granted.client_secret)
        if (form.get("client_id"), form.get("client_secret")) != credentials:
            return _json({"error": "Invalid Credentials"}, 400)
        token = self._rng.randbytes(32).hex()
        self._tokens[token] = self.clock.real_seconds() + granted.token_lifetime
        seconds = int(granted.token_lifetime)
        return _json({"access_token": token, "token_type": "bearer", "expires_in": seconds})

    async def _read(self, request: web.Request) -> web.Response:
        if not self._authorized(request):
            return _error(*DENIED)
        self.world.advance(self.clock.now)
        resource = request.match_info.route.resource
        assert resource is not None
        route = self._api.routes[resource.canonical.removeprefix("/email")]
        return _json(route(ReadRequest(request.path, request.match_info, request.query)))

    def _authorized(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if token_expired.get():
            self._tokens.pop(token, None)
        expiry = self._tokens.get(token, 0.0)
        known = scheme.lower() == "bearer" and self.clock.real_seconds() < expiry
        return known and not self.switches.paused

    # Additions of the sandbox

    async def _show_world(self, _request: web.Request) -> web.Response:
        self.world.advance(self.clock.now)
        return _json(
            {
                "now": self.world.now.isoformat(),
                "frozen": self.clock.frozen,
                "lists": {
                    str(o.list_id): o.name for o in self.world.lists.values() if not o.removed
                },
                "facts": Counter(fact.what for fact in self.world.log),
                "requests": self.requests,
            }
        )

    async def _freeze(self, request: web.Request) -> web.Response:
        self.clock.freeze()
        return await self._show_world(request)

    async def _resume(self, request: web.Request) -> web.Response:
        self.clock.resume()
        return await self._show_world(request)

    async def _advance(self, request: web.Request) -> web.Response:
        """Sets the clock forward by `days`, `hours` and `seconds`; the world lives through it."""
        try:
            parts = {unit: float(value) for unit, value in request.query.items()}
            self.clock.advance(timedelta(**parts))
        except (TypeError, ValueError, OverflowError) as error:
            return web.Response(status=400, text=f"Advance by how much? {error}\n")
        return await self._show_world(request)


def _json(data: Any, status: int = 200) -> web.Response:
    try:
        body = msgspec.json.encode(data)
    except UnicodeEncodeError:
        # Half a character of UTF-16 can be written as an escape alone.
        body = json.dumps(data).encode()
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")


def _error(status: int, error: str, message: str) -> web.Response:
    return _json({"status": status, "error": error, "message": message}, status)
