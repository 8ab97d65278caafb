"""Segment events as JSON text; what the events of a message have in common is encoded once.

Shapes: README.md, "What is sent"; Segment's spec for `track` and `identify`, and what it does with
events (FACTS.md: Events).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import xxhash

from bridge import NAME, VERSION
from bridge.listrak.origin import Origin

LARGEST_EVENT = 32_000
"""Bytes of UTF-8 of an event at most; Segment documents 32 KB (FACTS.md: Limits)."""

Fingerprint = bytes
"""The 128-bit hash of an event's identity; its messageId and its key are made of it."""

_KEY_BYTES = 8
_LIBRARY = msgspec.json.encode({"name": NAME, "version": VERSION}).decode()


def literal(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def identity(*parts: object) -> str:
    """The identity of an event, as text to hash. Only the last part may hold U+001F."""
    return "\x1f".join(map(str, parts))


def escaped(texts: Sequence[str]) -> list[str]:
    """Texts escaped for JSON, without quotes; many at once, as a call for each costs more."""
    if not texts:
        return []
    encoded = msgspec.json.encode(texts).decode()
    if "\\" in encoded:
        return [literal(text)[1:-1] for text in texts]
    # Nothing is escaped, so a quote ends or begins a text.
    return encoded[2:-2].split('","')


digest: Final[Callable[[bytes], Fingerprint]] = xxhash.xxh3_128_digest
"""The fingerprint of an identity. It is taken of each event: a call on the way would show."""


def key(fingerprint: Fingerprint) -> int:
    """The 64 bits by which the ledger remembers an event."""
    return int.from_bytes(fingerprint[:_KEY_BYTES])


def message_id(fingerprint: Fingerprint) -> str:
    """The messageId of a fingerprint, 40 characters: the same however often the event is made.

    Segment accepts 99 (FACTS.md: Limits), and knows repeats by nothing else (FACTS.md: Dedup).
    """
    return f"listrak-{fingerprint.hex()}"


class Envelope(msgspec.Struct, rename="camel"):
    """The fields that every encoded event has.

    event: name of a track, None for an identify.
    timestamp: an instant, "" for none.
    """

    type: str
    message_id: str
    event: str | None = None
    timestamp: str = ""

    @property
    def name(self) -> str:
        """The event's name; `identify` for an identify."""
        return self.event or self.type


def envelope(event: bytes) -> Envelope:
    """The envelope of an encoded event."""
    return msgspec.json.decode(event, type=Envelope)


def properties_of(values: Mapping[str, str | float | None]) -> str:
    """Properties as JSON text; those without a value are left out."""
    return literal({name: value for name, value in values.items() if value not in (None, "")})


def merged(properties: str, more: Mapping[str, str | float | None]) -> str:
    """Properties as JSON text with `more` of them, which replace others of their name."""
    known: dict[str, str | float] = msgspec.json.decode(properties)
    return properties_of({**known, **more})


class Track(NamedTuple):
    """A track event. It has no userId: the email address tells whom it is about.

    email: JSON text.
    timestamp: an instant; "" for none.
    properties: JSON text.
    origin: None if it isn't known.
    """

    name: str
    fingerprint: Fingerprint
    email: str
    timestamp: str
    properties: str
    origin: Origin | None = None

    def encode(self) -> bytes:
        """The event as it is sent."""
        when = f'"timestamp":"{self.timestamp}",' if self.timestamp else ""
        context = _origin(self.origin) if self.origin else ""
        email = self.email
        return (
            f'{{"type":"track","messageId":"{message_id(self.fingerprint)}","anonymousId":{email},'
            f'"event":"{self.name}",{when}"properties":{self.properties},'
            f'"context":{{"library":{_LIBRARY},"traits":{{"email":{email}}}{context}}}}}'
        ).encode()


def tracks(
    event: str,
    fingerprints: Sequence[Fingerprint],
    emails: Sequence[str],
    timestamps: Sequence[str],
    properties: str,
) -> list[bytes]:
    """Many encoded track events of one name, with the same properties.

    emails: plain texts.
    timestamps: instants.
    properties: JSON text.
    """
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


class Identify(NamedTuple):
    """An identify event: what is known of a contact of a list.

    email: JSON text.
    timestamp: the instant of the reading that showed it: profiles take what is latest (FACTS.md:
        Timestamps).
    user_id: None for none.
    """

    fingerprint: Fingerprint
    email: str
    timestamp: str
    list_id: int
    subscribed: bool
    user_id: str | None

    def encode(self) -> bytes:
        """The event as it is sent. A null takes the trait off the profile (FACTS.md: Events)."""
        email, user = self.email, f'"userId":{literal(self.user_id)},' if self.user_id else ""
        trait = f'"listrak_list_{self.list_id}":{"true" if self.subscribed else "null"}'
        return (
            f'{{"type":"identify","messageId":"{message_id(self.fingerprint)}",'
            f'"anonymousId":{email},{user}"timestamp":"{self.timestamp}",'
            f'"traits":{{"email":{email},{trait}}},"context":{{"library":{_LIBRARY}}}}}'
        ).encode()


def for_warehouses(event: bytes) -> bytes:
    """An encoded event that reaches no destination but warehouses (FACTS.md: Events)."""
    return event[:-1] + b',"integrations":{"All":false}}'


def problem(email: str | None, event: bytes) -> str | None:
    """The reason why Segment would drop an event, None for none.

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
