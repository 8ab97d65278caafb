"""An emulated Segment: its HTTP Tracking API in front of an inbox.

A 200 does not mean that an event was accepted, as with the real one: see `delivery.verdict_on`.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

from .clock import utc_now
from .delivery import (
    ACCEPTED,
    BATCH_ROUTES,
    DROPPED,
    DUPLICATE,
    EVENT_TYPES,
    MAX_BODY_BYTES,
    MAX_EVENTS,
    Delivery,
    parse,
    text_of,
    verdict_on,
)
from .faults import Faults, Handler
from .inbox import Exchange, Inbox, read_events
from .inspection import StrictReader
from .server import fault_routes

__all__ = ["Segment", "read_events"]

CUT = 0  # stands for a status: the connection ended before the answer did
NOTHING = Delivery()
MOST_SHOWN = 100_000  # events of one request


class Segment:
    """One source of an emulated Segment. Use as a context manager, or `close`.

    path: the file; an existing one is continued.
    events_per_second: more than that is answered 429, after one second's worth of credit.
    refuse: tells whether an event makes its whole batch be answered 400.
    now: the time, aware.
    world_now: the time that arrivals are stored with, if that is another: the world's, aware.

    Counted since the file began:

    accepted: events.
    duplicates: events.
    dropped: events by reason.

    Counted by this object:

    requests: by status; 0 where the connection was cut.
    in_flight: requests at this moment.
    max_concurrency: requests at once.
    """

    def __init__(
        self,
        path: Path,
        *,
        write_key: str,
        faults: Faults | None = None,
        events_per_second: float | None = None,
        refuse: Callable[[Mapping[str, Any]], bool] | None = None,
        now: Callable[[], datetime] = utc_now,
        world_now: Callable[[], datetime] | None = None,
    ) -> None:
        self.path = path
        self.write_key = write_key
        self.faults = Faults() if faults is None else faults
        self.events_per_second = events_per_second
        self.refuse = refuse
        self.accepted = 0
        self.duplicates = 0
        self.dropped: Counter[str] = Counter()
        self.requests: Counter[int] = Counter()
        self.in_flight = 0
        self.max_concurrency = 0
        self._names: Counter[str] = Counter()
        self._reader = StrictReader()
        self._now = now
        self._arrival = world_now or now
        self._busy_until = -math.inf
        self._changed = asyncio.Event()
        self._inbox = Inbox(path)
        for verdict, name, events in self._inbox.totals():
            self._count(verdict, name, events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, which stays. The application can't be served any longer."""
        self._inbox.close()

    @property
    def app(self) -> web.Application:
        """A new application for `server.serve`, so that this server can go away and come back."""
        app = web.Application(
            middlewares=[self._watch, self.faults.middleware],
            client_max_size=16 * 1024 * 1024,  # beyond Segment's limit, for the strict reader
        )
        app.on_shutdown.append(self.faults.shutdown)
        app.add_routes(
            [web.post(f"/v1/{route}", self._collect) for route in BATCH_ROUTES + EVENT_TYPES]
        )
        app.add_routes(
            [
                web.get("/_sandbox/events", self._show_events),
                web.get("/_sandbox/counts", self._show_counts),
                *fault_routes(self.faults),
            ]
        )
        return app

    @property
    def complaints(self) -> Counter[str]:
        """Numbers of the strict reader's complaints, by complaint."""
        return self._reader.complaints

    @property
    def complaint_examples(self) -> Mapping[str, Sequence[str]]:
        """The first few events that it complained about, as text, by complaint."""
        return self._reader.examples

    def counts(self) -> Mapping[str, int]:
        """Numbers of accepted events, repeats left out, by name, or by type when no track."""
        return dict(self._names)

    def received(self, unique: bool = False, *, stamped: bool = False) -> Iterator[dict[str, Any]]:
        """Yields the events that were accepted, as `read_events` does."""
        return read_events(self.path, unique, stamped=stamped)

    async def wait_for(
        self,
        goal: int | Callable[[Segment], bool],
        timeout: float,  # noqa: ASYNC109 - no caller wants to wait without one
    ) -> None:
        """Waits until so many events are accepted, repeats not counted, or `goal(self)` is true.

        goal: called when a request arrives and when its answer is ready.
        timeout: seconds until TimeoutError.
        """
        async with asyncio.timeout(timeout):
            while not (self.accepted >= goal if isinstance(goal, int) else goal(self)):
                await self._changed.wait()

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        self.in_flight += 1
        self.max_concurrency = max(self.max_concurrency, self.in_flight)
        self._tell()
        status = CUT
        try:
            answer = await handler(request)
            if request.transport is not None and not request.transport.is_closing():
                status = answer.status
            return answer
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self.in_flight -= 1
            self.requests[status] += 1
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _collect(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error) as error:
                return self._turn_down(request, body, 400, f"The body is no gzip: {error}")
        return self._receive(request, body)

    def _receive(self, request: web.Request, body: bytes) -> web.Response:
        """Decides about a request, without an await: one at a time."""
        self._reader.read_body(len(body), request.content_type)
        if len(body) > MAX_BODY_BYTES:
            return self._turn_down(request, body, 413, "The body is too large.")
        try:
            delivery = parse(request.path.removeprefix("/v1/"), body)
        except ValueError as error:
            return self._turn_down(request, body, 400, str(error))
        self._reader.read_batch(len(delivery.events))
        wait = self._pace(len(delivery.events))
        if wait:
            return self._turn_down(
                request, body, 429, "Too many events.", headers={"Retry-After": str(wait)}
            )
        if self.refuse is not None:
            objects = (event for event in delivery.events if isinstance(event, dict))
            if any(map(self.refuse, objects)):
                return self._turn_down(request, body, 400, "An event is not acceptable.")
        self._keep(request, body, 200, delivery, self._judge(request, delivery))
        return web.json_response({"success": True})

    def _turn_down(
        self,
        request: web.Request,
        body: bytes,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        self._keep(request, body, status, NOTHING, ())
        error = {"success": False, "code": f"ERROR_{status}", "message": message}
        return web.json_response(error, status=status, headers=headers)

    def _pace(self, events: int) -> int:
        """Whole seconds to wait before this many events are accepted, 0 when they are."""
        if not self.events_per_second:
            return 0
        now = self._now().timestamp()
        ahead = self._busy_until - now
        if ahead > 1:
            return math.ceil(ahead - 1)
        self._busy_until = max(self._busy_until, now) + events / self.events_per_second
        return 0

    def _judge(self, request: web.Request, delivery: Delivery) -> list[str]:
        """The verdict on each event; has the strict reader check it."""
        if _write_key(request, delivery) != self.write_key:
            return [DROPPED + "wrong_write_key"] * len(delivery.events)
        if len(delivery.events) > MAX_EVENTS:
            return [DROPPED + "batch_too_long"] * len(delivery.events)
        firsts: dict[str, Any] = {}
        verdicts = []
        for event, text in zip(delivery.events, delivery.texts, strict=True):
            verdict = verdict_on(event, len(text))
            message_id = text_of(event, "messageId")
            first = None
            if message_id is not None:
                first = firsts.get(message_id) or self._inbox.first(message_id)
            if first is None:
                self._reader.read_event(event, len(text))
                if verdict == ACCEPTED and message_id is not None:
                    firsts[message_id] = event
            else:
                self._reader.read_repeat(first, event)
                if verdict == ACCEPTED:
                    verdict = DUPLICATE
            verdicts.append(verdict)
        return verdicts

    def _keep(
        self,
        request: web.Request,
        body: bytes,
        status: int,
        delivery: Delivery,
        verdicts: Sequence[str],
    ) -> None:
        gzipped = request.headers.get("Content-Encoding") == "gzip"
        exchange = Exchange(self._arrival(), len(body), gzipped, status)
        self._inbox.store(exchange, delivery, verdicts)
        for event, verdict in zip(delivery.events, verdicts, strict=True):
            kind = text_of(event, "type")
            self._count(verdict, text_of(event, "event") if kind == "track" else kind)

    def _count(self, verdict: str, name: str | None, events: int = 1) -> None:
        if verdict == ACCEPTED:
            self.accepted += events
            self._names[str(name)] += events
        elif verdict == DUPLICATE:
            self.duplicates += events
        else:
            self.dropped[verdict.removeprefix(DROPPED)] += events

    async def _show_events(self, request: web.Request) -> web.Response:
        """Answers `GET /_sandbox/events?event=&limit=`: the latest `limit` (100), oldest first."""
        limit = request.query.get("limit", "100")
        if not limit.isdecimal():
            raise web.HTTPBadRequest(text="limit must be a whole number")
        name = request.query.get("event") or None
        return web.json_response({"events": self._inbox.latest(name, min(int(limit), MOST_SHOWN))})

    async def _show_counts(self, _request: web.Request) -> web.Response:
        """Answers `GET /_sandbox/counts`: everything that is counted."""
        return web.json_response(
            {
                "accepted": self.accepted,
                "duplicates": self.duplicates,
                "dropped": self.dropped,
                "events": self.counts(),
                "requests": self.requests,
                "max_concurrency": self.max_concurrency,
                "complaints": self.complaints,
                "complaint_examples": self.complaint_examples,
            }
        )


def _write_key(request: web.Request, delivery: Delivery) -> object:
    """The key of the Basic header, else the body's; None when the header is no good."""
    header = request.headers.get("Authorization", "")
    if not header.lower().startswith("basic "):
        return delivery.write_key
    try:
        return aiohttp.BasicAuth.decode(header).login
    except ValueError:
        return None
