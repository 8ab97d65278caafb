"""The figures of an account that a forecast is made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.clock import DAY
from bridge.event_types import BOUNCED, CLICKED, OPENED, SENT
from bridge.flow.forecast.spread import BOUNCING, OPENING, SENDING, Spread
from bridge.listrak import wire
from bridge.state.records import Kind


@dataclass
class Cost:
    """The calls and rows of some readings, by resource."""

    calls: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    rows: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def note(self, resource: str, calls: float, rows: float = 0.0) -> None:
        """Adds a reading."""
        self.calls[resource] += calls
        if rows:
            self.rows[resource] += rows

    def add(self, other: "Cost", times: float = 1.0) -> None:
        """Adds another cost, so many times."""
        for resource, calls in other.calls.items():
            self.note(resource, calls * times, other.rows.get(resource, 0.0) * times)

    @property
    def all_calls(self) -> float:
        """The calls of all resources."""
        return sum(self.calls.values())

    @property
    def all_rows(self) -> float:
        """The rows of all resources."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class MessageFigures:
    """A message as its counters, or its rows, show it.

    age: seconds since it was sent; of one that goes on sending, or isn't sent yet, 0.
    counts: numbers by event, so far.
    daily: numbers by event a day, of one that goes on sending.
    stands_for: number of messages that it stands for, where not all were asked for.
    is_recent: tells whether it counts for what is sent usually.
    is_taken_up: tells whether a first start reads it.
    """

    kind: Kind
    age: float = 0.0
    counts: Mapping[str, float] = field(default_factory=dict)
    daily: Mapping[str, float] = field(default_factory=dict)
    stands_for: float = 1.0
    is_recent: bool = True
    is_taken_up: bool = True

    @property
    def sends(self) -> float:
        """Emails so far."""
        return self.counts.get(SENT, 0.0)


@dataclass(frozen=True)
class ContactFigures:
    """The contacts of a list.

    subscribed: number of contacts.
    is_counted: tells whether it was counted to the end; else it is the larger one of what was
        counted and of the largest send.
    new: contacts a day that subscribe.
    left: contacts a day that unsubscribe.
    """

    subscribed: float = 0.0
    is_counted: bool = True
    new: float = 0.0
    left: float = 0.0


@dataclass(frozen=True)
class ListFigures:
    """A list.

    discovery: cost of a complete discovery of its messages.
    recent: cost of one that lists only what was sent lately.
    unsent: number of messages that were not sent yet: drafts, and what is scheduled.
    """

    list_id: int
    contacts: ContactFigures
    discovery: Cost
    recent: Cost
    messages: Sequence[MessageFigures] = ()
    unsent: int = 0


@dataclass(frozen=True)
class Behaviour:
    """The behaviour of those who get the emails of an account.

    spreads: how long after a message's send each event comes, by event.
    dated: by event, the fraction of them that is the first activity of its row, whose date it has.
    links: fraction of the clicks that each link of a message gets.
    order: average amount of an order.
    complaints: complaints for each email, as no counter tells them.
    filters: values of activityType that the account filters by.
    unfiltered: those that it was asked for and doesn't filter by.
    """

    spreads: Mapping[str, Spread] = field(
        default_factory=lambda: {
            SENT: SENDING,
            OPENED: OPENING,
            CLICKED: OPENING,
            BOUNCED: BOUNCING,
        }
    )
    dated: Mapping[str, float] = field(default_factory=lambda: {OPENED: 1.0, BOUNCED: 1.0})
    links: Sequence[float] = (1.0,)
    order: float = 1.0
    complaints: float = 0.0
    filters: frozenset[str] = frozenset()
    unfiltered: frozenset[str] = frozenset()

    def spread(self, event: str) -> Spread:
        """The spread of an event; what nothing tells of comes like opens."""
        return self.spreads.get(event, self.spreads[OPENED])


@dataclass(frozen=True)
class AccountFigures:
    """An account, as far as it was asked for.

    lists: those that can be read.
    window: seconds of the past that messages count as usual.
    people: number of different subscribed contacts, at least and at most.
    lookup: cost of looking up the configured lists.
    page_seconds: seconds that a page of contacts took to be read, one after the other.
    """

    lists: Sequence[ListFigures]
    window: float
    people: tuple[float, float]
    lookup: Cost
    page_seconds: float
    behaviour: Behaviour


@dataclass(frozen=True)
class Terms:
    """The settings that a forecast depends on.

    interval: seconds between two polls of what is fresh.
    track: seconds that an email is tracked.
    rate: calls a second that are allowed; 0 for any number.
    events: names of the events to send.
    events_per_second: events to Segment a second that are allowed; 0 for any number.
    horizon: seconds before now at which the start horizon lies.
    page_rows: rows of a full page.
    """

    interval: float
    track: float
    rate: float
    events: frozenset[str]
    events_per_second: float
    horizon: float
    page_rows: int

    def pages(self, rows: float) -> int:
        """The number of requests for so many rows: one at least."""
        return wire.pages_of(rows, self.page_rows)

    def all_contacts(self, contacts: ContactFigures) -> tuple[int, float]:
        """The pages and rows of a reading of all contacts of a list.

        They are those subscribed, and those who left since a day before the start horizon.
        """
        subscribed = contacts.subscribed
        left = contacts.left * (self.horizon / DAY + 1)
        return self.pages(subscribed) + self.pages(left), subscribed + left
