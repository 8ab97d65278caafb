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
    """The answers of Listrak to all calls of a client and its copies.

    latest: when the last one came.
    asked_last: when what was answered was asked for: the latest of these times.
    """

    def __init__(self) -> None:
        self.latest = self.asked_last = -math.inf
        self._given_up: Counter[str] = Counter()
        self._probed_at = -math.inf

    def note(self, resource: str, asked_at: float) -> None:
        """Notes an answer, and when it was asked for."""
        self.latest = clock.monotonic()
        self.asked_last = max(self.asked_last, asked_at)
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
        self._failing_since = math.inf
        self._throttled = False
        self._put_off_for = 0.0
        self.isolated = False

    def put_off(self, *, throttled: bool) -> None:
        """Notes a failure that isn't what was asked for: those before it don't count any more.

        throttled: Listrak said to wait.
        """
        now = clock.monotonic()
        self._failing_since = min(self._failing_since, now)
        self._began = -math.inf
        self._throttled = throttled
        if throttled:
            self._put_off_for = now - self._failing_since

    def deadline(self, seconds: float | None, patience: float) -> float | None:
        """Seconds, from its first failure, that the call may be retried after its latest one.

        seconds: of a call that fails, None for no end; what it was put off by 429 doesn't count.
        patience: of one that is put off.
        """
        if self.isolated or seconds is None:
            return 0.0 if self.isolated else None
        return max(seconds, patience) if self._throttled else seconds + self._put_off_for

    def is_time_to_ask(self) -> bool:
        """Tells, at a failure, whether it has been retried for long enough."""
        now = clock.monotonic()
        self._failing_since = min(self._failing_since, now)
        self._throttled = False
        if self._began == -math.inf:
            self._began = now
        return self._hurried or now - self._began >= PATIENCE

    def is_own(self) -> bool:
        """Tells whether others were answered meanwhile."""
        if self._hurried:
            return self._answers.latest > clock.monotonic() - PATIENCE
        # An answer that took long may be to what was asked before the trouble began.
        return self._answers.asked_last > self._began
