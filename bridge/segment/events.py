"""Segment events, each encoded once: fragments rendered a message, filled in an event.

Shapes: DESIGN of the contract; Segment's spec for `track` and `identify`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import xxhash

from bridge import NAME, VERSION
from bridge.listrak.wire import Origin

LARGEST_EVENT = 32_000
"""Bytes of UTF-8; Segment documents 32 KB and drops larger events silently (segment/FACTS)."""

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
    """The messageId, 40 characters (Segment takes 99): the same for ever for what happened."""
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
    """An identify. `email` is JSON text; a trait of null removes it from the profile."""
    user = f'"userId":{literal(user_id)},' if user_id else ""
    return (
        f'{{"type":"identify","messageId":"{message_id(fingerprint)}","anonymousId":{email},{user}'
        f'"traits":{{"email":{email},"listrak_list_{list_id}":{"true" if subscribed else "null"}}},'
        f'"context":{{"library":{_LIBRARY}}}}}'
    ).encode()


def problem(email: str | None, event: bytes) -> str | None:
    """Why Segment would drop the event without a word; None if it would not."""
    if not email or not email.strip():
        return "no email address, so nobody it could be about"
    if len(event) > LARGEST_EVENT:
        return f"larger than Segment takes: {len(event)} bytes, at most {LARGEST_EVENT}"
    return None


def _origin(origin: Origin) -> str:
    text = f',"ip":{literal(origin.ip)}' if origin.ip else ""
    if origin.user_agent:
        # Destinations read userAgent, the email spec says user_agent (segment/FACTS).
        agent = literal(origin.user_agent)
        text += f',"userAgent":{agent},"user_agent":{agent}'
    return text
