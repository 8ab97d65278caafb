"""Acknowledgements of pages: what is done once Segment has all events of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bridge import clock
from bridge.flow.acks.checkpoint import PageCheckpoint
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.delivery import Refusal
from bridge.flow.in_flight import InFlight
from bridge.flow.ledger import Ledger
from bridge.flow.message_poll import MessagePoll
from bridge.metrics import Metrics
from bridge.segment import events
from bridge.state.records import DeadLetter
from bridge.state.store import Store


@dataclass(eq=False)
class PollPageAck:
    """The acknowledgement of a page of a message's poll.

    Its checkpoint is saved only after those of all earlier pages of the poll.

    checkpoint: None for the end of the poll, which completes it.
    """

    poll: MessagePoll
    number: int
    checkpoint: PageCheckpoint | None
    ledger: Ledger
    metrics: Metrics

    def done(self, refused: list[Refusal]) -> None:
        """Makes the ledger save what is now a contiguous prefix of the poll."""
        if self.checkpoint is not None:
            self.checkpoint.refuse(dead_letters_of(refused))
        for due in self.poll.acks.ack(self.number, self.checkpoint):
            if due is None:
                end = self.poll.end
                self.ledger.enqueue(partial(end.save, self.poll), partial(end.committed, self.poll))
            else:
                self.ledger.enqueue(due.save, partial(due.outcomes.publish, self.metrics))


@dataclass(eq=False)
class OutboxAck:
    """The acknowledgement of a page of the outbox, which leaves it.

    outbox_id: None where nothing was journaled.
    outcomes: provided that all its events are accepted.
    """

    outbox_id: int | None
    outcomes: Outcomes
    in_flight: InFlight
    ledger: Ledger
    metrics: Metrics

    def done(self, refused: list[Refusal]) -> None:
        """Makes the ledger remove the page from the outbox."""
        self.outcomes.refuse(dead_letters_of(refused))
        self.ledger.enqueue(self._save, self._committed)

    async def _save(self, store: Store) -> None:
        if self.outbox_id is not None:
            await store.outbox.remove(self.outbox_id)
        await store.dead_letters.add(self.outcomes.dead, clock.wall_time())
        await store.counters.add(self.outcomes.numbers)

    def _committed(self) -> None:
        self.outcomes.publish(self.metrics)
        self.in_flight.remove()


def dead_letters_of(refused: Sequence[Refusal]) -> list[DeadLetter]:
    """The refused events as dead letters."""
    letters: list[DeadLetter] = []
    for event, reason in refused:
        envelope = events.envelope(event)
        letters.append(DeadLetter(envelope.name, envelope.message_id, reason, event))
    return letters
