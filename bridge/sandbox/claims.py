"""Claims: a place for each event that a history of looks may have brought, or must not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from .account import Click, Fact, Message, Row
from .dates import Dates
from .duties import Due, Happening, due_of
from .evidence import CLICKED, CONVERTED, ROW_EVENTS, Duty, findable
from .history import Backfill, History, ListHistory, Look, Step
from .names import bounce_properties, link_properties, properties_at
from .world import World

Properties = Mapping[str, object]


UNSUBSCRIBED = "Unsubscribed"


class ClaimKey(NamedTuple):
    """Events that only dates, names and amounts tell apart.

    email: without case.
    email_id, link_id: "" for none.
    """

    event: str
    list_id: int
    email: str
    email_id: str = ""
    link_id: str = ""


class Telling(NamedTuple):
    """One way in which an event may be told.

    properties: an order_total is in cents.
    warehouse_only: it is marked so.
    """

    properties: Properties
    warehouse_only: bool


@dataclass(slots=True, eq=False)
class Claim:
    """A place for one event.

    emails: the spellings that it may have.
    first, last: bounds of its timestamp, of which only `points` count if there are any.
    tellings: one of these it must be.
    sources: carry the client's address; `addressed`: that address came with this event.
    """

    due: Due
    emails: Collection[str]
    first: datetime
    last: datetime
    tellings: Sequence[Telling]
    points: frozenset[datetime] = frozenset()
    sources: Sequence[Row | Click | None] = ()
    addressed: bool = False

    def accepts(self, at: datetime) -> bool:
        """Tells whether an event may have that timestamp."""
        return at in self.points if self.points else self.first <= at <= self.last

    @property
    def times(self) -> str:
        """The timestamps that are accepted, for people."""
        if self.points:
            return " or ".join(sorted(point.isoformat() for point in self.points))
        return f"{self.first.isoformat()} to {self.last.isoformat()}"


class Order(NamedTuple):
    """An order, and when it had to be told."""

    message: Message
    row: Row
    at: datetime
    cents: int
    due: Due

    def is_only_at(self, step: Step) -> bool:
        """Tells whether it must be told, and only a step can."""
        return self.due.duty is Duty.REQUIRED and self.due.steps == (step,)


class Claims:
    """The claims of all messages of the lists of a history.

    by_key: the claims of each key, those of what must not come as well.
    orders: by key, all orders.
    """

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._slack = history.slack
        self.dates = Dates(history)
        self.lists = {
            list_id: ListHistory(history, world, list_id)
            for list_id in history.lists
            if list_id in world.lists
        }
        self.by_key: defaultdict[ClaimKey, list[Claim]] = defaultdict(list)
        self.orders: defaultdict[ClaimKey, list[Order]] = defaultdict(list)
        self._names: dict[tuple[int, int], list[tuple[Properties, Collection[str]]]] = {}
        owners = [world.lists[list_id] for list_id in self.lists]
        self._messages = {id(message) for owner in owners for message in findable(owner)}
        for fact in world.log:
            if fact.what in ("contact", "unsubscribe") or id(fact.message) not in self._messages:
                continue
            self._add(fact)
        for key, orders in self.orders.items():
            self.by_key[key] += self._order_claims(orders)

    def names(self, message: Message, step: Step) -> list[tuple[Properties, Collection[str]]]:
        """The properties that a message's events may have at a step, with the extra ones wanted.

        A backfill looks up no names by itself: it may have those of the look before.
        """
        key = (id(message), id(step))
        if key not in self._names:
            self._names[key] = [
                (properties_at(self._world, message, at, extra), extra)
                for at, extra in self.sights(message.list_id, step)
            ]
        return self._names[key]

    def sights(self, list_id: int, step: Step) -> Iterator[tuple[datetime, Collection[str]]]:
        """The instants whose names a step may use, each with the extra properties wanted."""
        yield step.at, step.configuration.extra_properties
        if isinstance(step, Backfill):
            earlier = [look for _, look in self.lists[list_id].looks if look.at <= step.at]
            if earlier:
                yield earlier[-1].at, earlier[-1].configuration.extra_properties
                yield earlier[-1].at, step.configuration.extra_properties

    def _beginning(self, fact: Fact) -> list[Look]:
        """The first look at a fact's list, in whose zone its start horizon divides times."""
        return self.lists[fact.list_id].beginning

    def _add(self, fact: Fact) -> None:
        message, row = fact.message, fact.row
        assert message is not None
        assert row is not None
        due = due_of(self.happening(fact, message, row), self.lists[message.list_id])
        key = self._key(fact, message)
        if fact.what == "order":
            self.orders[key].append(Order(message, row, fact.at, fact.cents, due))
            return
        first, last = self._span(fact.at, row, due.steps)
        source: Row | Click | None = row if fact.link is None else fact.click
        claim = Claim(due, {row.email}, first, last, (), sources=[source])
        if exact := _exact_date(fact, row):
            claim.points = self.dates.points(exact, due.steps or self._beginning(fact))
        claim.addressed = bool(fact.ip) or bool(fact.link and fact.click and fact.click.ip)
        claim.tellings = [
            Telling({**told, **self._more(fact, row, extra)}, is_warehouse_only(step))
            for step in due.steps
            for told, extra in self.names(message, step)
        ]
        self.by_key[key].append(claim)

    def is_findable(self, message: Message) -> bool:
        """Tells whether the API leads to a message."""
        return id(message) in self._messages

    def happening(self, fact: Fact, message: Message, row: Row) -> Happening:
        """A fact of a message, as the rules see it."""
        exact = fact.what == "send" or fact.link is not None
        sent = message.sent_at if message.kind == "message" else row.sent_at
        if fact.link is not None and message.kind == "conversation":
            sent = fact.at
        own = row.sent_at if fact.what == "send" else fact.at
        beginning = self._beginning(fact)

        def shown(at: datetime, *, ever: bool = False) -> frozenset[datetime]:
            instants = [own] if exact else [own, _activity(row, at) or row.sent_at]
            read = self.dates.points_ever if ever else partial(self.dates.points, steps=beginning)
            return frozenset(point for instant in instants for point in read(instant))

        return Happening(
            event=_event_of(fact),
            at=fact.shown_at or fact.at,
            shown=shown,
            shown_ever=partial(shown, ever=True),
            exact=exact,
            sent=self.dates.points_ever(sent or row.sent_at),
            kind=message.kind,
            dated=message.dated,
        )

    def _key(self, fact: Fact, message: Message) -> ClaimKey:
        link_id = "" if fact.link is None else str(fact.link.link_id)
        email = fact.email.casefold()
        return ClaimKey(_event_of(fact), fact.list_id, email, str(message.message_id), link_id)

    def _more(self, fact: Fact, row: Row, extra: Collection[str]) -> Properties:
        if fact.what == "bounce":
            return bounce_properties(row, extra)
        return link_properties(fact.link, extra)

    def _span(self, at: datetime, row: Row, steps: Iterable[Step]) -> tuple[datetime, datetime]:
        """The best known timestamps: from the row's first activity to the true instant."""
        points = {at}
        for step in steps:
            activity = _activity(row, step.at)
            shown = row.sent_at if activity is None or activity > at else activity
            points |= self.dates.points(shown, [step])
            points |= self.dates.points(max(at, activity or at), [step])
        return min(points), max(points) + self._slack

    def _order_claims(self, orders: Sequence[Order]) -> Iterator[Claim]:
        """A claim for each row and step that tells orders: what the total rose by until then."""
        for row in {id(order.row): order.row for order in orders}.values():
            of_row = [order for order in orders if order.row is row]
            for order in of_row:
                if order.due.duty is Duty.FORBIDDEN:
                    yield Claim(order.due, {row.email}, *self._span(order.at, row, ()), ())
            steps = {id(step): step for order in of_row for step in order.due.steps}
            for step in steps.values():
                told = [order for order in of_row if step in order.due.steps]
                due = next((order.due for order in told if order.is_only_at(step)), told[0].due)
                spans = [self._span(order.at, row, [step]) for order in told]
                names = self.names(told[0].message, step)
                yield Claim(
                    replace(due, steps=(step,), duty=_duty_at(step, told)),
                    {row.email},
                    min(first for first, _ in spans),
                    max(last for _, last in spans),
                    [
                        Telling({**properties, "order_total": cents}, is_warehouse_only(step))
                        for cents in amounts_at(step, told)
                        for properties, _ in names
                    ],
                    sources=[row],
                )


def is_warehouse_only(step: Step) -> bool:
    """Tells whether a step's events are marked to reach no destination but warehouses."""
    return isinstance(step, Backfill) and step.warehouse_only


def amounts_at(step: Step, orders: Sequence[Order]) -> list[int]:
    """The amounts in cents by which a step may say that a total rose.

    That is all that only it can tell, with any run of what it may tell.
    """
    certain = sum(order.cents for order in orders if order.is_only_at(step))
    others = [order.cents for order in orders if not order.is_only_at(step)]
    runs = {sum(others[i:j]) for i in range(len(others)) for j in range(i, len(others) + 1)}
    return sorted({certain + run for run in runs | {0}} - {0})


def _duty_at(step: Step, orders: Sequence[Order]) -> Duty:
    return Duty.REQUIRED if any(order.is_only_at(step) for order in orders) else Duty.OPTIONAL


def _event_of(fact: Fact) -> str:
    events = {**ROW_EVENTS, "order": CONVERTED, "click": CLICKED, "unsubscribe": UNSUBSCRIBED}
    return events[fact.what]


def _exact_date(fact: Fact, row: Row) -> datetime | None:
    """The date that the API has for an event; None where it has none."""
    if fact.what == "send":
        return row.sent_at
    if fact.what in ("open", "bounce"):
        return row.first_activity
    return fact.at if fact.link is not None else None


def _activity(row: Row, at: datetime) -> datetime | None:
    """The first activity of a row, as far as it shows at an instant."""
    first = row.first_activity
    return first if first is not None and first <= at else None
