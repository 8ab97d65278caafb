"""A cache of what is known of messages, as at most polls nothing has changed."""

from collections.abc import Mapping
from typing import Final

from bridge.flow.ledger import Ledger
from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner import evaluation
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.watermarks import Watermarks, read_watermarks
from bridge.output.logs import log
from bridge.state.records import EventCount, Message

FILTER_SUPPORT: Final = "trust"
"""The name under which the state file keeps what scans and filters the account supports."""


class MessageCache:
    """Watermarks and numbers by message, and the scans and filters that the account supports."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watermarks: dict[int, Watermarks] = {}
        self._counts: dict[int, Mapping[str, EventCount]] = {}
        self._filters: FilterSupport | None = None
        self._saved_filters = ""

    async def filters(self) -> FilterSupport:
        """The scans and filters that the account supports."""
        if self._filters is None:
            saved = await self._ledger.store.meta.get(FILTER_SUPPORT)
            # Several polls may have waited for it: all of them learn for the same one.
            self._filters = self._filters or FilterSupport(saved)
        return self._filters

    async def counts_of(self, message: Message) -> Mapping[str, EventCount]:
        """Numbers of a message by event."""
        if message.id not in self._counts:
            self._counts[message.id] = await self._ledger.store.event_counts.of(message.id)
        return self._counts[message.id]

    def watermarks_of(self, message: Message) -> Watermarks:
        """The watermarks of a message."""
        return self._watermarks.setdefault(message.id, read_watermarks(message.watermarks))

    def set_watermarks(self, message: Message, watermarks: Watermarks) -> None:
        """Replaces the watermarks of a message; they are saved at the end of its next poll."""
        self._watermarks[message.id] = watermarks

    def reconciled_at(self, message: int, event: str) -> float | None:
        """The time at which all that Listrak counted of an event was last seen, None if unknown."""
        watermarks = self._watermarks.get(message)
        return None if watermarks is None else watermarks.of(event).reconciled_at

    def forget_counts(self, message: Message) -> None:
        """Drops the numbers of a message, as pages of it were saved."""
        self._counts.pop(message.id, None)

    def forget(self, message: Message) -> None:
        """Drops what is known of a message that is no longer tracked."""
        self._watermarks.pop(message.id, None)
        self.forget_counts(message)

    def apply(self, poll: MessagePoll) -> None:
        """Takes over the result of a poll that is complete, and its feedback on the scans."""
        message, result = poll.message, poll.result
        self.forget_counts(message)
        if result is None:
            return
        self.set_watermarks(message, result.watermarks)
        filters = poll.planned.snapshot.filters
        evaluation.apply(filters, poll.planned.snapshot, result.feedback)
        for event, number in result.newly_never_shown.items():
            log.warning(
                "summary.never_shown", message=message.path, counter=event, difference=number
            )
        text = filters.text()
        if text != self._saved_filters:
            self._saved_filters = text
            self._ledger.enqueue(lambda store: store.meta.set(FILTER_SUPPORT, text))
