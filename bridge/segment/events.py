"""Segment events, each encoded once: fragments rendered a message, filled in an event.

Shapes: README.md, "What is sent"; Segment's spec for `track` and `identify`, and what it does with
events (FACTS.md: Events).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import xxhash

from bridge import NAME, VERSION
from bridge.listrak.wire import Origin

LARGEST_EVENT = 32_000
"""Bytes of UTF-8; Segment documents 32 KB (FACTS.md: Limits)."""

Fingerprint = bytes
"""The 128-bit hash of what happened: its messageId and its key follow from it."""

_KEY_BYTES = 8
_LIBRARY = msgspec.json.encode({"name": NAME, "version": VERSION}).decode()


def literal(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def identity(*parts: object) -> str:
    """What happened, as text to hash. Only the last part may hold anything, others no U+001F."""
    return "\x1f".join(map(str, parts))


def escaped(texts: Sequence[str]) -> list[str]:
    """Texts as JSON has them between the quotes; many at once, as a call for each costs more."""
    if not texts:
        return []
    encoded = msgspec.json.encode(texts).decode()
    if "\\" in encoded:
        return [literal(text)[1:-1] for text in texts]
    # Nothing is escaped, so a quote ends or begins a text.
    return encoded[2:-2].split('","')


def digest(what: bytes) -> Fingerprint:
    """The fingerprint of an identity."""
    return xxhash.xxh3_128_digest(what)


def key(fingerprint: Fingerprint) -> int:
    """The 64 bits by which the ledger remembers an event."""
    return int.from_bytes(fingerprint[:_KEY_BYTES])


def message_id(fingerprint: Fingerprint) -> str:
    """The messageId, 40 characters: the same for ever for what happened.

    Segment takes 99 (FACTS.md: Limits), and knows repeats by nothing else (FACTS.md: Dedup).
    """
    return f"listrak-{fingerprint.hex()}"


def properties_of(values: Mapping[str, str | float | None]) -> str:
    """Properties as JSON text; those without a value are left out."""
    return literal({name: value for name, value in values.items() if value not in (None, "")})


def merged(properties: str, more: Mapping[str, str | float | None]) -> str:
    """Properties as JSON text with more of them, which win."""
    known: dict[str, str | float] = msgspec.json.decode(properties)
    return properties_of({**known, **more})


def track(
    event: str,
    fingerprint: Fingerprint,
    email: str,
    timestamp: str,
    properties: str,
    origin: Origin | None = None,
) -> bytes:
    """A track event. `email` and `properties` are JSON text, `timestamp` is an instant or "".

    Never with a userId: the email address is who it is about.
    """
    when = f'"timestamp":"{timestamp}",' if timestamp else ""
    context = _origin(origin) if origin else ""
    return (
        f'{{"type":"track","messageId":"{message_id(fingerprint)}","anonymousId":{email},'
        f'"event":"{event}",{when}"properties":{properties},'
        f'"context":{{"library":{_LIBRARY},"traits":{{"email":{email}}}{context}}}}}'
    ).encode()


def tracks(
    event: str,
    fingerprints: Sequence[Fingerprint],
    emails: Sequence[str],
    timestamps: Sequence[str],
    properties: str,
) -> list[bytes]:
    """As `track`, for many events that share name and properties; `emails` are plain texts."""
    start = '{"type":"track","messageId":"listrak-'
    who = '","anonymousId":"'
    when = f'","event":"{event}","timestamp":"'
    what = f'","properties":{properties},"context":{{"library":{_LIBRARY},"traits":{{"email":"'
    end = '"}}}'
    return [
        f"{start}{fingerprint.hex()}{who}{email}{when}{timestamp}{what}{email}{end}".encode()
        for fingerprint, email, timestamp in zip(
            fingerprints, escaped(emails), timestamps, strict=True
        )
    ]


def identify(
    fingerprint: Fingerprint, email: str, list_id: int, *, subscribed: bool, user_id: str | None
) -> bytes:
    """An identify. `email` is JSON text; a trait of null removes it from the profile.

    Source: Segment's documentation (FACTS.md: Events).
    """
    user = f'"userId":{literal(user_id)},' if user_id else ""
    return (
        f'{{"type":"identify","messageId":"{message_id(fingerprint)}","anonymousId":{email},{user}'
        f'"traits":{{"email":{email},"listrak_list_{list_id}":{"true" if subscribed else "null"}}},'
        f'"context":{{"library":{_LIBRARY}}}}}'
    ).encode()


def problem(email: str | None, event: bytes) -> str | None:
    """Why Segment would not take the event, perhaps without a word; None if it would.

    An answer of 200 doesn't tell (FACTS.md: Events).
    """
    if not email or not email.strip():
        return "no email address, so nobody it could be about"
    if len(event) > LARGEST_EVENT:
        return f"larger than Segment takes: {len(event)} bytes, at most {LARGEST_EVENT}"
    return None


def _origin(origin: Origin) -> str:
    text = f',"ip":{literal(origin.ip)}' if origin.ip else ""
    if origin.user_agent:
        # Destinations read userAgent, the email spec says user_agent (FACTS.md: Events).
        agent = literal(origin.user_agent)
        text += f',"userAgent":{agent},"user_agent":{agent}'
    return text
