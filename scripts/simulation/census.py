"""What was told of contacts: each state of each once, in order, and how long it took."""

from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from bridge.listrak import times
from simulation.people import Change, People
from simulation.result import Result
from simulation.tally import OPEN_END

State = Literal["joined", "left", "returned"]

CLOSE_ENOUGH = 0.002
"""Seconds by which two dates of one change may differ: they are written in milliseconds."""


class Census:
    """The states of contacts that were told so far.

    now: seconds since 1970.
    result: takes how long each took, and what is missing.
    """

    def __init__(self, people: People, now: Callable[[], float], result: Result) -> None:
        self._states: defaultdict[int, list[Change]] = defaultdict(list)
        for number in range(people.initial):
            self._states[number].append(Change(people.begin, number, subscribed=True))
        for change in people.changes:
            self._states[change.contact].append(change)
        self._initial = people.initial
        self._told: defaultdict[int, int] = defaultdict(int)
        self._departures: set[tuple[int, float]] = set()
        self._now = now
        self._result = result

    def note_state(self, number: int, *, subscribed: bool) -> None:
        """Takes note of an identify, which tells the next state of a contact."""
        place, now = self._told[number], self._now()
        states = self._states[number]
        if place >= len(states) or states[place].subscribed != subscribed or states[place].at > now:
            self._miss(f"contact {number}: told as subscribed={subscribed} after {place} states")
            return
        self._told[number] += 1
        self._result.identifies += 1
        if place or number >= self._initial:
            kind = _kind(place, states[place])
            self._result.freshness.add(kind, states[place].at, states[place].at, now)

    def note_departure(self, number: int, timestamp: str) -> None:
        """Takes note of an unsubscribe."""
        at = times.seconds(timestamp)
        for change in self._states[number]:
            key = (number, change.at)
            if not change.subscribed and abs(change.at - at) < CLOSE_ENOUGH:
                if key in self._departures:
                    break
                self._departures.add(key)
                self._result.freshness.add("unsubscribed", change.at, change.sent, self._now())
                return
        self._miss(f"contact {number}: an unsubscribe of {timestamp} that never was, or a second")

    def close(self, end: float) -> None:
        """Adds what is missing: all until two days before the end must have been told."""
        due_by = end - OPEN_END
        for number, states in self._states.items():
            due = sum(state.at < due_by for state in states)
            if self._told[number] < due:
                self._miss(f"contact {number}: {self._told[number]} states told, {due} were due")
            for state in states:
                is_told = (number, state.at) in self._departures
                if not state.subscribed and state.at < due_by and not is_told:
                    self._miss(f"contact {number}: its unsubscribe wasn't told")

    def _miss(self, sentence: str) -> None:
        self._result.missed += 1
        self._result.missing.append(sentence)


def _kind(place: int, state: Change) -> State:
    if not state.subscribed:
        return "left"
    return "returned" if place else "joined"
