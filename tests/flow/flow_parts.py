"""Parts that tests of the flow are made of."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bridge.flow.look import Look
from bridge.flow.page import Parcel
from bridge.flow.scans.case import Case, Plan
from bridge.flow.scans.survey import Survey
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import Watching
from bridge.state.keys import KnownKeys
from bridge.state.records import Kind, Message

HORIZON = "2026-05-01T00:00:00.000Z"
PROPERTIES = json.dumps(
    {"email_id": "7", "email_subject": "Grüße 🎉", "list_id": "5", "list_name": "News"},
    ensure_ascii=False,
)


def message_of(kind: Kind = "broadcast", **changes: Any) -> Message:
    """A tracked message, sent at noon UTC on 10 May 2026, in Eastern at eight."""
    values: dict[str, Any] = {
        "id": 1,
        "list_id": 5,
        "kind": kind,
        "message_id": 7,
        "conversation_id": 3 if kind == "conversation" else 0,
        "campaign_id": 0,
        "sent_at": "2026-05-10T12:00:00.000Z" if kind == "broadcast" else "",
        "properties": PROPERTIES,
        "found_at": 1_778_414_400.0,
        "looked_at": None,
        "moved_at": None,
        "summary": "",
        "retired": 0,
    }
    return Message(**values | changes)


def case_of(message: Message | None = None, **changes: Any) -> Case:
    """A message that is asked about, of which nothing is known."""
    message = message or message_of()
    values: dict[str, Any] = {
        "message": message,
        "counted": {},
        "seen": {},
        "watching": Watching(),
        "trust": Trust(),
        "now": 1_778_500_000.0,
        "track": 30 * 86400.0,
    }
    return Case(**values | changes)


def look_of(message: Message | None = None, previous: str = "", **changes: Any) -> Look:
    """A look at a message of which nothing is known."""
    values: dict[str, Any] = {
        "message": message or message_of(),
        "survey": Survey(case_of(message), Plan(whole=True)),
        "started_at": 1_778_500_000.0,
        "known": KnownKeys(),
        "totals": {},
        "previous": previous,
        "horizon": HORIZON,
        "floor": 0,
    }
    return Look(**values | changes)


@dataclass
class Mailroom:
    """Makes parcels and notes those that are settled."""

    settled: list[Parcel] = field(default_factory=list)
    made: int = 0

    def parcel(self, *events: bytes) -> Parcel:
        """A parcel of encoded events."""
        names = Counter("Email Sent" for _ in events)
        return Parcel(list(events), names, self.settled.append)

    def parcel_of(self, number: int) -> Parcel:
        """A parcel of so many new events, each with an id and an address of its own."""
        numbers = range(self.made, self.made + number)
        self.made += number
        return self.parcel(*(event_of(n) for n in numbers))


def event_of(number: int, **properties: Any) -> bytes:
    """An event with an id of its own."""
    email = f"contact{number}@example.com"
    event = {
        "type": "track",
        "messageId": f"listrak-{number:032x}",
        "anonymousId": email,
        "event": "Email Sent",
        "timestamp": "2026-05-10T12:00:00.000Z",
        "properties": {"email_id": "7", **properties},
        "context": {"traits": {"email": email}},
    }
    return json.dumps(event, separators=(",", ":")).encode()
