"""Acknowledgements of pages: what is done once Segment has all events of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bridge import clock
from bridge.errors import TemporaryError
from bridge.flow.acks.checkpoint import PageCheckpoint
from bridge.flow.acks.outbox_pages import save_aside
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

    def done(self, refused: list[Refusal], aside: Sequence[bytes] = ()) -> None:
        """Makes the ledger save what is now a contiguous prefix of the poll."""
        if self.checkpoint is not None:
            self.checkpoint.refuse(dead_letters_of(refused))
            self.checkpoint.set_aside(aside)
            self.checkpoint.outcomes.deliver(self.metrics.delays)
        for due in self.poll.acks.ack(self.number, self.checkpoint):
            if due is None:
                end = self.poll.end
                self.ledger.enqueue(partial(end.save, self.poll), partial(end.committed, self.poll))
            else:
                self.ledger.enqueue(due.save, partial(due.outcomes.publish, self.metrics))

    def failed(self, error: TemporaryError) -> None:
        """Raises the error: the polls end with the run, and go on from what is saved."""
        raise error


@dataclass(eq=False)
class OutboxAck:
    """The acknowledgement of a page of the outbox, which leaves it.

    outbox_id: None where nothing was journaled.
    outcomes: provided that all its events are accepted.
    aside: events of it that stay in the outbox by themselves.
    """

    outbox_id: int | None
    outcomes: Outcomes
    in_flight: InFlight
    ledger: Ledger
    metrics: Metrics
    aside: Sequence[bytes] = ()

    def done(self, refused: list[Refusal], aside: Sequence[bytes] = ()) -> None:
        """Makes the ledger remove the page from the outbox, but for what is set aside."""
        self.outcomes.refuse(dead_letters_of(refused))
        self.outcomes.set_aside(aside)
        self.outcomes.deliver(self.metrics.delays)
        self.aside = aside
        self.ledger.enqueue(self._save, self._committed)

    def failed(self, error: TemporaryError) -> None:
        """Tells who waits for the page, which stays in the outbox."""
        self.in_flight.fail(error)

    async def _save(self, store: Store) -> None:
        if self.outbox_id is not None:
            await store.outbox.remove(self.outbox_id)
        await save_aside(self.outcomes.list_id, self.aside, store)
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
