"""Segment over HTTP: takes every batch, and notes how long it took until it was told."""

import gzip
import hashlib
from collections.abc import Callable

import msgspec
from virtual.server import Answer, Request

from simulation.census import Census
from simulation.listrak import LIST
from simulation.people import People
from simulation.result import Result
from simulation.rows import number_of
from simulation.tally import Event, Tally

TRAIT = f"listrak_list_{LIST}"


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]


class Segment:
    """A source of events.

    now: tells the time, in seconds since 1970.
    result: takes what arrives, and what is missing.
    digest: of all events so far, each with the time at which it came.
    """

    def __init__(self, people: People, now: Callable[[], float], result: Result) -> None:
        self.digest = hashlib.blake2b()
        self._tally = Tally(people.sends, now, result)
        self._census = Census(people, now, result)
        self._now = now
        self._batches = msgspec.json.Decoder(_Batch)
        self._events = msgspec.json.Decoder(Event)

    def answer(self, request: Request) -> Answer:
        """Takes a batch."""
        now = f"{self._now():.6f} ".encode()
        for raw in self._batches.decode(gzip.decompress(request.body)).batch:
            self.digest.update(now + bytes(raw))
            self._take(self._events.decode(raw))
        return Answer(b'{"success":true}')

    def close(self, end: float) -> None:
        """Has what is missing at the end noted."""
        self._tally.close(end)
        self._census.close(end)

    def _take(self, event: Event) -> None:
        number = number_of(event.anonymous_id)
        if event.type != "track":
            self._census.note_state(number, subscribed=event.traits.get(TRAIT) is True)
        elif event.event == "Unsubscribed":
            self._census.note_departure(number, event.timestamp)
        else:
            self._tally.note(event)
