"""Segment events: their shape, their ids, and what Segment would drop."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import NAME, VERSION
from bridge.listrak.origin import Origin
from bridge.segment import events

# Any text but lone surrogates, which are no text to JSON.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(['"', "\\", "\0", "\x1f", "\x7f", "\u2028", "🎉", "é", "/", "<"])
)
FINGERPRINTS = st.binary(min_size=16, max_size=16)
ONE = bytes(15) + b"\1"
INSTANTS = st.sampled_from(["2026-01-02T03:04:05.678Z", "2026-11-01T05:30:00.000Z"])
LIBRARY = {"name": NAME, "version": VERSION}


def without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


@given(
    st.sampled_from(["Email Sent", "Email Link Clicked", "Unsubscribed"]),
    FINGERPRINTS,
    TEXT,
    st.sampled_from(["2026-01-02T03:04:05.678Z", ""]),
    st.dictionaries(TEXT, TEXT | st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    st.none() | st.builds(Origin, st.none() | TEXT, st.none() | TEXT),
)
def test_track(
    name: str,
    fingerprint: bytes,
    email: str,
    timestamp: str,
    properties: dict[str, Any],
    origin: Origin | None,
) -> None:
    """A track is what the contract says, of any texts: nothing more, and never a userId."""
    encoded = events.Track(
        name,
        fingerprint,
        events.literal(email),
        timestamp,
        events.properties_of(properties),
        origin,
    ).encode()
    expected: dict[str, Any] = {
        "type": "track",
        "messageId": f"listrak-{fingerprint.hex()}",
        "anonymousId": email,
        "event": name,
        "properties": without_nothing(properties),
        "context": {"library": LIBRARY, "traits": {"email": email}},
    }
    if timestamp:
        expected["timestamp"] = timestamp
    if origin and origin.ip:
        expected["context"]["ip"] = origin.ip
    if origin and origin.user_agent:
        expected["context"]["userAgent"] = origin.user_agent
        expected["context"]["user_agent"] = origin.user_agent
    assert json.loads(encoded) == expected


@given(
    st.sampled_from(["Email Sent", "Email Opened"]),
    st.lists(st.tuples(FINGERPRINTS, TEXT, INSTANTS), max_size=8),
    st.dictionaries(TEXT, TEXT),
)
def test_tracks(name: str, rows: list[tuple[bytes, str, str]], properties: dict[str, Any]) -> None:
    """Many at once are, to the byte, what each is by itself."""
    text = events.properties_of(properties)
    together = events.tracks(
        name,
        [fingerprint for fingerprint, _, _ in rows],
        [email for _, email, _ in rows],
        [timestamp for _, _, timestamp in rows],
        text,
    )
    assert together == [
        events.Track(name, fingerprint, events.literal(email), timestamp, text).encode()
        for fingerprint, email, timestamp in rows
    ]


@given(st.lists(TEXT | st.text('",\\')))
def test_escaped(texts: list[str]) -> None:
    """Texts escaped together are those escaped one by one, whatever quotes and commas they have."""
    assert events.escaped(texts) == [events.literal(text)[1:-1] for text in texts]


@given(FINGERPRINTS, TEXT, st.integers(0, 10**10), st.booleans(), st.none() | TEXT)
def test_identify(
    fingerprint: bytes, email: str, list_id: int, subscribed: bool, user_id: str | None
) -> None:
    """An identify sets the list's trait while subscribed, and removes it by null afterwards."""
    at = "2026-05-10T12:00:00.001Z"
    encoded = events.Identify(
        fingerprint, events.literal(email), at, list_id, subscribed, user_id
    ).encode()
    expected: dict[str, Any] = {
        "type": "identify",
        "messageId": f"listrak-{fingerprint.hex()}",
        "anonymousId": email,
        "timestamp": at,
        "traits": {"email": email, f"listrak_list_{list_id}": True if subscribed else None},
        "context": {"library": LIBRARY},
    }
    if user_id:
        expected["userId"] = user_id
    assert json.loads(encoded) == expected


def track(email: str, properties: str = "{}") -> bytes:
    """A track event without a timestamp; both are JSON text."""
    return events.Track("Email Sent", ONE, email, "", properties).encode()


@pytest.mark.parametrize("email", ["zoë@exämple.de", "用户@例子.公司", "🎉@example.com"])
def test_scripts_pass_unchanged(email: str) -> None:
    """Other scripts and emoji stand in the event as they are, not escaped."""
    encoded = track(events.literal(email))
    assert email in encoded.decode()


@given(
    st.dictionaries(TEXT, TEXT | st.none()),
    st.dictionaries(TEXT, TEXT | st.none() | st.integers(0, 9)),
)
def test_merged(known: dict[str, Any], more: dict[str, Any]) -> None:
    """Further properties are put to known ones and win, unless they have no value."""
    found = json.loads(events.merged(events.properties_of(known), more))
    assert found == without_nothing({**without_nothing(known), **more})


def test_zero_is_a_value() -> None:
    """What has no value is left out; 0 is one."""
    found = events.properties_of({"a": None, "b": "", "c": 0, "d": "0", "e": 0.0})
    assert json.loads(found) == {"c": 0, "d": "0", "e": 0.0}


# Ids


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("Email Sent", 1, "zoe@example.com"), "listrak-b843a646f1877d236e8059592817693c"),
        (
            ("Email Opened", 5, "broadcast", 7, "2026-01-02T03:04:05", "zoë@exämple.de"),
            "listrak-f6082b668b47d6b6b494fe719c72a263",
        ),
        (
            ("Unsubscribed", 5, "2026-01-02T03:04:05.65", "🎉@example.com"),
            "listrak-76df750e226cb3594f470e9ddc68d60c",
        ),
        (
            ("identify", 5, 1, "subscribed", '"77"', "zoe@example.com"),
            "listrak-d615840578d8c8c9da907579c07122e6",
        ),
        (("", ""), "listrak-153283be9f2a26d405087bbed866d0de"),
    ],
)
def test_ids_for_ever(parts: tuple[object, ...], expected: str) -> None:
    """The id of what happened never changes: an update must not send anything twice."""
    assert events.message_id(events.digest(events.identity(*parts).encode())) == expected


PARTS = st.tuples(
    st.sampled_from(["Email Sent", "Email Opened", "identify"]),
    st.integers(0, 10**9),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f")),
    TEXT,
)


@given(PARTS, PARTS)
def test_ids_tell_apart(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    """Different happenings have different ids and keys, the same one the same."""
    a, b = (events.digest(events.identity(*parts).encode()) for parts in (one, other))
    same = tuple(map(str, one)) == tuple(map(str, other))
    assert (events.message_id(a) == events.message_id(b)) is same
    assert (events.key(a) == events.key(b)) is same


@given(TEXT, TEXT)
def test_ids_tell_similar_parts_apart(a: str, b: str) -> None:
    """What belongs to one part can't be taken for another's."""
    if "\x1f" not in a + b and (a, b) != (a + b, ""):
        assert events.identity(a, b) != events.identity(a + b, "")


@given(FINGERPRINTS)
def test_ids_are_short(fingerprint: bytes) -> None:
    """An id has 40 characters, of the 99 that Segment takes; it is the one in the events."""
    found = events.message_id(fingerprint)
    assert len(found) == 40 <= 99
    assert found in events.Track("Email Sent", fingerprint, '""', "", "{}").encode().decode()
    assert 0 <= events.key(fingerprint) < 2**64
    assert found.startswith(f"listrak-{events.key(fingerprint):016x}")


# What Segment would drop


@pytest.mark.parametrize("email", [None, "", " ", "\t\n"])
def test_nobody(email: str | None) -> None:
    """An event about nobody would be dropped without a word."""
    said = events.problem(email, track(events.literal(email)))
    assert said is not None
    assert "email" in said


@pytest.mark.parametrize(("size", "good"), [(1, True), (32_000, True), (32_001, False)])
def test_size(size: int, good: bool) -> None:
    """An event may have 32,000 bytes of UTF-8."""
    said = events.problem("zoe@example.com", b"x" * size)
    assert (said is None) is good
    assert said is None or str(size) in said


def test_size_is_that_of_utf8() -> None:
    """Bytes count, not characters."""
    properties = events.properties_of({"email_subject": "🎉" * 8000})
    event = track('"zoe@example.com"', properties)
    assert len(event.decode()) < events.LARGEST_EVENT < len(event)
    assert events.problem("zoe@example.com", event) is not None
