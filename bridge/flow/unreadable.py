"""Rows that can't be read, kept as dead letters: each once, however often it is seen."""

from collections.abc import Sequence
from typing import Final

from bridge import clock
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.ledger import Ledger
from bridge.flow.mapping.unread import letters_of_listing
from bridge.listrak.calls import log_unread
from bridge.listrak.pages import UnreadRow
from bridge.metrics import Metrics
from bridge.state.records import DeadLetter
from bridge.state.store import Store

MOST_TOLD: Final = 1000
"""Answers of which it is remembered that they were logged."""


class Unreadable:
    """Keeps what can't be read. What it queues is saved before all that is queued later."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._told: set[tuple[str, str, str]] = set()

    def note(self, list_id: int, letters: Sequence[DeadLetter]) -> None:
        """Keeps the rows of a list that are not kept yet; the others count as known."""
        if not letters:
            return
        new: list[DeadLetter] = []

        def numbers() -> dict[str, int]:
            known = len(letters) - len(new)
            return {"fetched": len(letters), "known": known, "dead_lettered": len(new)}

        async def work(store: Store) -> None:
            nonlocal new
            new = await store.dead_letters.add_new(letters, clock.wall_time())
            await store.counters.add(numbers())

        self._ledger.enqueue(
            work, lambda: Outcomes(list_id, numbers(), dead=new).publish(self._metrics)
        )

    def note_answer(self, resource: str, path: str, rows: Sequence[UnreadRow]) -> None:
        """Keeps the rows of a listing by which nothing can be asked for; the others are logged."""
        # `List/12/Message/...`
        _, list_id, *_ = (*path.split("/"), "")
        if letters := letters_of_listing(resource, path, rows):
            self.note(int(list_id or 0), letters)
            return
        what = (resource, path, rows[0].reason)
        if what not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(what)
            log_unread(resource, path, rows)
