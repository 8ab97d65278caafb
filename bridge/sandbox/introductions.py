"""The judge of a history's identifies: what each look had to tell of each contact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from .account import State
from .dates import Dates
from .history import NOWHERE, History, ListHistory, Look, field_at
from .identities import IDENTIFY, Identify, Known, read_identify, user_of
from .people import Person
from .verdict import Event, Verdict
from .world import World

EARLY = timedelta(seconds=1)
"""The lag of the Date header at most, as it has whole seconds."""


class Expected(NamedTuple):
    """An identify that a look sends.

    known: one of these it tells.
    emails: the spellings that it may have.
    required: it must come.
    """

    look: Look
    known: frozenset[Known]
    emails: frozenset[str]
    required: bool
    reason: str


@dataclass(frozen=True)
class Introductions:
    """The rules of a history's identifies."""

    world: World
    history: History

    def expected(self, person: Person, looks: ListHistory) -> Iterator[Expected]:
        """Yields what each look sends of a contact, in these cases:

        1. Nothing was told of it: that it is subscribed; that it isn't only if it left since the
           horizon; nothing of one that is not there.
        2. Told of, and another state or userId than was told: the present one.
        3. Deleted since it was told as subscribed: that it is subscribed no longer, with or without
           a userId that it had, as nobody can look it up.
        """
        told: frozenset[Known] = frozenset()
        users: set[str | None] = {None}
        for _, look in looks.looks:
            state = person.state_at(look.at)
            if state is None:
                continue
            user = self._user(person.list_id, state, look)
            users.add(user)
            present: Known = (state.subscribed or None, user)
            known, required = frozenset({present}), True
            emails = frozenset({person.spelling_at(look.at)})
            if state.subscribed is None:
                if not any(subscribed for subscribed, _ in told):
                    continue
                known = frozenset((None, each) for each in users)
                emails = frozenset(person.spellings_until(look.at))
            elif state.subscribed is False and not told:
                left = self._left(person, look, looks)
                if max(left) < looks.horizon:
                    continue
                required = min(left) >= looks.horizon
            elif told == known:
                continue
            elif present in told:  # as it may have been told when it was deleted
                required = False
            last = f"told {_text(told)}" if told else "nothing was told of it"
            yield Expected(look, known, emails, required, f"{_text(known)} at {look}, {last}")
            told = known

    def _user(self, list_id: int, state: State, look: Look) -> str | None:
        """The userId of a contact, as a look has it."""
        field_id = field_at(self.world, look, list_id)
        if field_id is None or field_id == NOWHERE:
            return None
        return user_of(state.values.get(int(field_id)), self.history.nobody)

    def _left(self, person: Person, look: Look, looks: ListHistory) -> frozenset[datetime]:
        """The instants that the date of a contact's unsubscribe may stand for."""
        fact = person.departure_at(look.at)
        assert fact is not None, "it is unsubscribed then"
        return Dates(self.history).points(fact.at, looks.beginning)


class IntroductionJudge:
    """A judge of identifies, which adds faults to a verdict."""

    def __init__(self, world: World, history: History, verdict: Verdict) -> None:
        self._rules = Introductions(world, history)
        self._slack = history.slack
        self._lists = history.lists
        self._verdict = verdict
        self._told: defaultdict[tuple[int, str], list[Identify]] = defaultdict(list)

    def add(self, event: Event) -> None:
        """Adds the next identify, and reports what is wrong with it by itself."""
        identify = read_identify(event, self._lists, self._verdict)
        if identify is None:
            return
        if identify.at is None:
            self._verdict.add_wrong(event, "has no timestamp")
        elif "integrations" in event:
            self._verdict.add_wrong(event, f"has integrations {event['integrations']!r}")
        else:
            self._told[identify.list_id, identify.email.casefold()].append(identify)

    def match(
        self, people: Mapping[tuple[int, str], Person], lists: Mapping[int, ListHistory]
    ) -> None:
        """Compares all identifies with what had to be told."""
        for list_id, email in people.keys() | self._told.keys():
            person = people.get((list_id, email), Person(list_id))
            expected = list(self._rules.expected(person, lists[list_id]))
            told = sorted(self._told.get((list_id, email), []), key=_moment)
            self._verdict.expected[IDENTIFY] += sum(one.required for one in expected)
            subject = f"identify of {email} on list {list_id}"
            _match(subject, expected, told, self._verdict, self._slack)


def _match(
    subject: str,
    expected: list[Expected],
    told: list[Identify],
    verdict: Verdict,
    slack: timedelta,
) -> None:
    """Compares what was told of a contact with what was expected, both in order of time."""
    for earlier, later in pairwise(told):
        if earlier.at == later.at:
            text = f"{subject}: two have the timestamp {_moment(later).isoformat()}"
            verdict.wrong.append(text)
    left = list(told)
    for one in expected:
        earliest, latest = one.look.at - EARLY, one.look.at + slack
        while left and _moment(left[0]) < earliest:
            verdict.extra.append(f"{subject}: {_said(left.pop(0))}, when there was nothing to tell")
        in_time = bool(left) and _moment(left[0]) <= latest
        if in_time and left[0].known in one.known and left[0].email in one.emails:
            left.pop(0)
        elif in_time and one.required:
            verdict.wrong.append(f"{subject}: {_said(left.pop(0))}, but it is {one.reason}")
        elif one.required:
            verdict.missing.append(f"{subject}: it is {one.reason}")
    for identify in left:
        verdict.extra.append(f"{subject}: {_said(identify)}, when there was nothing to tell")


def _moment(identify: Identify) -> datetime:
    assert identify.at is not None, "sorted out before"
    return identify.at


def _said(identify: Identify) -> str:
    known = _text(frozenset({identify.known}))
    return f"{identify.email} was told {known} at {_moment(identify).isoformat()}"


def _text(known: frozenset[Known]) -> str:
    """The words for what is told of a contact, or for one of several."""
    words = sorted(
        f"{'subscribed' if subscribed else 'not subscribed'}, userId {user!r}"
        for subscribed, user in known
    )
    return " or ".join(words)
