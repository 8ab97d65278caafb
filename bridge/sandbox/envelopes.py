"""The envelopes of events: right or wrong by themselves, whatever happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from .account import Click, Row
from .verdict import Event, Verdict, instant_of, lasting, name_of

LIBRARY = "listrak-segment-bridge"

REPEATS_KNOWN = timedelta(hours=24)
"""The time for which Segment promises to know a messageId, from its first arrival on."""


class Envelopes:
    """A reader of envelopes, which reports to a verdict what is wrong with them.

    extra_fields: value of the emulator's switch: rows carry addresses.
    """

    def __init__(self, verdict: Verdict, *, extra_fields: bool) -> None:
        self._verdict = verdict
        self._extra_fields = extra_fields

    def distinct(self, received: Iterable[Event]) -> Iterator[Event]:
        """Drops repeats as Segment does, by messageId alone; one that comes too late is a fault."""
        seen: dict[str, Event] = {}
        for event in received:
            message_id = event.get("messageId")
            if not isinstance(message_id, str) or not 0 < len(message_id) < 100:
                self._verdict.add_wrong(event, f"has messageId {message_id!r}")
            elif message_id not in seen:
                seen[message_id] = event
                self._verdict.delivered[name_of(event)] += 1
                yield event
            else:
                self._read_repeat(seen[message_id], event)

    def _read_repeat(self, first: Event, repeat: Event) -> None:
        self._verdict.duplicates[name_of(repeat)] += 1
        message_id = repeat.get("messageId")
        if lasting(repeat) != lasting(first):
            self._verdict.add_wrong(repeat, f"differs from the first with messageId {message_id}")
        came, again = _arrival(first), _arrival(repeat)
        if came is not None and again is not None and again - came > REPEATS_KNOWN:
            self._verdict.late_repeats.append(
                f"{name_of(repeat)} of {repeat.get('anonymousId')}, messageId {message_id}, came "
                f"at {came.isoformat()} and again at {again.isoformat()}"
            )

    def is_proper_track(self, event: Event) -> bool:
        """Tells whether the envelope is in order, and reports faults of it."""
        context = event.get("context")
        context = context if isinstance(context, Mapping) else {}
        email = event.get("anonymousId")
        library = context.get("library")
        faults = []
        if event.get("type") != "track":
            faults.append(f"is of type {event.get('type')!r}")
        if "userId" in event:
            faults.append("has a userId")
        if not isinstance(email, str) or not email:
            faults.append("has no anonymousId")
        elif context.get("traits") != {"email": email}:
            faults.append(f"has context.traits {context.get('traits')!r}")
        if not (
            isinstance(library, Mapping)
            and library.get("name") == LIBRARY
            and isinstance(library.get("version"), str)
        ):
            faults.append(f"has context.library {library!r}")
        if not isinstance(event.get("properties"), Mapping):
            faults.append("has no properties")
        if instant_of(event) is None:
            faults.append(f"has timestamp {event.get('timestamp')!r}, not an instant in UTC")
        for fault in faults:
            self._verdict.add_wrong(event, fault)
        return not faults

    def check_client(
        self, event: Event, sources: Iterable[Row | Click | None], *, addressed: bool = False
    ) -> None:
        """Checks that ip and both spellings of the user agent are those of one of the sources."""
        context = event["context"]
        found = tuple(context.get(name) for name in ("ip", "userAgent", "user_agent"))
        allowed: set[tuple[str | None, ...]] = set()
        if self._extra_fields:
            allowed = {(s.ip, s.user_agent, s.user_agent) for s in sources if s and s.ip}
        if not (addressed and allowed):
            allowed.add((None, None, None))
        if found not in allowed:
            self._verdict.add_wrong(event, f"has ip and user agent {found}, not one of {allowed}")


def _arrival(event: Event) -> datetime | None:
    """The instant at which an event arrived, if Segment stamped it."""
    text = event.get("receivedAt")
    return datetime.fromisoformat(text) if isinstance(text, str) else None
