"""Bugs that a careless change could bring, planted to see that histories find them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from bridge.flow.acks.checkpoint import JournalCheckpoint, PageCheckpoint
from bridge.flow.acks.journal import Journal
from bridge.flow.mapper import Mapper
from bridge.flow.mapping import totals
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.message_poll import MessagePoll
from bridge.flow.ordered_acks import OrderedAcks
from bridge.flow.readers.outbox import OutboxReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.sending.sender import Sender
from bridge.segment import wire
from bridge.service import Service
from bridge.state.seen_events import SeenEvents
from histories.edits import Edit, edited


class Bug(NamedTuple):
    """A bug.

    name: a few words.
    what: what the careless change does, as a sentence.
    edits: how.
    """

    name: str
    what: str
    edits: tuple[Edit, ...]


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Has the service run with a bug meanwhile. Raises StaleError where it can't be planted."""
    with edited(bug.edits):
        yield


_OF_ACKS: Final = (
    Bug(
        "ack before the answer",
        "Events count as accepted when they are posted, so that their checkpoint is saved before"
        " Segment has them.",
        (
            Edit(
                Sender._deliver,
                "await self._send(Unacked(batch))",
                """
                unacked = Unacked(batch)
                unacked.accept_all()
                unacked._parts = [(Delivery([], {}, None), count) for _, count in batch.parts]
                await self._send(unacked)
                """,
            ),
        ),
    ),
    Bug(
        "any answer is a yes",
        "Whatever is answered with 200 counts as accepted, a portal's page as well.",
        (
            Edit(
                wire.verdict,
                "return Verdict.ACCEPTED if _says_accepted(answer.body) else Verdict.FOREIGN",
                "return Verdict.ACCEPTED",
            ),
        ),
    ),
    Bug(
        "lost flush",
        "At a stop the batch that isn't full yet is let go, as if it had been sent.",
        (
            Edit(
                Sender._run,
                "except anyio.EndOfStream:",
                """
                except anyio.EndOfStream:
                    Unacked(self._batcher.take()).accept_all()
                """,
            ),
        ),
    ),
    Bug(
        "half of a retry",
        "After a failure only the events behind the first one are posted again, and all count.",
        (
            Edit(
                Sender._attempt,
                "verdict, answer = await self._post(unacked.events)",
                """
                some, unacked.is_searched = unacked.events[unacked.is_searched :], True
                verdict, answer = await self._post(some or unacked.events)
                """,
            ),
        ),
    ),
    Bug(
        "another body at a retry",
        "What is posted again after a failure has the time of that post: a repeat differs.",
        (
            Edit(
                Sender._attempt,
                "verdict, answer = await self._post(unacked.events)",
                """
                import json
                from bridge.listrak.times import from_seconds

                if getattr(unacked, "was_tried", False):
                    now = from_seconds(clock.wall_time())
                    told = [json.loads(event) | {"timestamp": now} for event in unacked.events]
                    unacked.events = [json.dumps(event).encode() for event in told]
                unacked.was_tried = True
                verdict, answer = await self._post(unacked.events)
                """,
            ),
        ),
    ),
)

_OF_THE_STATE: Final = (
    Bug(
        "sent before it is journaled",
        "Events that can't be made again are sent while their journal only waits to be written.",
        (
            Edit(
                Journal.write,
                "await self._ledger.commit(work, publish)",
                "self._ledger.enqueue(work, publish)",
            ),
        ),
    ),
    Bug(
        "outbox emptied early",
        "What was journaled leaves the outbox when it is read after a start, not when Segment has"
        " it.",
        (
            Edit(
                OutboxReader._send,
                "in_flight.add()",
                """
                in_flight.add()
                await self._ledger.commit(lambda store: store.outbox.remove(page))
                """,
            ),
        ),
    ),
    Bug(
        "journaled too late",
        "Events that can't be made again are saved with their page's checkpoint, after they are"
        " sent: a crash between has them made anew.",
        (
            Edit(
                Mapper._poll_page,
                """
                outbox_id = await self._journal.write(
                    poll.message.list_id, mapped.journaled, effects.save
                )
                """,
                "pass",
            ),
            Edit(
                Mapper._poll_page,
                "checkpoint = checkpoint_of(page, mapped, runs, outbox_id)",
                """
                checkpoint = checkpoint_of(page, mapped, runs, outbox_id)
                late = JournalCheckpoint(poll.message.id, journaled_runs, mapped)
                early = checkpoint.save

                async def save(store):
                    await early(store)
                    await late.save(store)

                checkpoint.save = save
                numbers = checkpoint.outcomes.numbers
                numbers["fetched"] += len(mapped.journaled.events)
                """,
            ),
        ),
    ),
    Bug(
        "order totals forgotten",
        "What an order's total was isn't saved, so it is told again as if it had risen.",
        (
            Edit(
                JournalCheckpoint.save,
                "await store.seen_events.set_totals(self._message, self._totals)",
                "pass",
            ),
        ),
    ),
    Bug(
        "keys lost at merging",
        "Of runs of keys that are merged, only the latest is kept.",
        (
            Edit(
                SeenEvents.compact,
                "merged = keys.merged(keys.from_bytes(blob) for (blob,) in blobs)",
                "merged = keys.from_bytes(blobs[-1][0])",
            ),
        ),
    ),
    Bug(
        "keys not saved",
        "Keys of events are saved with a journal only, not with a page's checkpoint: all is sent"
        " again at each reading.",
        (Edit(PageCheckpoint.save, "await self.runs.save(message.id, store)", "pass"),),
    ),
    Bug(
        "revision not saved",
        "A contact is remembered before it gets its revision: changing back, it has an id twice.",
        (
            Edit(
                ContactRules._identify,
                """
                after = replace(after, revision=page.poll.revision_after(after.revision))
                changes.contacts[key] = after
                """,
                """
                changes.contacts[key] = after
                after = replace(after, revision=page.poll.revision_after(after.revision))
                """,
            ),
        ),
    ),
)

_OF_READING: Final = (
    Bug(
        "an empty page is the last",
        "A page without rows ends the reading, though others follow.",
        (
            Edit(
                RowReader._read_activity,
                "more = trail.after(page)",
                "more = trail.after(page) if page.rows else None",
            ),
        ),
    ),
    Bug(
        "floor too high",
        "Rows count as no longer tracked once their week is over.",
        (
            Edit(
                MessagePoll.floor_from_now_on,
                "return max(self.window.floor, floor_of(self.message, snapshot.oldest_kept))",
                "return max(self.window.floor, floor_of(self.message, snapshot.now))",
            ),
        ),
    ),
    Bug(
        "forgotten too early",
        "What was seen of a week is forgotten once it is over, though its rows are still read.",
        (
            Edit(
                MessagePoll.forgotten_below,
                "return min(self.floor_from_now_on, kept)",
                "return max(kept, floor_of(self.message, self.started_at))",
            ),
        ),
    ),
    Bug(
        "orders by their total",
        "Each rise of an order's total is told with the whole total.",
        (
            Edit(
                totals.map_order,
                "rise = round(total - before.order_total, 6)",
                "rise = total if total > before.order_total else 0.0",
            ),
        ),
    ),
    Bug(
        "horizon moved at a restart",
        "The start horizon is the time of the latest start, not of the first.",
        (
            Edit(
                Service._scope,
                "sources = await self._with_horizons(ledger, lists.found)",
                """
                horizon = times.from_seconds(at)
                sources = [replace(source, horizon=horizon) for source in lists.found]
                """,
            ),
        ),
    ),
)

BUGS: Final = {bug.name: bug for bug in (*_OF_ACKS, *_OF_THE_STATE, *_OF_READING)}
"""Those that histories have to find, by name."""

UNFOUND: Final = {
    bug.name: bug
    for bug in (
        Bug(
            "ack out of order",
            "A page's checkpoint is saved as soon as it is acknowledged, though an earlier one"
            " isn't.",
            (
                Edit(
                    OrderedAcks.ack,
                    """
                    while self._released in self._acked:
                        due.append(self._acked.pop(self._released))
                        self._released += 1
                    """,
                    """
                    due.append(self._acked.pop(number))
                    self._released += 1
                    """,
                ),
            ),
        ),
    )
}
"""Those that none of some hundred seeds has found: what is passed over is read again in full at the
end of each history. `mutations` searches for them only by name."""
