"""The events of a batch that Segment has neither accepted nor refused yet."""

from bridge.flow.delivery import Delivery
from bridge.flow.sending.batch import Batch


class Unacked:
    """The rest of a batch, each event with its delivery."""

    def __init__(self, batch: Batch) -> None:
        self.events = batch.events
        self._parts = batch.parts

    def accept_all(self) -> None:
        """Notes that all were accepted."""
        for owner, count in self._parts:
            owner.accept(count)

    def accept(self, start: int, stop: int) -> None:
        """Notes that those from `start` up to `stop` were accepted."""
        for owner in self._owners()[start:stop]:
            owner.accept(1)

    def refuse(self, number: int, reason: str) -> None:
        """Notes that one was refused for good."""
        self._owners()[number].refuse(self.events[number], reason)

    def drop(self, ranges: list[tuple[int, int]]) -> None:
        """Leaves out those that were accepted or refused, as (start, stop)."""
        done = {number for one in ranges for number in range(*one)}
        left = [number for number in range(len(self.events)) if number not in done]
        owners = self._owners()
        self.events = [self.events[number] for number in left]
        self._parts = [(owners[number], 1) for number in left]

    def _owners(self) -> list[Delivery]:
        """The delivery of each event."""
        return [owner for owner, count in self._parts for _ in range(count)]
