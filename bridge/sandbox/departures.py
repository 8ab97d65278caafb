"""The claims of contacts that unsubscribed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime

from .account import Fact
from .claims import UNSUBSCRIBED, Claim, ClaimKey, Claims, Telling, is_warehouse_only
from .duties import Due, due_if_forgotten
from .evidence import Duty
from .history import Backfill, ListHistory, Step
from .names import list_properties_at
from .people import Person
from .world import World


def add_departures(
    claims: Claims,
    world: World,
    people: Mapping[tuple[int, str], Person],
    *,
    strict_cause: bool = True,
) -> None:
    """Adds a claim for each unsubscribe."""
    for (list_id, email), person in people.items():
        departures = _Departures(claims, world, person, strict_cause=strict_cause)
        key = ClaimKey(UNSUBSCRIBED, list_id, email)
        claims.by_key[key] += [departures.claim(fact) for fact in person.departures]


def _due(fact: Fact, points: frozenset[datetime], person: Person, history: ListHistory) -> Due:
    """Decides about an unsubscribe, in these cases:

    1. From before the horizon, or no look came after it: nothing.
    2. No look showed it, as it was undone before: as the bridge likes, it can hardly know.
    3. The first look that showed it didn't want it: nothing, until a backfill brings it. Where it
       was forgotten before, by a look that came after it was tracked, that is as the bridge likes.
    4. Else it must be sent.
    """
    after = [(place, look) for place, look in history.looks if look.at >= fact.at]
    if not after or max(points) < history.horizon:
        return Due(Duty.FORBIDDEN, (), "no look came after it, or it is from before the horizon")
    showing = [(place, look) for place, look in after if person.departure_at(look.at) is fact]
    if not showing or min(points) < history.horizon:
        steps: tuple[Step, ...] = tuple(look for _, look in after)
        return Due(Duty.OPTIONAL, steps, "no look showed it, or not whether it was in time")
    place, look = showing[0]
    if UNSUBSCRIBED in look.configuration.events:
        return Due(Duty.REQUIRED, (look,), f"{look} showed it and wanted it")
    due = Due(Duty.FORBIDDEN, (), f"{look} didn't want it")
    for number, backfill in history.backfills:
        asked = backfill.withheld and (backfill.since is None or max(points) >= backfill.since)
        if number > place and asked and UNSUBSCRIBED in backfill.configuration.events:
            sure = person.departure_at(backfill.at) is fact and due.duty is not Duty.REQUIRED
            sure = sure and (backfill.since is None or min(points) >= backfill.since)
            sure = sure and history.forgetting_look(min(points), number) is None
            duty = Duty.REQUIRED if sure else Duty.OPTIONAL
            due = due.or_else(Due(duty, (backfill,), f"withheld, it was for {backfill} to send"))
        if due.duty is Duty.REQUIRED:
            break
    return due


class _Departures:
    """The departures of one contact.

    strict_cause: one must name the message that caused it.
    """

    def __init__(self, claims: Claims, world: World, person: Person, *, strict_cause: bool) -> None:
        self._claims = claims
        self._world = world
        self._person = person
        self._history = claims.lists[person.list_id]
        self._strict_cause = strict_cause

    def claim(self, fact: Fact) -> Claim:
        """The claim of an unsubscribe."""
        dates, beginning = self._claims.dates, self._history.beginning
        due = _due(fact, dates.points(fact.at, beginning), self._person, self._history)
        noted = [one for step in due.steps for one in self._noted(fact, step)]
        points = dates.points(fact.at, noted or beginning)
        rows = [one.row for one in self._person.departures]
        tellings = [
            Telling(told, is_warehouse_only(step))
            for step in due.steps
            for noted in self._noted(fact, step)
            for told in self._tellings(fact, noted)
        ]
        emails = self._spellings(due) or {fact.email}
        return Claim(due, emails, fact.at, fact.at, tellings, points, rows)

    def _noted(self, fact: Fact, step: Step) -> Iterator[Step]:
        """The steps at which an unsubscribe may have been noted that a step sends.

        A backfill sends it as it was withheld.
        """
        yield step
        if isinstance(step, Backfill):
            looks = (look for _, look in self._history.looks)
            yield from (look for look in looks if fact.at <= look.at <= step.at)

    def _spellings(self, due: Due) -> set[str]:
        """The spellings that the contact had at the first of the steps, or since."""
        person = self._person
        if not due.steps:
            return set()
        first, last = due.steps[0].at, due.steps[-1].at
        since = {fact.email for fact in person.facts if first < fact.at <= last}
        return since | {person.spelling_at(first)}

    def _tellings(self, fact: Fact, step: Step) -> Iterator[dict[str, object]]:
        """The properties that an unsubscribe may have at a step."""
        method = {"unsubscribe_type": fact.method} if fact.method else {}
        # A row that told an earlier one may still stand for this.
        facts = [one for one in self._person.departures if one.at <= step.at]
        for one in facts:
            if one.message is not None and self._claims.is_findable(one.message):
                for told, _ in self._claims.names(one.message, step):
                    yield {**told, **method}
        if not (self._strict_cause and self._has_known_cause(fact, step)):
            for at, _ in self._claims.sights(fact.list_id, step):
                yield {**list_properties_at(self._world, fact.list_id, at), **method}

    def _has_known_cause(self, fact: Fact, step: Step) -> bool:
        """Tells whether a row that is remembered at a step says which message was the cause."""
        message, row = fact.message, fact.row
        if message is None or row is None or not self._claims.is_findable(message):
            return False
        happening = self._claims.happening(fact, message, row)
        place = next((n for n, look in self._history.looks if look is step), math.inf)
        return due_if_forgotten(happening, self._history, place, step) is None
