"""How a batch fills: pure decisions about events and limits."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from bridge.flow.page import Parcel
from bridge.segment import wire


@dataclass(eq=False)
class Batch:
    """Events of some parcels; `shares` says how many of each, in order."""

    events: list[bytes] = field(default_factory=list)
    shares: list[tuple[Parcel, int]] = field(default_factory=list)
    event_bytes: int = 0


class Batcher:
    """Fills batches up to a number of events and of bytes; an event is never split or reordered."""

    def __init__(self, *, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._batch = Batch()

    def __bool__(self) -> bool:
        return bool(self._batch.events)

    def add(self, parcel: Parcel) -> list[Batch]:
        """Takes a parcel's events in; returns the batches that are full."""
        full: list[Batch] = []
        # sizes[n] is that of the first n events.
        sizes = list(accumulate(map(len, parcel.events), initial=0))
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
            batch.events += parcel.events[start:stop]
            batch.shares.append((parcel, stop - start))
            batch.event_bytes += sizes[stop] - sizes[start]
            start = stop
        # The batches have them: what is accepted is let go batch by batch.
        parcel.events = []
        if len(self._batch.events) == self._most_events:
            full.append(self.take())
        return full

    def take(self) -> Batch:
        """The batch as it is; a new one begins."""
        batch, self._batch = self._batch, Batch()
        return batch
