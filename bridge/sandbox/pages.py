"""The pages of a scan, and their cursors."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from .switches import Switches

T = TypeVar("T")

START = "Start"
DEFAULT_COUNT = 1000


class InvalidParameterError(Exception):
    """A refusal of a parameter's value; carries the parameter's name."""


class OversizeError(Exception):
    """A request for more rows than a page may have."""


class Place(NamedTuple):
    """A scan's progress.

    seen: rows read so far.
    length: rows that were there at its start.
    salt: seed of the order of these.
    issued: when the cursor was made, in seconds since 1970.
    """

    seen: int
    length: int
    salt: int
    issued: float


class Pages:
    """A cutter of scans into pages, without a memory of them.

    Rows that exist when a scan begins come in an order shuffled by its salt, later ones after them,
    each as it is by the time of its page. A cursor carries its place, signed, and is good for the
    same path and filters only.
    """

    def __init__(self, switches: Switches, *, max_page: int = 5000, seed: int = 0) -> None:
        self._switches = switches
        self._max_page = max_page
        self._rng = random.Random(seed)
        self._key = self._rng.randbytes(16)

    def page(
        self,
        path: str,
        query: Mapping[str, str],
        rows: Sequence[T],
        show: Callable[[T], dict[str, Any] | None],
        now: datetime,
    ) -> dict[str, Any]:
        """The envelope of one page. Raises InvalidParameterError, OversizeError.

        rows: may only grow at its end between the pages of a scan.
        show: renders a row, None for one that is filtered out.
        """
        count = self._count(query)
        scan = path + "?" + urlencode(sorted((k, v) for k, v in query.items() if k not in _PAGING))
        cursor = query.get("cursor") or START
        if cursor == START:
            place = Place(0, len(rows), self._rng.getrandbits(32), now.timestamp())
        else:
            place = self._open(scan, cursor)
            lifetime = self._switches.cursor_lifetime
            if lifetime is not None and now - _instant(place, now) > timedelta(seconds=lifetime):
                raise InvalidParameterError("cursor")
        data: list[dict[str, Any]] = []
        seen = place.seen
        if not (seen < len(rows) and self._rng.random() < self._switches.empty_pages):
            stride = _stride(place)
            while seen < len(rows) and len(data) < count:
                index = seen
                if seen < place.length:
                    index = (seen * stride + place.salt) % place.length
                row = show(rows[index])
                if row is not None:
                    data.append(row)
                seen += 1
        following = None
        if seen < len(rows):
            following = self._seal(scan, place._replace(seen=seen, issued=now.timestamp()))
            if self._switches.cursor_style == "uri":
                kept = {**query, "cursor": following}
                following = f"https://api.listrak.com{path}?{urlencode(kept, quote_via=quote)}"
        return {"status": 200, "nextPageCursor": following, "data": data}

    def _count(self, query: Mapping[str, str]) -> int:
        text = query.get("count", str(DEFAULT_COUNT))
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            raise InvalidParameterError("count")
        if int(text) > self._max_page:
            raise OversizeError
        return min(int(text), self._switches.page_rows or self._max_page)

    def _seal(self, scan: str, place: Place) -> str:
        """A token in base64 that does not survive a query string unencoded."""
        while True:
            nonce = self._rng.randbytes(4)
            body = nonce + _mask(_PLACE.pack(*place), nonce)
            token = base64.b64encode(body + self._sign(scan, body)).decode()
            if "+" in token and "/" in token:
                return token

    def _open(self, scan: str, token: str) -> Place:
        try:
            raw = base64.b64decode(token, validate=True)
            body, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
            if signature != self._sign(scan, body):
                raise InvalidParameterError("cursor")
            return Place(*_PLACE.unpack(_mask(body[4:], body[:4])))
        except (ValueError, struct.error) as error:
            raise InvalidParameterError("cursor") from error

    def _sign(self, scan: str, body: bytes) -> bytes:
        data = scan.encode() + b"\0" + body
        return hashlib.blake2b(data, key=self._key, digest_size=_SIGNATURE).digest()


_PAGING = frozenset(("cursor", "count"))
_PLACE = struct.Struct(">QQId")
_SIGNATURE = 8  # with nonce and place 40 bytes: one "=" at the end of the base64


def _mask(data: bytes, nonce: bytes) -> bytes:
    stream = hashlib.blake2b(nonce, digest_size=len(data) or 1).digest()
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _stride(place: Place) -> int:
    """A step coprime to the length, so that it visits every row once."""
    stride = place.salt % max(place.length, 1) | 1
    while math.gcd(stride, place.length) > 1:
        stride += 2 if place.length % 2 == 0 else 1
    return stride


def _instant(place: Place, like: datetime) -> datetime:
    return datetime.fromtimestamp(place.issued, like.tzinfo)
