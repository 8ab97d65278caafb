"""Late views of messages: the emulated Listrak's rows and counters, some time behind the world."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

from .account import Click, Fact, Message, Row, Totals
from .switches import Switches
from .world import World


@dataclass(slots=True)
class View:
    """A message as far as it shows.

    rows: in the order they appeared.
    sent: number of sends.
    clicks: by link id.
    """

    rows: list[Row] = field(default_factory=list)
    sent: int = 0
    totals: Totals = field(default_factory=Totals)
    clicks: dict[int, list[Click]] = field(default_factory=dict)


class Replay:
    """A replay of the world's log, with a delay.

    seconds: delay of each fact.
    spread: each row has a delay of its own between 0 and `seconds`, so that facts are out of order
        between rows, and in order within one.
    """

    def __init__(self, world: World, seconds: float, *, spread: bool) -> None:
        self._world = world
        self._seconds = seconds
        self._spread = spread
        self._read = 0
        self._waiting: list[tuple[float, int]] = []
        self._views: dict[int, View] = {}
        self._shown: dict[int, Row] = {}

    def view(self, message: Message) -> View:
        """The message as it shows now."""
        self._advance()
        return self._views.setdefault(id(message), View())

    def _advance(self) -> None:
        log = self._world.log
        while self._read < len(log):
            fact = log[self._read]
            if fact.row is not None:
                due = fact.at + timedelta(seconds=self._delay(fact))
                heapq.heappush(self._waiting, (due.timestamp(), self._read))
            self._read += 1
        now = self._world.now.timestamp()
        while self._waiting and self._waiting[0][0] <= now:
            self._apply(log[heapq.heappop(self._waiting)[1]])

    def _delay(self, fact: Fact) -> float:
        if not self._spread:
            return self._seconds
        assert fact.message is not None
        assert fact.row is not None
        seed = f"{fact.message.message_id}:{fact.row.position}"
        return random.Random(seed).uniform(0, self._seconds)

    def _apply(self, fact: Fact) -> None:
        assert fact.message is not None
        assert fact.row is not None
        view = self._views.setdefault(id(fact.message), View())
        totals = view.totals
        if fact.what == "send":
            fresh = Row(fact.row.position, fact.row.email, fact.row.sent_at)
            self._shown[id(fact.row)] = replace(fresh, external_id=fact.row.external_id)
            view.rows.append(self._shown[id(fact.row)])
            view.sent += 1
            return
        row = self._shown[id(fact.row)]
        row.latest_activity = fact.at
        if fact.what not in ("abuse", "order"):
            row.first_activity = row.first_activity or fact.at
            row.ip, row.user_agent = fact.row.ip, fact.row.user_agent
        match fact.what:
            case "open":
                row.opened, row.read = True, fact.row.read
                totals.opened += 1
                totals.read += row.read
            case "click":
                row.clicks += 1
                totals.clicks += 1
                if fact.link is not None and fact.click is not None:
                    view.clicks.setdefault(fact.link.link_id, []).append(fact.click)
            case "bounce":
                row.bounced, row.bounce_reason = True, fact.row.bounce_reason
                totals.bounced += 1
            case "unsubscribe":
                totals.unsubscribed += not row.unsubscribed
                row.unsubscribed = True
            case "order":
                row.order_cents = (row.order_cents or 0) + fact.cents
                totals.orders += 1
                totals.cents += fact.cents
            case "abuse":
                row.abuse = True


class Views:
    """Rows and counters, delayed as the switches say; without delay, the world's own."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches
        self._replays: dict[tuple[float, bool], Replay] = {}

    def rows(self, message: Message) -> list[Row]:
        """The activity rows of a message."""
        if not self._switches.rows_late:
            return message.rows
        return self._late(self._switches.rows_late, message, spread=True).rows

    def clicks(self, message: Message, link_id: int) -> list[Click]:
        """The clicks on a link."""
        if not self._switches.rows_late:
            return next(link.clicks for link in message.links if link.link_id == link_id)
        view = self._late(self._switches.rows_late, message, spread=True)
        return view.clicks.setdefault(link_id, [])

    def counted(self, message: Message) -> View:
        """The view that the counters go by."""
        if self._switches.counters_lag:
            return self._late(self._switches.counters_lag, message, spread=False)
        clicks = {link.link_id: link.clicks for link in message.links}
        return View(message.rows, len(message.rows), message.totals, clicks)

    def _late(self, seconds: float, message: Message, *, spread: bool) -> View:
        key = (seconds, spread)
        if key not in self._replays:
            self._replays[key] = Replay(self._world, seconds, spread=spread)
        return self._replays[key].view(message)
