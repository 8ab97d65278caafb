"""Deliveries: events that go from the mapper to the sender, with their acknowledgement."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.errors import TemporaryError


class Refusal(NamedTuple):
    """An encoded event that Segment refuses, with the reason."""

    event: bytes
    reason: str


class Ack(Protocol):
    """The acknowledgement of a delivery.

    `done` is called exactly once, when the last event of the delivery is accepted, refused or set
    aside: by the sender, or by the mapper where the delivery holds no events. It only notes what is
    to be saved: it doesn't wait, and raises nothing.

    `failed` is called instead where some of it will not be sent in this run, once or more often. It
    tells who waits for the delivery, or raises the error where nobody could go on without it.
    """

    def done(self, refused: list[Refusal], aside: Sequence[bytes] = ()) -> None: ...

    def failed(self, error: TemporaryError) -> None: ...


@dataclass(eq=False)
class Delivery:
    """The events of one page, in order.

    events: encoded; emptied as they go into batches.
    names: number of each name.
    ack: told once all of them are accepted, refused or set aside; None for a flush.
    was_set_aside: they were set aside before, and share no batch with others.
    refused: those refused so far.
    aside: those set aside so far: saved, to be tried again by themselves.
    unacked: number of those neither accepted nor refused nor set aside.
    """

    events: list[bytes]
    names: Counter[str]
    ack: Ack | None
    was_set_aside: bool = False
    refused: list[Refusal] = field(default_factory=list)
    aside: list[bytes] = field(default_factory=list)
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
            self.ack.done(self.refused, self.aside)

    def give_up(self, error: TemporaryError) -> None:
        """Notes that some of its events will not be sent in this run; may raise the error."""
        if self.ack is not None:
            self.ack.failed(error)

    def refuse(self, event: bytes, reason: str) -> None:
        """Notes that one of its events was refused for good."""
        self.refused.append(Refusal(event, reason))
        self.accept(1)

    def set_aside(self, event: bytes) -> None:
        """Notes that one of its events is to be saved, and tried again by itself."""
        self.aside.append(event)
        self.accept(1)


def flush() -> Delivery:
    """A delivery without events that has those before it sent at once."""
    return Delivery([], Counter(), None)
