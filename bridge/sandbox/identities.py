"""The judge of identifies: compares them with the states of the contacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from .account import State
from .evidence import Duty, Evidence, Life
from .verdict import Event, Verdict

IDENTIFY = "identify"
TRAIT = "listrak_list_"

Known = tuple[bool | None, str | None]  # subscribed (None: no longer), userId


class Identities:
    """A judge of identifies, in their order of arrival; it adds faults to a verdict."""

    def __init__(
        self, evidence: Evidence, lists: Mapping[int, int | None], verdict: Verdict
    ) -> None:
        self._evidence = evidence
        self._lists = lists
        self._verdict = verdict
        self._told: defaultdict[tuple[int, str], list[Known]] = defaultdict(list)

    def add(self, event: Event) -> None:
        """Adds the next identify, and reports what is wrong with it by itself."""
        email, traits = event.get("anonymousId"), event.get("traits")
        traits = traits if isinstance(traits, Mapping) else {}
        trait = next((name for name in traits if str(name).startswith(TRAIT)), None)
        list_id = next((i for i in self._lists if f"{TRAIT}{i}" == trait), None)
        if list_id is None or set(traits) != {"email", trait}:
            self._verdict.add_wrong(event, f"has traits {dict(traits)}")
        elif not isinstance(email, str) or traits["email"] != email:
            self._verdict.add_wrong(
                event, f"has anonymousId {email!r} and traits.email {traits['email']!r}"
            )
        elif traits[trait] is not True and traits[trait] is not None:
            self._verdict.add_wrong(event, f"has {trait} {traits[trait]!r}")
        elif "userId" in event and not (isinstance(event["userId"], str) and event["userId"]):
            self._verdict.add_wrong(event, f"has userId {event['userId']!r}")
        else:
            self._told[list_id, email].append((traits[trait], event.get("userId")))

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
        """The value of the configured field; None for an empty one."""
        field_id = self._lists[list_id]
        return None if field_id is None else state.values.get(field_id) or None
