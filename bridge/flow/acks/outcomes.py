"""Outcomes of the events of a page, for the state file and for the metrics.

Whatever is counted of events, by list or by name, is counted here, once it is in the state file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.metrics import Metrics
from bridge.output.logs import log
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
    """

    list_id: int
    numbers: dict[str, int]
    in_flight: int = 0
    names: Counter[str] = field(default_factory=Counter)
    dead: list[DeadLetter] = field(default_factory=list)
    aside: int = 0

    def refuse(self, letters: Sequence[DeadLetter]) -> None:
        """Notes that events counted as delivered can't be sent."""
        self.dead += letters
        self.numbers["delivered"] -= len(letters)
        self.numbers["dead_lettered"] += len(letters)
        self.names.subtract(letter.event for letter in letters)

    def set_aside(self, names: Sequence[str]) -> None:
        """Notes that events counted as delivered, of these names, are still in flight."""
        self.numbers["delivered"] -= len(names)
        self.in_flight += len(names)
        self.aside += len(names)
        self.names.subtract(names)

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
