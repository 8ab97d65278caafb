"""The retailer's people: what becomes of every email, drawn from seeded distributions.

Shares are those of a usual retail newsletter; what they are is less important here than that the
same people are put before every strategy.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bridge.clock import DAY, HOUR, MINUTE

NEVER: Final = float("inf")
LINKS: Final = 12

Times = NDArray[np.float64]
Numbers = NDArray[np.int64]

OPENED: Final = 0.2
BOUNCED: Final = 0.01
AUTO_REPLY: Final = 0.3
"""Of the bounces: the email did arrive, and may be opened."""

CLICKED: Final = 0.025
ORDERED: Final = 0.001
ORDERED_AGAIN: Final = 0.1
"""Of those who ordered."""

KINDS: Final = ("sent", "opened", "bounced", "clicked", "unsubscribed", "ordered", "complained")

CONTACT_KINDS: Final = ("joined", "left", "returned")
"""States of a contact that an identify tells."""


@dataclass(frozen=True)
class Shares:
    """How many come and go.

    unsubscribed: of those who get an email.
    complained: likewise; who does is unsubscribed by it.
    returned: of those who unsubscribed.
    joined: new ones in a day, of the contacts of the beginning.
    """

    unsubscribed: float = 0.001
    complained: float = 0.0002
    returned: float = 0.1
    joined: float = 0.001


USUAL: Final = Shares()


@dataclass(frozen=True)
class Send:
    """An email and what becomes of it; arrays have a place for each contact, times in seconds.

    Who isn't sent it has NEVER at all of them. `clicked`, `clickers`, `links`: time, contact and
    link of each click, by time; `cents` of both possible orders.
    """

    number: int
    conversation: bool
    sent: Times
    opened: Times
    bounced: Times
    unsubscribed: Times
    complained: Times
    ordered: Times
    ordered_again: Times
    cents: NDArray[np.int64]
    clicked: Times
    clickers: Numbers
    links: Numbers

    @cached_property
    def begins(self) -> float:
        """When its first email is sent."""
        return float(self.sent.min())

    @cached_property
    def first(self) -> Times:
        """The first activity, which complaints and orders don't count as."""
        return np.minimum(np.minimum(self.opened, self.bounced), self.unsubscribed)

    @cached_property
    def events(self) -> dict[str, Times]:
        """Times of all events, sorted, by kind."""
        return {kind: np.sort(happened) for kind, (happened, _) in self.sent_of.items()}

    @cached_property
    def sent_of(self) -> dict[str, tuple[Times, Times]]:
        """By kind: when it happened, and when the email that it is about was sent."""
        pairs: dict[str, tuple[Times, Times]] = {}
        for kind in ("sent", "opened", "bounced", "unsubscribed", "complained"):
            times = getattr(self, kind)
            there = times < NEVER
            pairs[kind] = (times[there], self.sent[there])
        pairs["clicked"] = (self.clicked, self.sent[self.clickers])
        orders = np.concatenate((self.ordered, self.ordered_again))
        there = orders < NEVER
        pairs["ordered"] = (orders[there], np.concatenate((self.sent, self.sent))[there])
        return pairs

    def counted(self, kind: str, now: float) -> int:
        """How many events of a kind there were by then."""
        return int(np.searchsorted(self.events[kind], now, "right"))

    @cached_property
    def _revenue(self) -> tuple[Times, NDArray[np.int64]]:
        times = np.concatenate((self.ordered, self.ordered_again))
        cents = self.cents.T.reshape(-1)
        order = order_of(times)
        return times[order], np.cumsum(cents[order])

    def revenue(self, now: float) -> int:
        """Cents by then."""
        times, sums = self._revenue
        place = int(np.searchsorted(times, now, "right"))
        return int(sums[place - 1]) if place else 0


def order_of(times: Times) -> NDArray[np.int64]:
    """Places of what happens at all, by time."""
    there = np.flatnonzero(times < NEVER)
    return there[np.argsort(times[there], kind="stable")]


class Moments:
    """Recipients of sends by when something happened to them, each sorted once."""

    def __init__(self) -> None:
        self._sorted: dict[tuple[int, str], tuple[Times, NDArray[np.int64]]] = {}

    def between(self, send: Send, kind: str, start: float, end: float) -> NDArray[np.int64]:
        """Those to whom it happened from `start` to `end`, in that order."""
        key = (send.number, kind)
        if key not in self._sorted:
            moments = getattr(send, kind)
            order = order_of(moments)
            self._sorted[key] = (moments[order], order)
        moments, order = self._sorted[key]
        begin = int(np.searchsorted(moments, start, "left"))
        return order[begin : int(np.searchsorted(moments, end, "right"))]


def send_of(
    rng: np.random.Generator,
    number: int,
    sent: Times,
    *,
    until: float,
    conversation: bool,
    shares: Shares = USUAL,
) -> Send:
    """What becomes of emails sent at those times, by contact; nothing after `until` days."""
    size = len(sent)

    def some(share: float) -> NDArray[np.bool_]:
        return rng.random(size) < share

    def later(who: NDArray[np.bool_], after: Times, delay: Times) -> Times:
        times = np.where(who, np.round(after + delay, 3), NEVER)
        return np.where(times < sent + until * DAY, times, NEVER)

    # Half of the opens come within 3 hours, six of seven within a day, the last after weeks.
    delay = np.exp(rng.normal(np.log(3 * HOUR), 1.9, size))
    bounced = later(some(BOUNCED), sent, rng.exponential(2 * MINUTE, size))
    lost = (bounced < NEVER) & ~some(AUTO_REPLY)
    opened = later(some(OPENED) & ~lost, sent, delay)
    opens = opened < NEVER
    # Who clicks does so soon after the open; some come back days later.
    clicks_at_all = opens & some(CLICKED / OPENED)
    first_click = later(clicks_at_all, opened, rng.exponential(3 * MINUTE, size))
    second = later(clicks_at_all & some(0.3), opened, rng.exponential(10 * MINUTE, size))
    third = later(clicks_at_all & some(0.1), opened, rng.exponential(2 * DAY, size))
    clicked = np.concatenate((first_click, second, third))
    places = order_of(clicked)
    # The first links of an email get most of the clicks.
    links = np.minimum(rng.geometric(0.25, len(places)) - 1, LINKS - 1)
    buys = (first_click < NEVER) & some(ORDERED / CLICKED)
    ordered = later(buys, first_click, rng.exponential(1.5 * DAY, size))
    again = later((ordered < NEVER) & some(ORDERED_AGAIN), ordered, rng.exponential(3 * DAY, size))
    cents = rng.integers(500, 30_000, (size, 2))
    cents[ordered == NEVER, 0] = 0
    cents[again == NEVER, 1] = 0
    return Send(
        number=number,
        conversation=conversation,
        sent=sent,
        opened=opened,
        bounced=bounced,
        unsubscribed=later(some(shares.unsubscribed), sent, np.minimum(delay, 20 * DAY)),
        complained=later(some(shares.complained), sent, np.minimum(delay, 20 * DAY)),
        ordered=ordered,
        ordered_again=again,
        cents=cents,
        clicked=clicked[places],
        clickers=(places % size).astype(np.int64),
        links=links.astype(np.int64),
    )


def only(send: Send, kept: NDArray[np.bool_]) -> Send:
    """The same to some of its recipients alone."""
    clicks = kept[send.clickers]
    moments = ("sent", "opened", "bounced", "unsubscribed", "complained", "ordered")
    changed: dict[str, Any] = {
        name: np.where(kept, getattr(send, name), NEVER) for name in (*moments, "ordered_again")
    }
    return replace(
        send,
        **changed,
        cents=np.where(kept[:, np.newaxis], send.cents, 0),
        clicked=send.clicked[clicks],
        clickers=send.clickers[clicks],
        links=send.links[clicks],
    )
