"""A read request to the emulated Listrak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from .clock import WallClock
from .pages import InvalidParameterError

DateTest = Callable[[datetime | None], bool]


class ReadRequest(NamedTuple):
    """A read request. An improper value of it is an InvalidParameterError.

    ids: those of the path, by their names in the route.
    """

    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]

    def id(self, name: str) -> int:
        """An id from the path."""
        text = self.ids[name]
        if not text.isascii() or not text.isdigit():
            raise InvalidParameterError(name)
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        """The value of a boolean parameter."""
        text = self.query.get(name, str(default)).lower()
        if text not in ("true", "false"):
            raise InvalidParameterError(name)
        return text == "true"

    def between(
        self, wall: WallClock, *, exclusive: bool = False, undated: bool = False
    ) -> DateTest:
        """A test of startDate and endDate on local time; `undated`: None passes a filter."""
        start, end = self._date(wall, "startDate"), self._date(wall, "endDate")
        if start is None and end is None:
            return always

        def within(date: datetime | None) -> bool:
            if date is None:
                return undated
            local = wall.at(date)
            if start is not None and local < start:
                return False
            return end is None or local < end or (local == end and not exclusive)

        return within

    def _date(self, wall: WallClock, name: str) -> datetime | None:
        text = self.query.get(name)
        if not text:
            return None
        try:
            return wall.read(text)
        except ValueError as error:
            raise InvalidParameterError(name) from error


def always(_: datetime | None) -> bool:
    """The test that every date passes, and None as well."""
    return True
