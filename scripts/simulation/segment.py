"""Segment over HTTP: takes every batch, and notes how long it took until it was told."""

import gzip
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from bridge.listrak import times
from simulation.audience import Audience
from simulation.bridge import KIND_OF
from simulation.listrak import number_of
from simulation.population import NEVER, Send
from simulation.strategies import Result


class _Event(msgspec.Struct, rename="camel"):
    type: str
    anonymous_id: str = ""
    event: str = ""
    timestamp: str = ""
    properties: dict[str, Any] = {}


class _Batch(msgspec.Struct):
    batch: list[_Event]


class SimulatedSegment:
    """A source of events.

    app: the application to be served.
    seen: number of events by message and kind.
    left: numbers of contacts whose unsubscribe was told.
    """

    def __init__(
        self,
        sends: Sequence[Send],
        audience: Audience,
        now: Callable[[], float],
        result: Result,
    ) -> None:
        self.seen: dict[tuple[int, str], int] = {}
        self.left: list[int] = []
        self._sends = {send.number: send for send in sends}
        self._audience = audience
        self._now = now
        self._result = result
        self._decoder = msgspec.json.Decoder(_Batch)
        self._orders: dict[tuple[int, int], int] = {}
        self.app = web.Application(client_max_size=16 * 1024 * 1024)
        self.app.router.add_post("/v1/batch", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        for event in self._decoder.decode(gzip.decompress(body)).batch:
            if event.type == "track":
                self._note(event)
            else:
                self._result.identifies += 1
        return web.json_response({"success": True})

    def _note(self, event: _Event) -> None:
        number = number_of(event.anonymous_id)
        if event.event == "Unsubscribed":
            self._note_departure(number)
            return
        kind = KIND_OF[event.event]
        send = self._sends[int(event.properties["email_id"])]
        sent = float(send.sent[number])
        key = (send.number, kind)
        if kind == "ordered":
            self._note_orders(send, number, sent, round(event.properties["order_total"] * 100))
            return
        if kind == "clicked":
            happened = times.seconds(event.timestamp)
        else:
            happened = float(getattr(send, kind)[number])
        self.seen[key] = self.seen.get(key, 0) + 1
        self._result.freshness.add(kind, happened, sent, self._now())

    def _note_departure(self, number: int) -> None:
        happened, sent = float(self._audience.left[number]), float(self._audience.sent[number])
        if happened == NEVER:
            raise AssertionError(f"contact {number} never left")
        self.left.append(number)
        self._result.freshness.add("unsubscribed", happened, sent, self._now())

    def _note_orders(self, send: Send, number: int, sent: float, cents: int) -> None:
        """One event may tell of two orders."""
        for place, moments in enumerate((send.ordered, send.ordered_again)):
            amount = int(send.cents[number, place])
            told = self._orders.get((send.number, number), 0)
            if amount and cents >= amount and told == place:
                cents -= amount
                self._orders[send.number, number] = told + 1
                key = (send.number, "ordered")
                self.seen[key] = self.seen.get(key, 0) + 1
                happened = float(moments[number])
                self._result.freshness.add("ordered", happened, sent, self._now())
        if cents:
            raise AssertionError(f"an order of {send.number} to {number} is off by {cents} cents")
