"""The events of a batch that Segment has neither accepted nor refused yet."""

import copy

from bridge.errors import TemporaryError
from bridge.flow.delivery import Delivery
from bridge.flow.sending.batch import Batch


class Unacked:
    """The rest of a batch, each event with its delivery.

    was_set_aside: they were set aside before.
    is_searched: they were searched once for those that are refused.
    """

    def __init__(self, batch: Batch) -> None:
        self.events = batch.events
        self.was_set_aside = batch.was_set_aside
        self.is_searched = False
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

    def set_aside(self) -> None:
        """Notes that all are to be saved, and tried again by themselves."""
        for event, owner in zip(self.events, self._owners(), strict=True):
            owner.set_aside(event)

    def give_up(self, error: TemporaryError) -> None:
        """Tells all deliveries that they are not sent in this run; may raise the error."""
        for owner, _ in self._parts:
            owner.give_up(error)

    def halves(self) -> "tuple[Unacked, Unacked]":
        """The first half of them, and the others."""
        middle, owners = len(self.events) // 2, self._owners()
        first, second = copy.copy(self), copy.copy(self)
        first.events, second.events = self.events[:middle], self.events[middle:]
        first._parts = [(owner, 1) for owner in owners[:middle]]
        second._parts = [(owner, 1) for owner in owners[middle:]]
        return first, second

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
