"""Limits of what is read, compared and sent of a list, for people: what nobody should rely on.

Pure: what the state file tells of a list, in; a sentence for each limit, out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from bridge.event_types import SPAM, TRACKS, UNSUBSCRIBED
from bridge.flow.buckets import NO_DATE
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.state.records import Backfill, ListState, Message
from bridge.state.set_aside import LISTING_KINDS, PartKind, PartSetAside

MOST_NAMED: Final = 10
"""Parts of a list that are told one by one."""

CONSEQUENCES: Final[Mapping[PartKind, str]] = {
    "message": "its events are missing until it is read; who unsubscribes through it is told "
    "without naming it after an hour",
    "summary": "its rows are read without its counters",
    "details": "events wait for what only it tells, an hour at most, and go on without it then",
    "campaigns": "events wait for the names, an hour at most, and go on without them then",
    "profile fields": "the one that is configured by its id is read as before",
    "contact look-ups": "these contacts stay as they are known until the next sweep",
    "contacts": "no change of a contact is seen until they are read",
}
"""Consequences of a part that can't be read, by its kind."""


@dataclass(frozen=True)
class Limit:
    """One limit.

    kind: a stable name.
    list_id: the list that it is of, None for all.
    sentence: what it means, for people.
    number: of emails or unsubscribes, None where nothing is counted.
    until: the instant up to which it holds, or since which nothing was read; "" for none.
    events: the names of the events that it is of; () for all.
    """

    kind: str
    list_id: int | None
    sentence: str
    number: int | None = None
    until: Instant = ""
    events: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The sentence, with its list."""
        return self.sentence if self.list_id is None else f"List {self.list_id}: {self.sentence}"

    def as_json(self) -> dict[str, object]:
        """The facts of it, for programs."""
        return {
            "kind": self.kind,
            "list": self.list_id,
            "number": self.number,
            "until": self.until or None,
            "events": list(self.events),
            "text": self.text,
        }


@dataclass(frozen=True)
class ListFacts:
    """The facts about a configured list that its limits follow from.

    problem: why it can't be read now, "" where it can.
    tracked: its tracked messages.
    untracked: number of those that were tracked and are no longer.
    untracked_until: instant of the latest send among these; "" for none.
    withheld_messages: number of messages of which events are withheld by BRIDGE_EVENTS.
    withheld_unsubscribes: number of unsubscribes that are.
    history: the latest backfill of its history, None for none.
    ends: by the name of an event, the instant up to which its history is not sent.
    set_aside: its parts that can't be read for now.
    """

    state: ListState
    problem: str
    tracked: Sequence[Message]
    untracked: int
    untracked_until: Instant
    withheld_messages: int
    withheld_unsubscribes: int
    history: Backfill | None
    ends: Mapping[str, Instant] = field(default_factory=dict)
    set_aside: Sequence[PartSetAside] = ()


def limits_of_list(facts: ListFacts, wanted: Collection[str]) -> list[Limit]:
    """The limits of a configured list; `wanted`: names of the events to be sent."""
    state, list_id = facts.state, facts.state.list_id
    if facts.problem:
        read = _read_last(state)
        text = f"it can't be read now, so nothing of it is compared or sent ({read}): "
        return [Limit("degraded", list_id, f"{text}{facts.problem}", until=_last(state))]
    if not state.horizon:
        text = "the service has not read it yet: nothing of it is known, compared or sent"
        return [Limit("never_read", list_id, text)]
    return [
        *_limits_of_parts(facts),
        *_limits_of_messages(facts),
        *_limits_of_events(facts, wanted),
        *_limits_of_history(facts, wanted),
    ]


def resting(state: ListState) -> Limit:
    """The limit of a list that was read once and is not configured any more."""
    text = (
        f"it is not in LISTRAK_LISTS, so it rests ({_read_last(state)}): nothing of it is compared "
        "or sent"
    )
    return Limit("resting", state.list_id, text, until=_last(state))


def not_counted() -> Limit:
    """The limit of what Listrak has no counter for."""
    text = (
        f"{SPAM}: Listrak counts none, so they are not compared; of {UNSUBSCRIBED} only what rows "
        "show is, not what contacts do"
    )
    return Limit("not_counted", None, text, events=(SPAM, UNSUBSCRIBED))


def without_summary(list_id: int, number: int) -> Limit:
    """The limit of messages that Listrak keeps no Summary of."""
    text = (
        f"{_emails(number)} not compared: Listrak keeps no Summary of them (it has none of "
        "transactional ones, nor of those it doesn't have any more)"
    )
    return Limit("no_summary", list_id, text, number)


def unread_counters(list_id: int, number: int, reason: str) -> Limit:
    """The limit of messages whose Summary can't be read for now; `reason`: of one of them."""
    text = f"{_emails(number)} not compared: their counters can't be read now: {reason}"
    return Limit("unread_counters", list_id, text, number)


def _limits_of_parts(facts: ListFacts) -> Iterator[Limit]:
    list_id, parts = facts.state.list_id, [one for one in facts.set_aside if one.reason]
    for one in parts[:MOST_NAMED]:
        since = times.from_seconds(one.since)
        text = (
            f"set aside, as it can't be read since {since}: {one.part.name} "
            f"({_consequence(one.part.kind)}): {one.reason}"
        )
        yield Limit("set_aside", list_id, text, until=since)
    if len(parts) > MOST_NAMED:
        more = len(parts) - MOST_NAMED
        yield Limit("set_aside", list_id, f"{more:,} other parts are set aside, too", more)


def _consequence(kind: PartKind) -> str:
    """The consequence while a part of a kind can't be read."""
    if kind in LISTING_KINDS:
        return "emails that only it names are not found until it is read"
    if kind in ("links", "link"):
        return "its clicks are missing until it is read"
    return CONSEQUENCES.get(kind, "it is not done until it can be read")


def _limits_of_messages(facts: ListFacts) -> Iterator[Limit]:
    list_id = facts.state.list_id
    if unread := sum(message.polled_at is None for message in facts.tracked):
        text = f"{_emails(unread)} not read to the end yet: what they come to isn't known"
        yield Limit("unread", list_id, text, unread)
    if facts.untracked:
        until = facts.untracked_until
        last = f", the last of them sent at {until}" if until else ""
        text = (
            f"{_emails(facts.untracked)} no longer tracked{last}: what happened with them since "
            "their last poll is not read, sent or compared, and what was withheld of them can't "
            "be had any more"
        )
        yield Limit("untracked", list_id, text, facts.untracked, until)
    floors = [
        message.floor
        for message in facts.tracked
        if message.kind != "broadcast" and message.floor is not None and message.floor < NO_DATE
    ]
    if floors:
        day = date.fromordinal(max(floors) * 7).isoformat()
        some = "" if min(floors) == max(floors) else ", or only of some of them"
        text = (
            f"sends of conversation and transactional emails from before {day} are not tracked"
            f"{some}: what happens with them is not read, sent or compared"
        )
        yield Limit("old_sends", list_id, text, len(floors), day)


def _limits_of_events(facts: ListFacts, wanted: Collection[str]) -> Iterator[Limit]:
    list_id = facts.state.list_id
    if unwanted := _not_among(wanted):
        text = f"not in BRIDGE_EVENTS, so seen and not sent: {', '.join(unwanted)}"
        yield Limit("unwanted", list_id, text, events=unwanted)
    if facts.withheld_messages or facts.withheld_unsubscribes:
        text = (
            f"events of {facts.withheld_messages:,} emails and {facts.withheld_unsubscribes:,} "
            "unsubscribes are withheld by BRIDGE_EVENTS, as it was when they were seen; `backfill "
            "--events` brings those that are in it now"
        )
        yield Limit("withheld", list_id, text, facts.withheld_messages)
    if forgotten := facts.state.unsubscribes_forgotten:
        text = (
            f"unsubscribes of up to {forgotten} that were withheld are forgotten: they can't be "
            "had any more"
        )
        yield Limit("unsubscribes_forgotten", list_id, text, until=forgotten, events=[UNSUBSCRIBED])


def _limits_of_history(facts: ListFacts, wanted: Collection[str]) -> Iterator[Limit]:
    list_id, last = facts.state.list_id, facts.history
    by_end: dict[Instant, list[str]] = {}
    for event, end in sorted(facts.ends.items()):
        by_end.setdefault(end, []).append(event)
    for end, events in by_end.items():
        text = f"{', '.join(events)} of before {end} not sent"
        if set(events) & set(wanted):
            text += "; `backfill --since` brings what can be had of it"
        yield Limit("history", list_id, text, until=end, events=events)
    if last is None:
        return
    span = f"the backfill since {last.since}"
    if not last.finished:
        yield Limit("backfill", list_id, f"{span} is under way", last.waiting, last.since)
    if last.left_out:
        text = (
            f"{span} left out {_emails(last.left_out, '')}: they were tracked once and are no "
            "longer, so that what was sent of them can't be told"
        )
        yield Limit("left_out", list_id, text, last.left_out, last.since)
    if last.missing:
        text = f"{span} didn't find {_emails(last.missing, '')}: Listrak doesn't have them any more"
        yield Limit("missing", list_id, text, last.missing, last.since)
    if last.dropped_names:
        events = sorted(last.dropped_names)
        text = (
            f"{', '.join(events)} taken out of BRIDGE_EVENTS while a backfill was under way: "
            f"what it had not sent by then, of since {last.since}, can't be had any more"
        )
        yield Limit("dropped", list_id, text, until=last.since, events=events)


def _not_among(wanted: Collection[str]) -> list[str]:
    return [event for event in TRACKS if event not in wanted]


def _emails(number: int, verb: str | None = None) -> str:
    """A number of emails, with the verb that goes with it."""
    if verb is None:
        verb = " is" if number == 1 else " are"
    return f"{number:,} email{'' if number == 1 else 's'}{verb}"


def _last(state: ListState) -> Instant:
    return "" if state.discovered_at is None else times.from_seconds(state.discovered_at)


def _read_last(state: ListState) -> str:
    return f"last read at {last}" if (last := _last(state)) else "never read"
