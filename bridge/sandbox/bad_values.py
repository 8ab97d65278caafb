"""A fault of Listrak's rows: one field of some of them has a value that it can't have."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from .fault import Fault

Json = dict[str, Any]


def _again(value: Any) -> Any:
    """A form of a value that nobody expects, and that can't be taken for another."""
    match value:
        case bool():
            return int(value)
        case int() | float():
            return str(value)
        case str():
            return f"{value[:1]}\0{value[1:]}"
    return value


VALUES: dict[str, Callable[[Any], Any]] = {
    "again": _again,
    "null": lambda _: None,
    "text": lambda _: "perhaps",
    "number": lambda _: 2.5,
    "negative": lambda _: -4,
    "huge": lambda _: 2**63,
    "nan": lambda _: float("nan"),
    "infinity": lambda _: float("inf"),
    "list": lambda value: [value],
    "object": lambda value: {"value": value},
    "half": lambda value: f"{value}\ud83d",
    "long": lambda _: "x" * 100_000,
}
"""Makers of what stands in place of a value, by name."""


@dataclass
class BadValues(Fault):
    """A bad value in one field of some rows, the same ones at each request.

    what: one of VALUES.
    of: name of the field; "" for the row itself.
    share: of rows that are hit, told apart by their address or id.
    draws: pairs of `of` and `what`, where it is more than one kind: each row is hit by one at most.
    spoiled: rows that were hit so far, by path and identity: as they were, and by which field.
    """

    name = "bad_values"
    what: str = "text"
    of: str = ""
    share: float = 0.2
    draws: Sequence[tuple[str, str]] = field(default=(), init=False)
    spoiled: dict[tuple[str, str], tuple[Json, str]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a kind of value that isn't there."""
        if self.what not in VALUES:
            raise ValueError(f"no bad value {self.what!r}; there are {', '.join(VALUES)}")

    @classmethod
    def drawn(cls, draws: Sequence[tuple[str, str]], share: float, path: str) -> BadValues:
        """A fault of several kinds."""
        made = cls(share=share, path=path)
        made.draws = draws
        return made

    async def serve(self, request: web.Request, handler: Handler, /) -> web.StreamResponse:
        """Answers with the handler's rows, some of them spoilt."""
        answer = await handler(request)
        if not isinstance(answer, web.Response) or answer.status != 200 or answer.text is None:
            return answer
        envelope: Any = json.loads(answer.text)
        data = envelope.get("data") if isinstance(envelope, dict) else None
        if isinstance(data, list):
            envelope["data"] = [self._spoilt(request.path, row) for row in data]
        elif isinstance(data, dict):
            envelope["data"] = self._spoilt(request.path, data)
        return web.Response(text=json.dumps(envelope), content_type="application/json")

    def _spoilt(self, path: str, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        who = "/".join(str(value) for name, value in row.items() if _tells_apart(name))
        chance = zlib.crc32(f"{self.path}/{who}".encode(errors="replace"))
        if chance % 1000 >= self.share * 1000:
            return row
        draws = [*(self.draws or ((self.of, self.what),))]
        of, what = draws[chance // 1000 % len(draws)]
        if of and of not in row:
            return row
        self.spoiled.setdefault((path, who), (row, "" if what == "again" else of or "row"))
        return {**row, of: VALUES[what](row[of])} if of else VALUES[what](row)


def _tells_apart(name: str) -> bool:
    return name in ("emailAddress", "sendDate", "clickDate") or name.endswith("Id")
