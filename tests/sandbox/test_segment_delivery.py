"""What becomes of each event, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.sandbox.delivery import parse, verdict_on

GOOD: dict[str, Any] = {"type": "track", "event": "Email Sent", "anonymousId": "a@example.com"}


def verdict(event: object) -> str:
    return verdict_on(event, len(json.dumps(event)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"userId": "u"},
        {"userId": None},
        {"anonymousId": None, "userId": "u"},
        {"type": "identify", "traits": {"email": "a@example.com"}},
        {"properties": None},
        {"properties": {}},
        {"messageId": "m" * 99},
        {"messageId": 7},
    ],
)
def test_taken(changes: dict[str, Any]) -> None:
    """One id that is a string is enough; null counts as absent."""
    assert verdict(GOOD | changes) == "accepted"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (None, "not_an_object"),
        ([GOOD], "not_an_object"),
        (GOOD | {"type": "tracked"}, "unknown_type"),
        (GOOD | {"type": None}, "unknown_type"),
        (GOOD | {"type": ["track"]}, "unknown_type"),
        (GOOD | {"anonymousId": None}, "no_id"),
        (GOOD | {"anonymousId": ""}, "bad_id"),
        (GOOD | {"anonymousId": 7}, "bad_id"),
        (GOOD | {"userId": ""}, "bad_id"),
        (GOOD | {"userId": 7}, "bad_id"),
        (GOOD | {"userId": ["u"]}, "bad_id"),
        (GOOD | {"event": None}, "no_event_name"),
        (GOOD | {"event": ""}, "no_event_name"),
        (GOOD | {"event": 7}, "no_event_name"),
        (GOOD | {"properties": [1]}, "bad_properties"),
        (GOOD | {"properties": []}, "bad_properties"),
        (GOOD | {"properties": ""}, "bad_properties"),
        (GOOD | {"type": "identify", "traits": "x"}, "bad_traits"),
        (GOOD | {"messageId": "m" * 100}, "message_id_too_long"),
    ],
)
def test_dropped(event: object, reason: str) -> None:
    """Segment drops these on ingest, with a 200."""
    assert verdict(event) == f"dropped:{reason}"


def test_event_size() -> None:
    """An event over 32 KB is dropped; its size is that of its JSON as sent, in UTF-8."""
    assert verdict_on(GOOD, 32 * 1024) == "accepted"
    assert verdict_on(GOOD, 32 * 1024 + 1) == "dropped:event_too_large"
    text = json.dumps(GOOD | {"event": "🎉"}, ensure_ascii=False).encode()
    delivery = parse("batch", b'{"batch": [ ' + text + b" ]}")
    assert list(delivery.texts) == [text]


def test_envelope() -> None:
    """Write key and sentAt stand beside the events of a batch, within a single event."""
    beside = {"writeKey": "k", "sentAt": "t"}
    batch = parse("batch", json.dumps({"batch": [GOOD], **beside}).encode())
    alone = parse("track", json.dumps(GOOD | beside).encode())
    for delivery in (batch, alone):
        assert (delivery.write_key, delivery.sent_at) == ("k", "t")
        assert list(delivery.events) == [GOOD]
        assert [json.loads(text) for text in delivery.texts] == [GOOD]


def test_not_a_single_event() -> None:
    """A single event is an object."""
    with pytest.raises(ValueError, match="object"):
        parse("track", b"[]")
