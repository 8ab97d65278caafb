"""The first synchronisation: one reading of everything, and the events that it brings."""

from typing import NamedTuple

from bridge.clock import DAY
from bridge.event_types import CLICKED, UNSUBSCRIBED
from bridge.flow.forecast.figures import (
    AccountFigures,
    Behaviour,
    Cost,
    ListFigures,
    MessageFigures,
    Terms,
)
from bridge.flow.forecast.life import CLICKS


class FirstSync(NamedTuple):
    """The first reading of everything.

    identifies: events, one for each subscribed contact of a list.
    tracks: events from after the start horizon.
    seconds: how long it takes, at least.
    waits_for: what takes so long: "Listrak" (the rate of calls), "Segment" (the rate of events) or
        "contacts" (those of a list are read one page after the other).
    """

    cost: Cost
    identifies: float
    tracks: float
    seconds: float
    waits_for: str


def first_sync(account: AccountFigures, terms: Terms) -> FirstSync:
    """The first synchronisation of an account."""
    cost, tracks, identifies, longest = Cost(), 0.0, 0.0, 0.0
    cost.add(account.lookup)
    cost.note("token", 1)
    for each in account.lists:
        cost.add(each.discovery)
        longest = max(longest, _add_contacts(cost, each, terms))
        identifies += each.contacts.subscribed
        if UNSUBSCRIBED in terms.events:
            tracks += each.contacts.left * terms.horizon / DAY
        cost.note("summary", each.unsent)
        cost.note("activity", each.unsent)
        for message in (one for one in each.messages if one.is_taken_up):
            cost.add(_reading(message, account.behaviour, terms), message.stands_for)
            tracks += message.stands_for * _tracks(message, account.behaviour, terms)
    spans = {
        "Listrak": cost.all_calls / terms.rate if terms.rate else 0.0,
        "Segment": (identifies + tracks) / (terms.events_per_second or float("inf")),
        "contacts": longest * account.page_seconds,
    }
    waits_for = max(spans, key=spans.__getitem__)
    return FirstSync(cost, identifies, tracks, spans[waits_for], waits_for)


def _add_contacts(cost: Cost, each: ListFigures, terms: Terms) -> int:
    """Adds the reading of a list's contacts; returns its pages."""
    pages, rows = terms.all_contacts(each.contacts)
    cost.note("contacts", pages, rows)
    return pages


def _reading(message: MessageFigures, behaviour: Behaviour, terms: Terms) -> Cost:
    """The first reading of a message: all of its rows and clicks."""
    cost = Cost()
    cost.note("activity", terms.pages(message.sends), message.sends)
    if message.kind == "transactional":
        return cost
    cost.note("summary", 1)
    cost.note("message", 1 if message.sends else 0)
    cost.note("links", 1, len(behaviour.links))
    total = sum(behaviour.links)
    for share in behaviour.links:
        clicks = message.counts.get(CLICKED, 0.0) * share / total
        # One of few clicks has none on most links.
        cost.note(CLICKS, min(1.0, clicks) * terms.pages(clicks), clicks)
    return cost


def _tracks(message: MessageFigures, behaviour: Behaviour, terms: Terms) -> float:
    """The events of a message from after the start horizon."""
    horizon, number = terms.horizon, 0.0
    for event in terms.events - {UNSUBSCRIBED}:
        if message.kind != "broadcast":
            number += message.daily.get(event, 0.0) * min(horizon, terms.track) / DAY
            continue
        spread = behaviour.spread(event)
        if so_far := spread.share(message.age):
            before = spread.share(message.age - horizon)
            number += message.counts.get(event, 0.0) * (1 - before / so_far)
    return number
