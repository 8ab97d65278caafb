"""Deliveries: events that go from the mapper to the sender, with their acknowledgement."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Refusal(NamedTuple):
    """An encoded event that Segment refuses, with the reason."""

    event: bytes
    reason: str


class Ack(Protocol):
    """The acknowledgement of a delivery.

    `done` is called exactly once, when Segment has accepted or refused the last event of the
    delivery: by the sender, or by the mapper where the delivery holds no events. It only notes
    what is to be saved: it doesn't wait, and raises nothing.
    """

    def done(self, refused: list[Refusal]) -> None: ...


@dataclass(eq=False)
class Delivery:
    """The events of one page, in order.

    events: encoded; emptied as they go into batches.
    names: number of each name.
    ack: told once all of them are accepted or refused; None for a flush.
    refused: those refused so far.
    unacked: number of those neither accepted nor refused.
    """

    events: list[bytes]
    names: Counter[str]
    ack: Ack | None
    refused: list[Refusal] = field(default_factory=list)
    unacked: int = field(init=False)

    def __post_init__(self) -> None:
        self.unacked = len(self.events)

    @property
    def is_flush(self) -> bool:
        """Tells whether it only has the events before it sent without waiting for a full batch."""
        return self.ack is None

    def accept(self, count: int) -> None:
        """Notes that so many of its events were accepted."""
        self.unacked -= count
        if self.unacked == 0 and self.ack is not None:
            self.ack.done(self.refused)

    def refuse(self, event: bytes, reason: str) -> None:
        """Notes that one of its events was refused for good."""
        self.refused.append(Refusal(event, reason))
        self.accept(1)


def flush() -> Delivery:
    """A delivery without events that has those before it sent at once."""
    return Delivery([], Counter(), None)
