"""Findings of `explain`: an event that follows from what Listrak shows, and what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from bridge.segment.events import Fingerprint

Status = Literal["sent", "in flight", "dead", "withheld", "not seen yet", "untracked"]
"""The outcome of an event, as far as the state file knows it.

An event that was read, and is on its way without having been journaled, counts as not seen yet.
"""


class Outcome(NamedTuple):
    """A status with the reason for it, "" for none."""

    status: Status
    reason: str = ""


class Finding(msgspec.Struct, frozen=True):
    """An event that follows from what Listrak shows.

    message: the path of its message, "" for events of a contact.
    message_id: its messageId, "" where it never gets one.
    at: its timestamp; "" where that depends on when it was noticed.
    """

    list_id: int
    message: str
    event: str
    message_id: str
    at: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Kept:
    """The events that the state file keeps in full, by messageId.

    in_flight: those of the outbox.
    dead: dead letters, with the reason.
    """

    in_flight: frozenset[str]
    dead: Mapping[str, str]

    def outcome_of(self, message_id: str) -> Outcome | None:
        """The outcome of an event that is among them, None of others."""
        if message_id in self.in_flight:
            return Outcome("in flight", "saved, and not acknowledged by Segment yet")
        if message_id in self.dead:
            return Outcome("dead", self.dead[message_id])
        return None

    def applied(self, finding: Finding) -> Finding:
        """A finding with the outcome of its event, if that is among them."""
        outcome = self.outcome_of(finding.message_id)
        return finding if outcome is None else replace(finding, **outcome._asdict())


class Made(msgspec.Struct, rename="camel"):
    """The part of an encoded event that a finding takes."""

    message_id: str
    event: str = "identify"
    timestamp: str = ""


def made(events: Iterable[bytes]) -> list[Made]:
    """Encoded events, decoded as far as findings need them."""
    return [msgspec.json.decode(event, type=Made) for event in events]


def fingerprint_of(message_id: str) -> Fingerprint | None:
    """The fingerprint that a messageId is made of; None for one that the bridge doesn't make."""
    head, _, text = message_id.partition("-")
    if head != "listrak" or len(text) != 32:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
