"""A synthetic message: emails and what becomes of them, drawn from an account's figures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.clock import DAY
from bridge.event_types import CLICKED, CONVERTED, EVENT_TYPES, SENT, UNCOUNTED
from bridge.flow.figures import Counts
from bridge.flow.forecast.figures import Behaviour
from bridge.flow.forecast.spread import Times
from bridge.state.records import Kind

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Happened:
    """The events of one kind, by time.

    at: seconds since the message's beginning; below 0 before it.
    sent: likewise, of the email that each is about.
    begun: likewise, of the first activity of that email's row, which its date is of.
    """

    at: Times
    sent: Times
    begun: Times

    def until(self, seconds: float) -> int:
        """The number of events by then."""
        return int(np.searchsorted(self.at, seconds, "right"))


class SyntheticMessage:
    """A message of which everything is known beforehand.

    totals: number of events by name: of a broadcast all, of others those of a day.
    days: how long a message of another kind has been sending before, and goes on.
    """

    def __init__(
        self,
        kind: Kind,
        totals: Mapping[str, float],
        behaviour: Behaviour,
        rng: np.random.Generator,
        days: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.kind = kind
        self._order = behaviour.order
        self._days = days
        self.events = {
            one.name: self._draw(one.name, totals.get(one.name, 0.0), behaviour, rng)
            for one in EVENT_TYPES
        }
        self._link_number = len(behaviour.links)
        shares = np.asarray(behaviour.links, dtype=np.float64)
        clicks = len(self.events[CLICKED].at)
        # The link of each click, by the clicks' order.
        self._links: Places = rng.choice(len(shares), clicks, p=shares / shares.sum())

    @property
    def links(self) -> int:
        """The number of its links."""
        return self._link_number

    def active_seconds(self, begin: float, end: float) -> float:
        """The seconds between two times in which something happened within the day before."""
        at = np.sort(np.concatenate([happened.at for happened in self.events.values()]))
        lasts = np.minimum(np.diff(at, append=np.inf), DAY)
        since = np.clip(at, begin, end)
        until = np.clip(at + lasts, begin, end)
        return float(np.sum(until - since))

    def counted(self, now: float) -> Counts:
        """The counters of Listrak by then; none of a transactional message."""
        if self.kind == "transactional":
            return {}
        return {
            name: self.amount(name, happened.until(now))
            for name, happened in self.events.items()
            if name not in UNCOUNTED
        }

    def amount(self, event: str, number: int) -> float:
        """A number of events as they are counted: of orders the revenue."""
        return number * self._order if event == CONVERTED else float(number)

    def clicks_of_links(self, now: float) -> dict[int, int]:
        """The number of clicks of each link by then."""
        before = self._links[: self.events[CLICKED].until(now)]
        counts = np.bincount(before) if len(before) else ()
        return dict(enumerate(map(int, counts)))

    def clicks_since(self, since: float, now: float) -> dict[int, int]:
        """The number of clicks of each link from a time on, of links that have any."""
        clicks = self.events[CLICKED]
        begin = int(np.searchsorted(clicks.at, since, "left"))
        between = self._links[begin : clicks.until(now)]
        links, counts = np.unique(between, return_counts=True)
        return dict(zip(links.tolist(), counts.tolist(), strict=True))

    def rows(self, now: float, since: float) -> int:
        """The number of emails sent from a time on."""
        sent = self.events[SENT]
        return max(0, sent.until(now) - int(np.searchsorted(sent.at, since, "left")))

    def active_rows(self, now: float, since: float) -> int:
        """The number of emails whose first activity came at a time or later."""
        number = 0
        for name, happened in self.events.items():
            if name != SENT:
                begin = int(np.searchsorted(happened.at, since, "left"))
                those = slice(begin, happened.until(now))
                # Each row counts for what its date is of.
                number += int(np.count_nonzero(happened.begun[those] == happened.at[those]))
        return number

    def rows_showing(self, activity_type: str, now: float, since: float) -> int:
        """The number of emails sent from a time on that show an activity."""
        happened = next(
            self.events[one.name] for one in EVENT_TYPES if one.activity_type == activity_type
        )
        return int(np.count_nonzero(happened.sent[: happened.until(now)] >= since))

    def _draw(
        self, event: str, total: float, behaviour: Behaviour, rng: np.random.Generator
    ) -> Happened:
        """Events of one kind, drawn by their spread."""
        before, after = self._days
        goes_on = self.kind != "broadcast"
        number = total * (before + after) if goes_on else total
        size = int(number + rng.random())
        sent: Times = np.zeros(size)
        if goes_on:
            sent = rng.uniform(-before, after, size) * DAY
        at = sent
        if event != SENT or not goes_on:
            at = sent + behaviour.spread(event).draw(rng, size)
        begun = at.copy()
        others = rng.random(size) >= behaviour.dated.get(event, 0.0)
        # Something else came first on those, at some time since the send.
        begun[others] = sent[others] + (at - sent)[others] * rng.random(int(others.sum()))
        order = np.argsort(at)
        at = at[order]
        return Happened(at, at if event == SENT else sent[order], begun[order])
