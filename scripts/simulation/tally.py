"""The tally of what was told of messages: each event once, and how long it took."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from bridge.clock import DAY
from bridge.listrak import times
from simulation.population import KINDS, Send
from simulation.result import Result
from simulation.rows import number_of

KIND_OF = {
    "Email Sent": "sent",
    "Email Opened": "opened",
    "Email Bounced": "bounced",
    "Email Link Clicked": "clicked",
    "Email Converted": "ordered",
    "Email Marked As Spam": "complained",
}

OPEN_END = 2 * DAY
"""Seconds before the end of which nothing is due yet."""


class Event(msgspec.Struct, rename="camel"):
    """An event as Segment gets it."""

    type: str = "track"
    anonymous_id: str = ""
    event: str = ""
    timestamp: str = ""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}


class Tally:
    """The events of messages that were told so far.

    now: seconds since 1970.
    result: takes how long each took, and what is missing.
    """

    def __init__(self, sends: Sequence[Send], now: Callable[[], float], result: Result) -> None:
        self._sends = {send.number: send for send in sends}
        self._now = now
        self._result = result
        self._seen: Counter[tuple[int, str]] = Counter()
        self._orders: dict[tuple[int, int], int] = {}

    def note(self, event: Event) -> None:
        """Takes note of an event of a message."""
        kind = KIND_OF[event.event]
        send = self._sends[int(event.properties["email_id"])]
        number = number_of(event.anonymous_id)
        if kind == "ordered":
            self._note_orders(send, number, round(event.properties["order_total"] * 100))
            return
        if kind == "clicked":
            happened = times.seconds(event.timestamp)
        else:
            happened = float(getattr(send, kind)[number])
        self._add(send, kind, number, happened)

    def close(self, end: float) -> None:
        """Adds what is missing: all until two days before the end must have been seen, once."""
        for send in self._sends.values():
            for kind in KINDS:
                if kind == "unsubscribed":
                    # Of contacts, not of messages.
                    continue
                happened = send.events[kind]
                seen = self._seen[send.number, kind]
                due = int((happened < end - OPEN_END).sum())
                if not due <= seen <= len(happened):
                    self._result.missed += abs(due - seen)
                    self._result.missing.append(f"{kind} of {send.number}: {seen}, {due} were due")

    def _note_orders(self, send: Send, number: int, cents: int) -> None:
        """One event may tell of two orders."""
        for place, moments in enumerate((send.ordered, send.ordered_again)):
            amount = int(send.cents[number, place])
            told = self._orders.get((send.number, number), 0)
            if amount and cents >= amount and told == place:
                cents -= amount
                self._orders[send.number, number] = told + 1
                self._add(send, "ordered", number, float(moments[number]))
        if cents:
            raise AssertionError(f"an order of {send.number} to {number} is off by {cents} cents")

    def _add(self, send: Send, kind: str, number: int, happened: float) -> None:
        self._seen[send.number, kind] += 1
        # No date of a row leads to these: only their number tells that they are there.
        is_behind_bounce = kind == "opened" and bool(send.bounced[number] < happened)
        hidden = is_behind_bounce or (send.conversation and kind in ("opened", "bounced"))
        sent = float(send.sent[number])
        self._result.freshness.add(kind, happened, sent, self._now(), hidden=hidden)
