"""The judge of identifies: compares them with the states of the contacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from .account import State
from .evidence import Duty, Evidence, Life
from .history import NOBODY
from .verdict import Event, Verdict, instant_of

IDENTIFY = "identify"
TRAIT = "listrak_list_"

Known = tuple[bool | None, str | None]  # subscribed (None: no longer), userId


class Identify(NamedTuple):
    """An identify whose form is in order.

    at: its timestamp, None for none.
    """

    list_id: int
    email: str
    known: Known
    at: datetime | None


class Identities:
    """A judge of identifies, in their order of arrival; it adds faults to a verdict."""

    def __init__(
        self, evidence: Evidence, lists: Mapping[int, int | None], verdict: Verdict
    ) -> None:
        self._evidence = evidence
        self._lists = lists
        self._verdict = verdict
        self._told: defaultdict[tuple[int, str], list[Known]] = defaultdict(list)
        self._latest: dict[tuple[int, str], datetime] = {}

    def add(self, event: Event) -> None:
        """Adds the next identify, and reports what is wrong with it by itself."""
        identify = read_identify(event, self._lists, self._verdict)
        if identify is None:
            return
        person = (identify.list_id, identify.email)
        self._told[person].append(identify.known)
        if identify.at is not None:
            if person in self._latest and identify.at <= self._latest[person]:
                self._verdict.add_wrong(event, "has a timestamp that is not later than the last")
            self._latest[person] = identify.at

    def match(self) -> None:
        """Compares all identifies with the lives of the contacts."""
        for person in self._evidence.lives.keys() | self._told.keys():
            life = self._evidence.lives.get(person, Life())
            self._match(person, life, self._told.get(person, []))

    def _match(self, person: tuple[int, str], life: Life, told: list[Known]) -> None:
        """Checks that each state sent was true, none came twice in a row, the last is present."""
        list_id, email = person
        subject = f"identify of {email} on list {list_id}"
        held = [(at, state.subscribed, self._user(list_id, state)) for at, state in life.states]
        if not held or not self._ever_subscribed(held):
            if told:
                self._verdict.extra.append(f"{subject}: not subscribed since the horizon")
            return
        users: set[str | None] = {user for _, _, user in held}
        subscribed = {(True, user) for _, state, user in held if state}
        gone: set[Known] = set()
        for _, state, user in held:
            if state is False:
                gone.add((None, user))
            elif state is None:
                gone |= {(None, any_user) for any_user in users | {None}}
        for known in told:
            if known not in subscribed | gone:
                self._verdict.wrong.append(f"{subject}: was never {known}")
        for one, other in pairwise(told):
            if one == other:
                self._verdict.extra.append(f"{subject}: {one} twice in a row")
        _, now, user = held[-1]
        if now:
            due = not told or told[-1] != (True, user)
            required = True
        else:
            left = any(d.duty is Duty.REQUIRED for d in life.departures)
            required = left or any(state for state, _ in told)
            due = required and (not told or told[-1][0] is not None)
        self._verdict.expected[IDENTIFY] += required
        if due:
            present = (now or None, user)
            last = told[-1] if told else "nothing"
            self._verdict.missing.append(f"{subject}: is {present}, told {last}")

    def _ever_subscribed(self, held: list[tuple[datetime, bool | None, str | None]]) -> bool:
        """Tells whether the contact was subscribed at the horizon or later."""
        ends = [at for at, _, _ in held[1:]]
        return bool(held[-1][1]) or any(
            state and not self._evidence.before(end)
            for (_, state, _), end in zip(held, ends, strict=False)
        )

    def _user(self, list_id: int, state: State) -> str | None:
        """The userId of a contact by the configured field."""
        field_id = self._lists[list_id]
        return None if field_id is None else user_of(state.values.get(field_id), NOBODY)


def user_of(value: str | None, nobody: Collection[str]) -> str | None:
    """The userId that a value of a profile field is; None for what is nobody's.

    nobody: values that are withheld.
    """
    text = (value or "").strip().casefold()
    # Segment advises to block what is made of zeros and dashes alone.
    return None if text in nobody or not text.strip("0-") else value


def read_identify(event: Event, lists: Collection[int], verdict: Verdict) -> Identify | None:
    """Reads an identify of one of some lists; reports what is wrong with it, and is None then."""
    email, traits = event.get("anonymousId"), event.get("traits")
    traits = traits if isinstance(traits, Mapping) else {}
    trait = next((name for name in traits if str(name).startswith(TRAIT)), None)
    list_id = next((i for i in lists if f"{TRAIT}{i}" == trait), None)
    if list_id is None or set(traits) != {"email", trait}:
        verdict.add_wrong(event, f"has traits {dict(traits)}")
    elif not isinstance(email, str) or traits["email"] != email:
        verdict.add_wrong(event, f"has anonymousId {email!r} and traits.email {traits['email']!r}")
    elif traits[trait] is not True and traits[trait] is not None:
        verdict.add_wrong(event, f"has {trait} {traits[trait]!r}")
    elif "userId" in event and not (isinstance(event["userId"], str) and event["userId"]):
        verdict.add_wrong(event, f"has userId {event['userId']!r}")
    elif "timestamp" in event and instant_of(event) is None:
        verdict.add_wrong(event, f"has timestamp {event['timestamp']!r}, not an instant in UTC")
    else:
        return Identify(list_id, email, (traits[trait], event.get("userId")), instant_of(event))
    return None
