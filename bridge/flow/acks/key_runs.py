"""New keys of a page, as sorted runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.flow.mapping.mapped_page import EventSet
from bridge.flow.message_poll import MessagePoll
from bridge.segment.events import Fingerprint
from bridge.state.keys import Keys, heads, sorted_keys
from bridge.state.seen_events import EARLY, SENT, UNWANTED
from bridge.state.store import Store


@dataclass(frozen=True)
class KeyRuns:
    """Sorted runs by bucket.

    seen: keys of events that are sent.
    withheld: keys of events from before the start horizon.
    unwanted: keys of events that are not in BRIDGE_EVENTS.
    """

    seen: dict[int, Keys]
    withheld: dict[int, Keys]
    unwanted: dict[int, Keys]

    @classmethod
    def of(cls, events: EventSet) -> "KeyRuns":
        """The runs of the keys of some events."""
        return cls(_runs(events.keys), _runs(events.withheld), _runs(events.unwanted))

    def __bool__(self) -> bool:
        return bool(self.seen or self.withheld or self.unwanted)

    def add_to(self, poll: MessagePoll) -> None:
        """Makes the later pages of the poll know them."""
        for runs in (self.seen, self.withheld, self.unwanted):
            for run in runs.values():
                poll.seen.add(run)
        poll.changed = poll.changed or bool(self)

    async def save(self, message: int, store: Store) -> None:
        """Writes them into the transaction."""
        for runs, withheld in (
            (self.seen, SENT),
            (self.withheld, EARLY),
            (self.unwanted, UNWANTED),
        ):
            for bucket, run in runs.items():
                await store.seen_events.add_run(message, bucket, run, withheld=withheld)

    async def release(self, message: int, store: Store) -> None:
        """Notes in the transaction that they were unwanted, and are sent now."""
        for bucket, run in self.seen.items():
            await store.seen_events.release(message, bucket, run)


def _runs(fingerprints: Mapping[int, list[Fingerprint]]) -> dict[int, Keys]:
    return {bucket: sorted_keys(heads(those)) for bucket, those in fingerprints.items()}
