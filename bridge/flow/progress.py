"""What a page leaves to be saved: small, as many may wait for their turn to be committed."""

import time
from collections import Counter
from dataclasses import dataclass

from bridge.flow.look import Look
from bridge.flow.page import Mapped
from bridge.state.keys import Keys
from bridge.state.records import DeadLetter, EventCount, Past, Position
from bridge.state.store import Store


@dataclass(eq=False)
class Progress:
    """The progress of one page of a look, saved once every event of it is accepted or dead.

    `counts` are what became of its events; `planned` of them were counted as fetched before.
    `tally` is what it adds to the numbers of its message.
    """

    look: Look
    position: Position
    runs: dict[int, Keys]
    withheld: dict[int, Keys]
    causes: list[str]
    old_causes: list[str]
    outbox_id: int | None
    planned: int
    counts: dict[str, int]
    tally: dict[str, EventCount]
    names: Counter[str]
    dead: list[DeadLetter]

    def bury(self, letters: list[DeadLetter]) -> None:
        """Some of its events could not be sent."""
        self.dead += letters
        self.counts["delivered"] -= len(letters)
        self.counts["dead_lettered"] += len(letters)
        self.names.subtract(letter.event for letter in letters)
        for letter in letters:
            count = self.tally.setdefault(letter.event, EventCount())
            count.dead += 1

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        if self.dead:
            await store.dead_letters.bury(self.dead, time.time())
        await store.count(self.counts)
        if self.look.past is not None:
            await self._save_past(store, self.look.past)
            return
        message = self.look.message
        for bucket, run in self.runs.items():
            await store.looks.add_run(message.id, bucket, run)
        for bucket, run in self.withheld.items():
            await store.looks.add_run(message.id, bucket, run, withheld=True)
        for emails, old in ((self.causes, False), (self.old_causes, True)):
            if emails:
                await store.unsubscribes.add_causes(message.list_id, message.id, emails, old=old)
        await store.looks.move(message.id, self.position)
        await store.event_counts.add(message.id, self.tally)
        if self.outbox_id is not None:
            await store.outbox.remove(self.outbox_id)

    async def _save_past(self, store: Store, past: Past) -> None:
        await store.backfills.move(past, self.position, self.counts["delivered"])
        if past.part == "withheld":
            # Of what was seen and not sent before, this is sent now.
            sent = {
                event: EventCount(unsent=count.unsent - count.seen, dead=count.dead)
                for event, count in self.tally.items()
            }
            await store.event_counts.add(past.tracked, sent)


def progress_of(
    look: Look,
    position: Position,
    mapped: Mapped,
    runs: dict[int, Keys],
    withheld: dict[int, Keys],
    outbox_id: int | None,
) -> Progress:
    """What a mapped page leaves to be saved, as if all its events were accepted."""
    derived, planned = mapped.derived, mapped.planned
    return Progress(
        look=look,
        position=position,
        runs=runs,
        withheld=withheld,
        causes=mapped.causes,
        old_causes=mapped.old_causes,
        outbox_id=outbox_id,
        planned=len(planned.events),
        counts={
            "fetched": len(derived.events) + len(derived.dead) + mapped.known + mapped.filtered,
            "known": mapped.known,
            "filtered": mapped.filtered,
            "delivered": len(derived.events) + len(planned.events),
            "dead_lettered": len(derived.dead),
        },
        tally=derived.tally(),
        names=mapped.names,
        dead=derived.dead,
    )
