"""A strict reader of events: it complains about what Segment accepts without a word."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

MAX_BODY_BYTES = 475_000
MAX_EVENT_BYTES = 32_000
MAX_EVENTS = 2_500
MAX_MESSAGE_ID = 99
MAX_KEYS = 299  # of properties, or of traits
EXAMPLES = 5  # kept of each complaint

EVENT_NAMES = frozenset(
    {
        "Email Sent",
        "Email Opened",
        "Email Bounced",
        "Email Marked As Spam",
        "Email Converted",
        "Email Link Clicked",
        "Unsubscribed",
    }
)
STRING_IDS = ("email_id", "link_id", "list_id")
LIST_TRAIT = "listrak_list_"

# The one common form: not all readers know what else `fromisoformat` reads (weeks, no colons).
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", flags=re.ASCII
)


class StrictReader:
    """A counter of complaints.

    complaints: number of each.
    examples: the first few events of each, as text.
    """

    def __init__(self) -> None:
        self.complaints: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def read_body(self, size: int, content_type: str) -> None:
        """Checks a request of `size` bytes, uncompressed."""
        if size > MAX_BODY_BYTES:
            self._complain("body_bytes", f"{size} bytes")
        if content_type != "application/json":
            self._complain("content_type", content_type)

    def read_batch(self, events: int) -> None:
        """Checks the number of events of a request."""
        if events > MAX_EVENTS:
            self._complain("batch_events", f"{events} events")

    def read_event(self, event: object, size: int) -> None:
        """Checks an event of `size` bytes, as sent."""
        for complaint in complaints_about(event, size):
            self._complain(complaint, event)

    def read_repeat(self, first: object, repeat: object) -> None:
        """Checks an event whose messageId came before."""
        if first != repeat:
            self._complain("changed_repeat", f"{first} came again as {repeat}")

    def _complain(self, complaint: str, about: object) -> None:
        self.complaints[complaint] += 1
        examples = self.examples.setdefault(complaint, [])
        if len(examples) < EXAMPLES:
            examples.append(str(about)[:1_000])


def complaints_about(event: object, size: int) -> Iterator[str]:
    """Yields the names of what is wrong with an event of `size` bytes, each at most once."""
    if size > MAX_EVENT_BYTES:
        yield "event_bytes"
    if not isinstance(event, dict):
        yield "not_an_object"
        return
    message_id = event.get("messageId")
    if not isinstance(message_id, str) or not 1 <= len(message_id) <= MAX_MESSAGE_ID:
        yield "message_id"
    if "timestamp" in event and not is_instant(event["timestamp"]):
        yield "timestamp"
    if "sentAt" in event:  # belongs to the request: it is new with every attempt
        yield "sent_at"
    if any(not isinstance(event.get(key, {}), dict) for key in ("context", "properties", "traits")):
        yield "not_an_object"
        return
    if any(len(event.get(key, ())) > MAX_KEYS for key in ("properties", "traits")):
        yield "too_many_keys"
    context = event.get("context", {})
    if context.get("user_agent") != context.get("userAgent"):
        yield "user_agent_twin"
    if event.get("type") == "track":
        yield from _about_track(event, event.get("properties", {}))
    if event.get("type") == "identify":
        yield from _about_traits(event.get("traits", {}))


def _about_track(event: Mapping[str, Any], properties: Mapping[str, Any]) -> Iterator[str]:
    name = event.get("event")
    if not isinstance(name, str) or name not in EVENT_NAMES:
        yield "event_name"
    if "userId" in event:
        yield "track_user_id"
    if any(map(_is_empty, properties.values())):
        yield "empty_property"
    if not _all_strings(properties[key] for key in STRING_IDS if key in properties):
        yield "id_not_string"
    if "order_total" in properties and not _is_number(properties["order_total"]):
        yield "order_total"


def _about_traits(traits: Mapping[str, Any]) -> Iterator[str]:
    lists = (value for key, value in traits.items() if key.startswith(LIST_TRAIT))
    if any(value is not True and value is not None for value in lists):
        yield "list_trait"
    # A null list trait has a meaning: it removes the trait from the profile.
    others = (value for key, value in traits.items() if not key.startswith(LIST_TRAIT))
    if any(map(_is_empty, others)):
        yield "empty_trait"


def is_instant(value: object) -> bool:
    """Tells whether this is an ISO 8601 date and time with a zone, and exists in the calendar."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _all_strings(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
