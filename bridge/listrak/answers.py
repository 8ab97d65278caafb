"""The latest answers of Listrak: by them a call tells its own trouble from everybody's."""

import math
from collections import Counter
from typing import Final

from bridge import clock

PATIENCE: Final = 4.0
"""Seconds that a call is retried while others are answered: then it is given up, as it holds a
place that they could have."""

MOST_GIVEN_UP: Final = 3
"""Calls of a resource that are given up in a row, until the next ones are no longer retried."""

PROBE_INTERVAL: Final = 10.0
"""Seconds between two requests that only find out whether Listrak answers."""


class Answers:
    """The answers of Listrak to all calls of a client and its copies."""

    def __init__(self) -> None:
        self.latest = -math.inf
        self._given_up: Counter[str] = Counter()
        self._probed_at = -math.inf

    def note(self, resource: str) -> None:
        """Notes an answer."""
        self.latest = clock.monotonic()
        self._given_up.pop(resource, None)

    def give_up(self, resource: str) -> None:
        """Notes a call that was given up while others were answered."""
        self._given_up[resource] += 1

    def may_probe(self) -> bool:
        """Tells whether it may be found out now if Listrak answers, and notes that it is."""
        now = clock.monotonic()
        if now - self._probed_at < PROBE_INTERVAL:
            return False
        self._probed_at = now
        return True

    def trouble(self, resource: str) -> "Trouble":
        """The failures of a new call of a resource."""
        return Trouble(self, hurried=self._given_up[resource] >= MOST_GIVEN_UP)


class Trouble:
    """The failures of one call.

    hurried: it isn't retried while others are answered.
    isolated: others are answered, so that it is to be given up.
    """

    def __init__(self, answers: Answers, *, hurried: bool) -> None:
        self._answers = answers
        self._hurried = hurried
        self._began = -math.inf
        self.isolated = False

    def is_time_to_ask(self) -> bool:
        """Tells, at a failure, whether it has been retried for long enough."""
        now = clock.monotonic()
        if self._began == -math.inf:
            self._began = now
        return self._hurried or now - self._began >= PATIENCE

    def is_own(self) -> bool:
        """Tells whether others were answered meanwhile."""
        lately = clock.monotonic() - PATIENCE if self._hurried else self._began
        return self._answers.latest > lately
