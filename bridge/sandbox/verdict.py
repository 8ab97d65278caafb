"""The verdict on what Segment received, and readers of its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Event = Mapping[str, Any]

# Fields that a sender makes anew for each attempt, or Segment on arrival.
VOLATILE = frozenset(("sentAt", "receivedAt", "originalTimestamp", "writeKey"))


@dataclass
class Verdict:
    """Numbers by event name (identify among them), and a sentence for every fault.

    expected: events that had to arrive.
    delivered: events that arrived, each messageId once.
    duplicates: repeats of these, which Segment drops.
    missing: sentences about events that had to arrive and didn't.
    extra: sentences about events that should not have come.
    wrong: sentences about events with wrong contents.
    late_repeats: sentences about repeats that came more than a day after the first, when Segment
        needn't know the messageId any longer. They are told where arrivals are known.
    """

    expected: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    late_repeats: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tells whether there is no fault."""
        return not (self.missing or self.extra or self.wrong or self.late_repeats)

    def __str__(self) -> str:
        lines = []
        for name in sorted(self.expected | self.delivered):
            counts = f"{self.delivered[name]} delivered, {self.expected[name]} required"
            lines.append(f"{name}: {counts}, {self.duplicates[name]} repeated")
        for title in ("missing", "extra", "wrong", "late_repeats"):
            sentences: list[str] = getattr(self, title)
            lines.append(f"{title.replace('_', ' ')}: {len(sentences)}")
            lines += [f"  {sentence}" for sentence in sentences[:5]]
        return "\n".join(lines)

    def add_wrong(self, event: Event, what: str) -> None:
        """Reports that an event is wrong."""
        self.wrong.append(f"{name_of(event)} of {event.get('anonymousId')} {what}")

    def refuse(self, event: Event, what: str) -> None:
        """Reports that an event should not have come."""
        self.extra.append(f"{name_of(event)} of {event.get('anonymousId')}: {what}")


def name_of(event: Event) -> str:
    """The name that an event is counted by: of a track its own, else its type."""
    return str(event.get("event") if event.get("type") == "track" else event.get("type"))


def lasting(event: Event) -> dict[str, Any]:
    """The fields of an event that stay the same however often it is sent."""
    return {key: value for key, value in event.items() if key not in VOLATILE}


def instant_of(event: Event) -> datetime | None:
    """The event's timestamp, if it is one in UTC."""
    try:
        at = datetime.fromisoformat(event["timestamp"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.utcoffset() == timedelta(0) else None


def moment_of(event: Event) -> datetime:
    """The timestamp of an event that is known to have a proper one."""
    at = instant_of(event)
    assert at is not None, "sorted out before"
    return at


def cents_of(total: object) -> int | None:
    """An amount in cents; None for what is no amount, or has fractions of a cent."""
    if isinstance(total, bool) or not isinstance(total, int | float):
        return None
    cents = round(total * 100)
    return cents if abs(total * 100 - cents) < 1e-6 else None
