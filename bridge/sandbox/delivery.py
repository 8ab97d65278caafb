"""One request to Segment's HTTP Tracking API: its parsing, and the fate of its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

# Segment's documented limits; the strict reader's are narrower.
MAX_BODY_BYTES = 500 * 1024
MAX_EVENT_BYTES = 32 * 1024
MAX_EVENTS = 2_500
MAX_MESSAGE_ID = 99

BATCH_ROUTES = ("batch", "import")
EVENT_TYPES = ("track", "identify", "page", "screen", "group", "alias")

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
DROPPED = "dropped:"


@dataclass(frozen=True)
class Delivery:
    """The contents of a request.

    events: decoded.
    texts: the same as JSON.
    """

    events: Sequence[Any] = ()
    texts: Sequence[bytes] = ()
    write_key: object = None
    sent_at: object = None


class Envelope(msgspec.Struct, rename="camel"):
    """The body of a batch; each event stays the text that came."""

    batch: list[msgspec.Raw]
    write_key: Any = None
    sent_at: Any = None


def parse(route: str, body: bytes) -> Delivery:
    """Parses the body of `POST /v1/{route}`. ValueError when it isn't what the route accepts."""
    try:
        if route in BATCH_ROUTES:
            envelope = msgspec.json.decode(body, type=Envelope)
            texts = [bytes(raw) for raw in envelope.batch]
            events = [msgspec.json.decode(text) for text in texts]
            return Delivery(events, texts, envelope.write_key, envelope.sent_at)
        event = msgspec.json.decode(body, type=dict[str, Any])
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None
    # Alone, an event is its own envelope, and the path tells its type.
    write_key, sent_at = event.pop("writeKey", None), event.pop("sentAt", None)
    event["type"] = route
    return Delivery([event], [msgspec.json.encode(event)], write_key, sent_at)


def verdict_on(event: object, size: int) -> str:
    """The fate of an event of `size` bytes: accepted, or dropped: and a reason."""
    reason = _objection(event, size)
    return DROPPED + reason if reason else ACCEPTED


def _objection(event: object, size: int) -> str | None:
    if not isinstance(event, dict):
        return "not_an_object"
    if size > MAX_EVENT_BYTES:
        return "event_too_large"
    kind = event.get("type")
    if kind not in EVENT_TYPES:
        return "unknown_type"
    ids = [event[key] for key in ("userId", "anonymousId") if event.get(key) is not None]
    if not ids:
        return "no_id"
    if not all(isinstance(value, str) and value for value in ids):
        return "bad_id"
    if kind == "track" and not (isinstance(event.get("event"), str) and event["event"]):
        return "no_event_name"
    for key in ("properties", "traits"):
        if event.get(key) is not None and not isinstance(event[key], dict):
            return f"bad_{key}"
    message_id = event.get("messageId")
    if isinstance(message_id, str) and len(message_id) > MAX_MESSAGE_ID:
        return "message_id_too_long"
    return None


def text_of(event: object, key: str) -> str | None:
    """The string at `key` of an event; None when there is none, or an empty one."""
    value = event.get(key) if isinstance(event, dict) else None
    return value if isinstance(value, str) and value else None
