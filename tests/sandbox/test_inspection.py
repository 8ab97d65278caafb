"""What the strict reader complains about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.inspection import EVENT_NAMES, StrictReader, complaints_about, is_instant

TRACK: dict[str, Any] = {
    "type": "track",
    "event": "Email Link Clicked",
    "messageId": "m",
    "anonymousId": "a@example.com",
    "timestamp": "2026-01-02T03:04:05Z",
    "properties": {"email_id": "1", "link_id": "2", "list_id": "3", "order_total": 4.5},
    "context": {"traits": {"email": "a@example.com"}, "userAgent": "x", "user_agent": "x"},
}
IDENTIFY: dict[str, Any] = {
    "type": "identify",
    "messageId": "m",
    "anonymousId": "a@example.com",
    "userId": "u",
    "traits": {"email": "a@example.com", "listrak_list_1": True, "listrak_list_2": None},
}


def complaints(event: object, size: int = 1) -> list[str]:
    return list(complaints_about(event, size))


def properties(**changes: Any) -> Mapping[str, Any]:
    return TRACK | {"properties": TRACK["properties"] | changes}


def traits(**changes: Any) -> Mapping[str, Any]:
    return IDENTIFY | {"traits": IDENTIFY["traits"] | changes}


@pytest.mark.parametrize("event", [TRACK, IDENTIFY])
def test_no_complaint(event: object) -> None:
    """What keeps to the contract is not complained about."""
    assert complaints(event, 32_000) == []


@pytest.mark.parametrize("name", sorted(EVENT_NAMES))
def test_the_seven_events(name: str) -> None:
    """There are seven events, known by their exact names."""
    assert len(EVENT_NAMES) == 7
    assert complaints(TRACK | {"event": name}) == []
    assert complaints(TRACK | {"event": name.lower()}) == ["event_name"]


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ([], "not_an_object"),
        (TRACK | {"properties": None}, "not_an_object"),
        (TRACK | {"context": "x"}, "not_an_object"),
        (TRACK | {"messageId": ""}, "message_id"),
        (TRACK | {"messageId": 7}, "message_id"),
        (TRACK | {"messageId": "m" * 100}, "message_id"),
        ({key: TRACK[key] for key in TRACK if key != "messageId"}, "message_id"),
        (TRACK | {"timestamp": None}, "timestamp"),
        (TRACK | {"sentAt": "2026-01-02T03:04:05Z"}, "sent_at"),
        (TRACK | {"userId": "u"}, "track_user_id"),
        (TRACK | {"userId": None}, "track_user_id"),
        (TRACK | {"event": "Email Delivered"}, "event_name"),
        (TRACK | {"event": 7}, "event_name"),
        (TRACK | {"context": {"user_agent": "x"}}, "user_agent_twin"),
        (TRACK | {"context": {"userAgent": "x"}}, "user_agent_twin"),
        (TRACK | {"context": {"userAgent": "x", "user_agent": "y"}}, "user_agent_twin"),
        (TRACK | {"properties": {f"k{n}": 1 for n in range(300)}}, "too_many_keys"),
        (properties(list_name=None), "empty_property"),
        (properties(list_name=""), "empty_property"),
        (properties(list_name=[]), "empty_property"),
        (properties(email_id=1), "id_not_string"),
        (properties(link_id=1), "id_not_string"),
        (properties(list_id=1), "id_not_string"),
        (properties(order_total="4.5"), "order_total"),
        (properties(order_total=True), "order_total"),
        (properties(order_total=float("inf")), "order_total"),
        (traits(**{f"k{n}": 1 for n in range(300)}), "too_many_keys"),
        (traits(listrak_list_3=False), "list_trait"),
        (traits(listrak_list_3=""), "list_trait"),
        (traits(listrak_list_3=1), "list_trait"),
        (traits(email=""), "empty_trait"),
    ],
)
def test_complaint(event: object, complaint: str) -> None:
    """Each fault is named, and named alone."""
    assert complaints(event) == [complaint]


def test_key_limit() -> None:
    """299 properties are fine."""
    assert complaints(TRACK | {"properties": {f"k{n}": 1 for n in range(299)}}) == []


def test_event_limit() -> None:
    """An event of more than 32,000 bytes is too large."""
    assert complaints(TRACK, 32_001) == ["event_bytes"]


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.1Z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02T03:04:05-05:00",
        "2024-02-29T23:59:59.999+14:00",
    ],
)
def test_instants(value: str) -> None:
    """A timestamp is date, time and zone."""
    assert is_instant(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1767323045,
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05z",
        "2026-01-02T03:04:05+0500",
        "2026-01-02T03:04:05,1Z",
        "2026-02-29T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        "2026-W01-1T03:04:05Z",
    ],
)
def test_no_instants(value: object) -> None:
    """Without a zone, without colons or with another calendar it is none."""
    assert not is_instant(value)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])))
def test_what_python_writes_is_an_instant(value: datetime) -> None:
    """Every aware date and time of Python's, written by it, is understood."""
    assert is_instant(value.isoformat())


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x"])
keys = st.sampled_from(["email_id", "order_total", "listrak_list_1", "user_agent"])
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(keys, leaves, max_size=4)
events = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "identify"]) | values},
    optional=dict.fromkeys(sorted({*TRACK, *IDENTIFY} - {"type"}), values),
)


@given(events)
def test_any_event_can_be_read(event: dict[str, Any]) -> None:
    """Whatever comes, the reader names complaints, each once, and doesn't break."""
    named = complaints(event)
    assert len(named) == len(set(named))


def test_bodies_and_batches() -> None:
    """475,000 bytes and 2,500 events of JSON are the most."""
    reader = StrictReader()
    reader.read_body(475_000, "application/json")
    reader.read_batch(2_500)
    assert not reader.complaints
    reader.read_body(475_001, "text/plain")
    reader.read_batch(2_501)
    assert reader.complaints == {"body_bytes": 1, "content_type": 1, "batch_events": 1}


def test_repeats() -> None:
    """A repeat is the same event; the order of its keys says nothing."""
    reader = StrictReader()
    reader.read_repeat(TRACK, dict(reversed(TRACK.items())))
    assert not reader.complaints
    reader.read_repeat(TRACK, TRACK | {"timestamp": "2026-01-02T03:04:06Z"})
    assert reader.complaints == {"changed_repeat": 1}


def test_examples() -> None:
    """Every complaint is counted; of each the first few are kept to look at."""
    reader = StrictReader()
    for number in range(20):
        reader.read_event(TRACK | {"messageId": f"m{number}", "userId": "u"}, 1)
    assert reader.complaints == {"track_user_id": 20}
    assert [f"m{n}" in text for n, text in enumerate(reader.examples["track_user_id"])] == [
        True
    ] * 5
