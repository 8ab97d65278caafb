"""The list through the days: who is subscribed, and what becomes of the emails that they get."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.clock import DAY, HOUR, MINUTE
from simulation.population import NEVER, USUAL, Send, Shares, Times, only, send_of

FIRST_TALK: Final = 100_000
"""Number of the first conversation message; broadcasts are numbered by day."""

UNTIL: Final = 29.0
"""Days after a send on which the last of it happens."""


class Change(NamedTuple):
    """A contact comes, or leaves.

    at: seconds since 1970.
    sent: when the email was sent that it left through; NEVER for who comes.
    complaint: it left by a complaint.
    """

    at: float
    contact: int
    subscribed: bool
    sent: float = NEVER
    complaint: bool = False


@dataclass(frozen=True)
class People:
    """A list, from its beginning to its end.

    begin: seconds since 1970.
    initial: contacts that were subscribed long before; their numbers are the first ones.
    size: of all contacts ever.
    changes: by time.
    """

    begin: float
    initial: int
    size: int
    sends: Sequence[Send]
    changes: Sequence[Change]


class _Membership:
    """Who is subscribed, as time goes on. Who leaves may come back once, but for complaints."""

    def __init__(self, rng: np.random.Generator, size: int, shares: Shares) -> None:
        self.subscribed = np.zeros(size, dtype=np.bool_)
        self.changes: list[Change] = []
        self._coming: list[Change] = []
        self._rng = rng
        self._shares = shares
        self._returned: set[int] = set()

    def join(self, contacts: NDArray[np.int64], moments: Times) -> None:
        """Has new contacts subscribe at some time."""
        for contact, at in zip(contacts.tolist(), moments.tolist(), strict=True):
            heapq.heappush(self._coming, Change(at, contact, subscribed=True))

    def note(self, send: Send, contacts: NDArray[np.int64]) -> None:
        """Takes note of who of some leaves through an email; it counts if they are there then."""
        for moments, is_complaint in ((send.unsubscribed, False), (send.complained, True)):
            for contact in contacts[moments[contacts] < NEVER].tolist():
                at, sent = float(moments[contact]), float(send.sent[contact])
                leaves = Change(at, contact, subscribed=False, sent=sent, complaint=is_complaint)
                heapq.heappush(self._coming, leaves)

    def advance(self, now: float) -> None:
        """Lives through all that happens until then."""
        while self._coming and self._coming[0].at <= now:
            change = heapq.heappop(self._coming)
            if self.subscribed[change.contact] == change.subscribed:
                continue
            self.subscribed[change.contact] = change.subscribed
            self.changes.append(change)
            if not change.subscribed and not change.complaint:
                self._have_return(change)

    def _have_return(self, left: Change) -> None:
        comes, days = self._rng.random(), float(self._rng.exponential(5))
        if comes < self._shares.returned and left.contact not in self._returned:
            self._returned.add(left.contact)
            at = round(left.at + HOUR + days * DAY, 3)
            heapq.heappush(self._coming, Change(at, left.contact, subscribed=True))


def people(
    *,
    seed: int,
    begin: float,
    days: int,
    audience: int,
    talks: int,
    shares: Shares = USUAL,
) -> People:
    """A list's people: a send a day at nine, and `talks` conversation messages all along.

    Who isn't subscribed at the time gets none.

    audience: contacts of the beginning; conversation messages make 2 % of the emails together, as
    is usual.
    begin: seconds since 1970.
    """
    rng = np.random.default_rng(seed)
    joined = round(audience * shares.joined) * days
    size = audience + joined
    members = _Membership(rng, size, shares)
    members.subscribed[:audience] = True
    moments = np.sort(np.round(begin + rng.uniform(HOUR, days * DAY, joined), 3))
    members.join(np.arange(audience, size), moments)
    of_talks = [
        send_of(
            rng,
            FIRST_TALK + talk,
            _spread(rng, begin, days, size, round(audience * days * 0.02 / max(talks, 1))),
            until=UNTIL,
            conversation=True,
            shares=shares,
        )
        for talk in range(talks)
    ]
    kept = [np.zeros(size, dtype=np.bool_) for _ in of_talks]
    sends: list[Send] = []
    everybody = np.arange(size)
    for day in range(days + 1):
        starts = begin + day * DAY + 9 * HOUR
        for at, talk, contact in _between(of_talks, starts - DAY, starts):
            members.advance(at)
            if members.subscribed[contact]:
                kept[talk][contact] = True
                members.note(of_talks[talk], np.array([contact]))
        members.advance(starts)
        if day < days:
            # Mail servers take some twenty minutes for a list.
            sent = np.sort(np.round(starts + rng.uniform(0, 20 * MINUTE, size), 3))
            sent = np.where(members.subscribed, sent, NEVER)
            sends.append(send_of(rng, day, sent, until=UNTIL, conversation=False, shares=shares))
            members.note(sends[-1], everybody)
    members.advance(begin + days * DAY)
    sends += [only(*pair) for pair in zip(of_talks, kept, strict=True) if pair[1].any()]
    return People(begin, audience, size, sends, members.changes)


def _spread(rng: np.random.Generator, begin: float, days: int, size: int, recipients: int) -> Times:
    """When each contact gets an email that goes to a few of them all along."""
    number = min(size, max(1, recipients))
    sent = np.full(size, NEVER)
    who = rng.choice(size, number, replace=False)
    sent[who] = np.round(begin + rng.uniform(HOUR, days * DAY, number), 3)
    return sent


def _between(talks: Sequence[Send], start: float, end: float) -> Iterator[tuple[float, int, int]]:
    """The emails of conversation messages from one time to another: when, which, and to whom."""
    found = []
    for number, talk in enumerate(talks):
        contacts = np.flatnonzero((talk.sent >= start) & (talk.sent < end))
        found += [(float(talk.sent[contact]), number, contact) for contact in contacts.tolist()]
    return iter(sorted(found))
