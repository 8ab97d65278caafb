"""Segment over HTTP: takes every batch, and notes how long it took until it was told."""

import gzip
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from simulation.audience import Audience
from simulation.listrak import number_of
from simulation.population import NEVER, Send
from simulation.strategies import Result
from simulation.tally import Event, Tally


class _Batch(msgspec.Struct):
    batch: list[Event]


class SimulatedSegment:
    """A source of events.

    app: the application to be served.
    tally: of the events of messages.
    left: numbers of contacts whose unsubscribe was told.
    """

    def __init__(
        self,
        sends: Sequence[Send],
        audience: Audience,
        now: Callable[[], float],
        result: Result,
    ) -> None:
        self.tally = Tally(sends, now, result)
        self.left: list[int] = []
        self._audience = audience
        self._now = now
        self._result = result
        self._decoder = msgspec.json.Decoder(_Batch)
        self.app = web.Application(client_max_size=16 * 1024 * 1024)
        self.app.router.add_post("/v1/batch", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        for event in self._decoder.decode(gzip.decompress(body)).batch:
            if event.type != "track":
                self._result.identifies += 1
            elif event.event == "Unsubscribed":
                self._note_departure(number_of(event.anonymous_id))
            else:
                self.tally.note(event)
        return web.json_response({"success": True})

    def _note_departure(self, number: int) -> None:
        happened, sent = float(self._audience.left[number]), float(self._audience.sent[number])
        if happened == NEVER:
            raise AssertionError(f"contact {number} never left")
        self.left.append(number)
        self._result.freshness.add("unsubscribed", happened, sent, self._now())
