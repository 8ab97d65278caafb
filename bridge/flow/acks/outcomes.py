"""Outcomes of the events of a page, for the state file and for the metrics.

Whatever is counted of events, by list or by name, is counted here, once it is in the state file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.delays import Delays, Measured, Moments, without
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.segment import events
from bridge.segment.events import Envelope
from bridge.state.records import DeadLetter


@dataclass(eq=False)
class Outcomes:
    """The outcomes of some events of one list.

    list_id: 0 for events that an older version journaled.
    numbers: by outcome (fetched, known, filtered, delivered, dead_lettered).
    in_flight: change of the number in flight.
    names: numbers delivered, by name.
    dead: those that can't be sent.
    aside: change of the number set aside.
    happened: by name, when those happened that have a date of their own; until they are delivered.
    delays: by name, how long these took.
    """

    list_id: int
    numbers: dict[str, int]
    in_flight: int = 0
    names: Counter[str] = field(default_factory=Counter)
    dead: list[DeadLetter] = field(default_factory=list)
    aside: int = 0
    happened: dict[str, Moments] = field(default_factory=dict)
    delays: dict[str, Mapping[str, Measured]] = field(default_factory=dict)

    def refuse(self, letters: Sequence[DeadLetter]) -> None:
        """Notes that events counted as delivered can't be sent."""
        self.dead += letters
        self.numbers["delivered"] -= len(letters)
        self.numbers["dead_lettered"] += len(letters)
        self.names.subtract(letter.event for letter in letters)
        self._leave_out(events.envelope(letter.body) for letter in letters)

    def set_aside(self, aside: Sequence[bytes]) -> None:
        """Notes that some encoded events, counted as delivered, are still in flight."""
        envelopes = list(map(events.envelope, aside))
        self.numbers["delivered"] -= len(envelopes)
        self.in_flight += len(envelopes)
        self.aside += len(envelopes)
        self.names.subtract(envelope.name for envelope in envelopes)
        self._leave_out(envelopes)

    def deliver(self, delays: Delays) -> None:
        """Notes that all of its events are accepted now, but for those that were left out."""
        self.delays = {name: delays.measured(times) for name, times in self.happened.items()}
        # Many wait for their turn: the times are as many as the events.
        self.happened = {}

    def _leave_out(self, envelopes: Iterable[Envelope]) -> None:
        """Leaves out when some events happened, as they aren't delivered."""
        for name, timestamp in ((one.name, one.timestamp) for one in envelopes):
            if name in self.happened and timestamp:
                self.happened[name] = without(self.happened[name], timestamp)

    def publish(self, metrics: Metrics) -> None:
        """Adds them to the metrics, once they are in the state file."""
        for outcome, number in self.numbers.items():
            metrics.events.labels(outcome).inc(number)
        metrics.in_flight.inc(self.in_flight)
        metrics.events_set_aside.inc(self.aside)
        metrics.dead_letters.inc(self.numbers.get("dead_lettered", 0))
        for letter in self.dead:
            log.error("event.dead", event_name=letter.event, reason=letter.reason)
        for name, number in self.names.items():
            metrics.delivered.labels(name).inc(number)
        for name, measured in self.delays.items():
            metrics.delays.add(self.list_id, name, measured)
