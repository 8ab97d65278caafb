"""The forecast: what a service on an account will cost and bring."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridge.clock import DAY
from bridge.event_types import IDENTIFY, UNSUBSCRIBED
from bridge.flow.forecast.billing import Billing, first_month, later_month
from bridge.flow.forecast.figures import AccountFigures, Cost, Terms
from bridge.flow.forecast.first_sync import FirstSync, first_sync
from bridge.flow.forecast.freshness import Freshness
from bridge.flow.forecast.steady import Days, add_list
from bridge.flow.forecast.usual import MessageClass, classes_of
from bridge.flow.scheduling import schedule

TOKEN_LASTS = 59 * 60.0
"""Seconds that an access token of Listrak lasts (bridge/listrak/FACTS.md: Access)."""


@dataclass(frozen=True)
class Forecast:
    """A forecast.

    cost: calls and rows a day.
    events: a day, by name; IDENTIFY among them.
    broadcasts: messages a day that are sent once.
    first: the first synchronisation.
    first_month: the bill of the month with it.
    later_month: the bill of each month after it.
    freshness: by event and age of the email.
    """

    cost: Cost
    events: dict[str, float]
    broadcasts: float
    first: FirstSync
    first_month: Billing
    later_month: Billing
    freshness: list[Freshness]

    @property
    def calls_a_second(self) -> float:
        """Calls a second, on average."""
        return self.cost.all_calls / DAY


def forecast(
    account: AccountFigures,
    terms: Terms,
    on_progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Forecast:
    """The forecast of an account, drawn from a fixed seed: the same each time.

    on_progress: called before each class of messages is lived, in the same thread, with how many
        have been and how many there are.
    """
    classes = classes_of(account)
    days = Days(account, classes, terms)
    for number, one in enumerate(classes):
        on_progress(number, len(classes))
        days.add(one)
    cost = days.cost
    for each in account.lists:
        add_list(cost, each, terms)
    cost.add(account.lookup, DAY / schedule.LIST_CHECK_INTERVAL)
    cost.note("token", DAY / TOKEN_LASTS)
    events = dict(_events(account, classes, terms))
    first = first_sync(account, terms)
    return Forecast(
        cost=cost,
        events=events,
        broadcasts=sum(one.number for one in classes if one.kind == "broadcast"),
        first=first,
        first_month=first_month(account, events, first),
        later_month=later_month(account, classes, events),
        freshness=list(days.freshness.of(terms.events)),
    )


def _events(
    account: AccountFigures, classes: Sequence[MessageClass], terms: Terms
) -> Iterator[tuple[str, float]]:
    """Events a day, by name; unsubscribes and identifies are told of contacts."""
    contacts = [each.contacts for each in account.lists]
    left = sum(each.left for each in contacts)
    for name in sorted(terms.events):
        if name == UNSUBSCRIBED:
            yield name, left
        else:
            yield name, sum(one.daily.get(name, 0.0) for one in classes)
    yield IDENTIFY, left + sum(each.new for each in contacts)
