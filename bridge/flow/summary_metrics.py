"""Sums of Listrak's counters and of what was seen, as metrics."""

from collections.abc import Mapping

from bridge.flow.figures import figures_of
from bridge.listrak import wire
from bridge.metrics import Metrics
from bridge.state.records import EventCount, Message


class SummaryMetrics:
    """Sums for the metrics, list by list: of every tracked message, as it was last polled."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauges = (metrics.counted, metrics.seen, metrics.sent)
        # A pipeline before this one may have noted the same messages.
        for gauge in self._gauges:
            gauge.clear()
        self._noted: dict[int, dict[str, tuple[float | None, ...]]] = {}

    def note(
        self, message: Message, summary: wire.Summary, counts: Mapping[str, EventCount]
    ) -> None:
        """Notes what Listrak counts of a message now, and what of that was seen and sent."""
        now: dict[str, tuple[float | None, ...]] = {
            event: (figures.listrak, figures.seen, figures.sent)
            for event, figures in figures_of(summary, counts).items()
        }
        self._replace(message, now)

    def forget(self, message: Message) -> None:
        """Leaves out a message that is no longer tracked."""
        self._replace(message, {})

    def _replace(self, message: Message, now: dict[str, tuple[float | None, ...]]) -> None:
        before = self._noted.pop(message.id, {})
        if now:
            self._noted[message.id] = now
        nothing = (None,) * len(self._gauges)
        for event in before | now:
            changes = zip(
                self._gauges, now.get(event, nothing), before.get(event, nothing), strict=True
            )
            for gauge, new, old in changes:
                # At most polls nothing is different. What is sent of unsubscribes isn't known here,
                # and none is told.
                if new != old:
                    gauge.labels(str(message.list_id), event).inc((new or 0) - (old or 0))
