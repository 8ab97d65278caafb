"""The faults that are in force on a server, injected in front of an emulator."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler as Handler
from aiohttp.typedefs import Middleware

from .bad_answers import (
    Blank,
    Charset,
    CutShort,
    Echo,
    NoHttp,
    NotPacked,
    Poison,
    Redirect,
    Slow,
    Throttle,
    WrongType,
)
from .bad_values import BadValues
from .fault import (
    Circle,
    Deep,
    Denial,
    Empty,
    ExpireToken,
    Fault,
    Garbage,
    Huge,
    Latency,
    Lost,
    Reset,
    Silent,
    Status,
    Torn,
    WrongDate,
)

KINDS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        *(Latency, Status, Reset, Lost, Torn, Silent, Garbage, Empty, ExpireToken),
        *(Huge, Deep, Circle, Denial, BadValues, WrongDate),
        *(Blank, WrongType, Redirect, NotPacked, CutShort, Charset, NoHttp, Slow),
        *(Echo, Throttle, Poison),
    )
}


class Faults:
    """The faults in force on one server; the first hit decides, latency adds up.

    Requests below `/_sandbox/` are spared.
    """

    def __init__(self, *faults: Fault | str, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._faults: list[Fault] = []
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, fault: Fault | str) -> Fault:
        """Puts a fault, or the text of one, into force. ValueError as in `parse`."""
        added = self.parse(fault) if isinstance(fault, str) else fault
        self._faults.append(added)
        return added

    def clear(self) -> None:
        """Lifts all faults; requests that they delay go on at once."""
        for fault in self._faults:
            fault.lifted.set()
        self._faults.clear()

    async def shutdown(self, _app: web.Application) -> None:
        """Lifts all faults, for `app.on_shutdown`."""
        self.clear()

    @staticmethod
    def catalogue() -> str:
        """The faults by name, each with its options as they come, and what it is."""
        lines = [
            "# path=TEXT (or TEXT$, its end), times=N and probability=0.1 go with each of them"
        ]
        for name, kind in sorted(KINDS.items()):
            own = [f for f in dataclasses.fields(kind) if f.init and not f.kw_only]
            options = ",".join(f"{f.name}={_told(f.default)}" for f in own)
            about = (kind.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n    ", " ")
            lines += [f"{name}:{options}" if options else name, f"    {about}"]
        return "\n".join(lines)

    @staticmethod
    def parse(text: str) -> Fault:
        """Parses `name[:value][,option=value...]`, as `status:503,times=3,path=Activity`.

        The bare value is the first option of the fault. ValueError names what is not known.
        """
        name, _, rest = text.strip().partition(":")
        if "," in name:
            name, _, rest = text.strip().partition(",")
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"no fault {name!r}; there are {', '.join(KINDS)}")
        types = {f.name: str(f.type) for f in dataclasses.fields(kind) if f.init}
        first = next((f.name for f in dataclasses.fields(kind) if f.init and not f.kw_only), None)
        options: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            key, equals, value = part.partition("=")
            if not equals and first is not None and not options:
                key, value = first, part
            if key not in types:
                raise ValueError(f"{name} has no option {key!r}; it has {', '.join(types)}")
            options[key] = _read(types[key], value)
        return kind(**options)

    @property
    def middleware(self) -> Middleware:
        """The middleware for `web.Application(middlewares=[faults.middleware])`."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/_sandbox/"):
                return await handler(request)
            waiting = iter(tuple(self._faults))

            async def follow(request: web.Request) -> web.StreamResponse:
                for fault in waiting:
                    if fault.strikes(request, self._rng):
                        return await fault.serve(request, follow)
                return await handler(request)

            return await follow(request)

        return strike


def _told(value: object) -> object:
    """An option's value as it is written."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def _read(kind: str, value: str) -> object:
    """The value of an option's text, of its declared type. ValueError when it isn't one."""
    if kind.startswith("int"):
        return int(value)
    if kind.startswith("float"):
        return float(value)
    if kind.startswith("bool"):
        if value not in ("true", "false"):
            raise ValueError(f"{value!r} is neither true nor false")
        return value == "true"
    return value
