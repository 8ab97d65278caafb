"""The judge of a history: each step had to bring what its configuration asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from .claims import UNSUBSCRIBED, Claim, ClaimKey, Claims
from .departures import add_departures
from .envelopes import Envelopes
from .evidence import CONVERTED, Duty
from .history import History
from .inspection import EVENT_NAMES
from .introductions import IntroductionJudge
from .pairing import paired
from .people import people_of
from .verdict import Event, Verdict, cents_of, moment_of
from .world import World

WAREHOUSES = {"All": False}
"""The `integrations` of an event that reaches no destination but warehouses."""


def judge_history(world: World, received: Iterable[Event], history: History) -> Verdict:
    """Judges the decoded Segment events, in their order of arrival, against a history.

    What arrived too late again is found where events are stamped with `receivedAt`.
    """
    verdict = Verdict()
    claims = Claims(world, history)
    people = people_of(world, claims.lists.keys())
    add_departures(claims, world, people, strict_cause=history.strict_cause)
    court = _Court(claims, verdict, Envelopes(verdict, extra_fields=history.extra_fields))
    introductions = IntroductionJudge(world, history, verdict)
    for event in court.envelopes.distinct(received):
        if event.get("type") == "identify":
            introductions.add(event)
        elif court.envelopes.is_proper_track(event):
            court.add(event)
    court.match()
    introductions.match(people, claims.lists)
    for sentences in (verdict.missing, verdict.extra, verdict.wrong, verdict.late_repeats):
        sentences.sort()
    return verdict


class _Court:
    def __init__(self, claims: Claims, verdict: Verdict, envelopes: Envelopes) -> None:
        self.envelopes = envelopes
        self._claims = claims
        self._verdict = verdict
        self._events: defaultdict[ClaimKey, list[Event]] = defaultdict(list)

    def add(self, event: Event) -> None:
        """Adds the next track, whose envelope is in order."""
        name, told = str(event.get("event")), event["properties"]
        list_id = next((i for i in self._claims.lists if str(i) == told.get("list_id")), None)
        if name not in EVENT_NAMES:
            self._verdict.refuse(event, "is no event of the contract")
        elif list_id is None:
            self._verdict.refuse(event, f"is of list {told.get('list_id')!r}")
        else:
            email = event["anonymousId"].casefold()
            ids = (str(told.get("email_id", "")), str(told.get("link_id", "")))
            key = ClaimKey(name, list_id, email, *(("", "") if name == UNSUBSCRIBED else ids))
            self._events[key].append(event)

    def match(self) -> None:
        """Compares all tracks with the claims."""
        for key in self._claims.by_key.keys() | self._events.keys():
            claims = self._claims.by_key.get(key, [])
            events = sorted(self._events.get(key, []), key=moment_of)
            self._verdict.expected[key.event] += sum(map(_is_required, claims))
            self._compare(key, claims, events)
            if key.event == CONVERTED:
                self._add_up(key, events)

    def _compare(self, key: ClaimKey, claims: Sequence[Claim], events: Sequence[Event]) -> None:
        """Gives as many claims as can be an event that is right for them; reports what is left."""
        may = sorted((c for c in claims if not _is_forbidden(c)), key=lambda c: -c.due.duty)
        must_not = [claim for claim in claims if _is_forbidden(claim)]
        owners = paired(
            [[n for n, event in enumerate(events) if not _faults(claim, event)] for claim in may]
        )
        for number, owner in owners.items():
            sources, addressed = may[owner].sources, may[owner].addressed
            self.envelopes.check_client(events[number], sources, addressed=addressed)
        left = [claim for n, claim in enumerate(may) if n not in owners.values()]
        for number, event in enumerate(events):
            if number not in owners:
                self._report(event, left, must_not)
        self._verdict.missing += [
            f"{_subject(key)} at {claim.times}: {claim.due.reason}"
            for claim in left
            if _is_required(claim)
        ]

    def _report(self, event: Event, left: list[Claim], must_not: Sequence[Claim]) -> None:
        """Reports an event that no claim is right for, by the one that it is likely for."""
        at = moment_of(event)
        likely = [claim for claim in left if claim.accepts(at)]
        forbidding = [claim for claim in must_not if claim.accepts(at)]
        if likely or (left and not forbidding):
            claim = (likely or left)[0]
            left.remove(claim)
            self._verdict.add_wrong(event, "; ".join(_faults(claim, event)))
        elif forbidding or must_not:
            reason = (forbidding or must_not)[0].due.reason
            self._verdict.refuse(event, f"{reason} (timestamp {event['timestamp']})")
        else:
            text = f"happened less often, or not at all (timestamp {event['timestamp']})"
            self._verdict.refuse(event, text)

    def _add_up(self, key: ClaimKey, events: Sequence[Event]) -> None:
        """Checks that orders which several steps could tell were told, and by one of them."""
        orders = [o for o in self._claims.orders.get(key, []) if o.due.duty is not Duty.FORBIDDEN]
        least = sum(order.cents for order in orders if order.due.duty is Duty.REQUIRED)
        total = sum(cents_of(event["properties"].get("order_total")) or 0 for event in events)
        if any(len(order.due.steps) > 1 for order in orders):
            if total < least:
                reason = orders[-1].due.reason
                text = f"{_subject(key)}: {total / 100:.2f} of {least / 100:.2f}: {reason}"
                self._verdict.missing.append(text)
            if total > (most := sum(order.cents for order in orders)):
                text = f"{_subject(key)}: {total / 100:.2f}, but only {most / 100:.2f} was ordered"
                self._verdict.extra.append(text)


def _faults(claim: Claim, event: Event) -> list[str]:
    """The faults of an event that is to fill a claim, as the rest of a sentence each."""
    faults = []
    told = _told(event)
    if event["anonymousId"] not in claim.emails:
        faults.append(f"is spelled otherwise than {' or '.join(sorted(claim.emails))}")
    if not claim.accepts(moment_of(event)):
        faults.append(f"has timestamp {event['timestamp']}, not {claim.times}")
    if not any(told == dict(telling.properties) for telling in claim.tellings):
        allowed = " or ".join(str(dict(telling.properties)) for telling in claim.tellings)
        faults.append(f"has properties {told}, not {allowed}")
    elif _integrations(event) not in [
        WAREHOUSES if telling.warehouse_only else None
        for telling in claim.tellings
        if told == dict(telling.properties)
    ]:
        faults.append(f"has integrations {_integrations(event)!r}, {claim.due.reason}")
    return faults


def _told(event: Event) -> dict[str, object]:
    """The properties of an event, its order_total in cents (None if it is no amount)."""
    told = dict(event["properties"])
    return told | {"order_total": cents_of(told["order_total"])} if "order_total" in told else told


def _integrations(event: Event) -> object:
    """The integrations of an event, None for none; a null is none of the kind."""
    return event.get("integrations") or "null" if "integrations" in event else None


def _is_required(claim: Claim) -> bool:
    return claim.due.duty is Duty.REQUIRED


def _is_forbidden(claim: Claim) -> bool:
    return claim.due.duty is Duty.FORBIDDEN


def _subject(key: ClaimKey) -> str:
    """The events of a key, for people."""
    parts = [f"{key.event} of {key.email} on list {key.list_id}"]
    if key.email_id:
        parts.append(f"email {key.email_id}")
    if key.link_id:
        parts.append(f"link {key.link_id}")
    return ", ".join(parts)
