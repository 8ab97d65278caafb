"""The contacts of a world over time: each one's states, spellings and departures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from .account import Fact, State
from .world import World


@dataclass(slots=True, eq=False)
class Person:
    """A contact of a list, however its address was spelled.

    facts: about its state, in order.
    departures: its unsubscribes, in order.
    """

    list_id: int
    facts: list[Fact] = field(default_factory=list)
    departures: list[Fact] = field(default_factory=list)

    def state_at(self, at: datetime) -> State | None:
        """The state at an instant; None before the contact was there."""
        fact = self._fact_at(at)
        return None if fact is None else fact.state

    def spelling_at(self, at: datetime) -> str:
        """The spelling of the address at an instant, or the last one before it was deleted."""
        fact = self._fact_at(at)
        return "" if fact is None else fact.email

    def spellings_until(self, at: datetime) -> set[str]:
        """All spellings that the address had until an instant."""
        return {fact.email for fact in self.facts if fact.at <= at}

    def departure_at(self, at: datetime) -> Fact | None:
        """The unsubscribe that the contact shows at an instant, if it is unsubscribed then."""
        state = self.state_at(at)
        if state is None or state.subscribed is not False:
            return None
        return next((fact for fact in reversed(self.departures) if fact.at <= at), None)

    def _fact_at(self, at: datetime) -> Fact | None:
        return next((fact for fact in reversed(self.facts) if fact.at <= at), None)


def people_of(world: World, lists: Collection[int]) -> dict[tuple[int, str], Person]:
    """The contacts of some lists, by list and address without case."""
    people: dict[tuple[int, str], Person] = {}
    for fact in sorted(world.log, key=lambda fact: fact.at):
        if fact.list_id in lists and fact.what in ("contact", "unsubscribe"):
            person = people.setdefault((fact.list_id, fact.email.casefold()), Person(fact.list_id))
            (person.facts if fact.what == "contact" else person.departures).append(fact)
    return people
