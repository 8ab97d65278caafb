"""The filling of batches: pure decisions about events and limits."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from bridge.flow.delivery import Delivery
from bridge.segment import wire


@dataclass(eq=False)
class Batch:
    """Events of some deliveries.

    events: encoded, in order.
    parts: each delivery with its number of these events, in order.
    event_bytes: bytes of all events together.
    was_set_aside: they were set aside before, and share no batch with others.
    """

    events: list[bytes] = field(default_factory=list)
    parts: list[tuple[Delivery, int]] = field(default_factory=list)
    event_bytes: int = 0
    was_set_aside: bool = False


class Batcher:
    """Fills batches up to a number of events and of bytes; an event is never split or reordered."""

    def __init__(self, *, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._batch = Batch()

    def __bool__(self) -> bool:
        return bool(self._batch.events)

    def add(self, delivery: Delivery) -> list[Batch]:
        """Takes in a delivery's events; returns the batches that are full."""
        full: list[Batch] = []
        # sizes[n] is that of the first n events.
        sizes = list(accumulate(map(len, delivery.events), initial=0))
        start = 0
        while start < len(sizes) - 1:
            batch = self._batch
            room = self._most_bytes - wire.size(len(batch.events), batch.event_bytes)
            # Each event with the comma before it.
            fit = bisect_right(
                range(len(sizes)), sizes[start] + start + room, key=lambda n: sizes[n] + n
            )
            stop = min(fit - 1, start + self._most_events - len(batch.events))
            if stop <= start:
                full.append(self.take())
                continue
            batch.events += delivery.events[start:stop]
            batch.parts.append((delivery, stop - start))
            batch.event_bytes += sizes[stop] - sizes[start]
            start = stop
        # The batches have the events now, and free their memory one by one.
        delivery.events = []
        if len(self._batch.events) == self._most_events:
            full.append(self.take())
        return full

    def of_its_own(self, delivery: Delivery) -> list[Batch]:
        """Batches of a delivery that shares none with others; the batch begun stays as it is."""
        own = Batcher(most_events=self._most_events, most_bytes=self._most_bytes)
        batches = own.add(delivery)
        if own:
            batches.append(own.take())
        for batch in batches:
            batch.was_set_aside = True
        return batches

    def take(self) -> Batch:
        """The batch as it is; a new one begins."""
        batch, self._batch = self._batch, Batch()
        return batch
