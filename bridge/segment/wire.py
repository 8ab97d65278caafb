"""Segment's HTTP Tracking API without I/O: its requests, and the meaning of its answers."""

from base64 import b64encode
from enum import Enum
from typing import Any

import msgspec

from bridge.compression import compressed
from bridge.transport.http import Answer

HEAD, TAIL = b'{"batch":[', b"]}"


class Verdict(Enum):
    """The meaning of an answer to a batch, for the caller (FACTS.md: Answers)."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # passes by itself: send it again
    SPLIT = "split"  # something in it is refused: find out what
    DENIED = "denied"  # the write key or the sender's address is refused: pause and say so
    FOREIGN = "foreign"  # it isn't Segment that answers: send it again


def verdict(answer: Answer) -> Verdict:
    """The meaning of an answer. No answer makes the bridge drop anything.

    Source: Segment's documentation, and what its SDKs send again (FACTS.md: Answers). What follows
    of each stands in bridge/ANSWERS.md.
    """
    status = answer.status
    if 200 <= status < 300:
        return Verdict.ACCEPTED if _says_accepted(answer.body) else Verdict.FOREIGN
    if status < 400:
        return Verdict.FOREIGN
    if status in (400, 413, 422):
        return Verdict.SPLIT
    if status in (408, 410, 429, 460) or (status >= 500 and status not in (501, 505)):
        return Verdict.RETRY
    return Verdict.DENIED


def _says_accepted(body: bytes) -> bool:
    """Tells whether a body is JSON that doesn't say otherwise: portals answer 200 as well.

    An object that says something, and nothing of success, comes from somebody else.
    """
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    is_success = said.get("success") is True if said else True
    return is_success and said.get("error") is None and said.get("code") is None


def body(events: list[bytes]) -> bytes:
    """A batch of encoded events, one at least, gzipped.

    `sentAt` is left out: a timestamp needs no correction (FACTS.md: Timestamps).
    """
    # Joined once: copying half a megabyte again for a frame of twelve bytes would cost time.
    framed = [HEAD + events[0], *events[1:]]
    framed[-1] += TAIL
    return compressed(b",".join(framed))


def size(events: int, event_bytes: int) -> int:
    """Bytes of a batch before compression, given the number of events and their bytes."""
    return len(HEAD) + len(TAIL) + event_bytes + max(0, events - 1)


def headers(write_key: str) -> dict[str, str]:
    """Headers with the write key as user name, without a password (FACTS.md: Access)."""
    return {
        "Authorization": "Basic " + b64encode(f"{write_key}:".encode()).decode(),
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }
