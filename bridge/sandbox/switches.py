"""The switches of the emulated Listrak: one for each unknown of the real one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal


@dataclass(kw_only=True)
class Switches:
    """The behaviour of the emulator; may be changed while it runs.

    activity_type: `activityType` filters, is ignored, or is refused (400).
    email_address: `emailAddress` of Activity filters, is ignored, or is refused (400).
    date_type: `dateType=Activity` goes by the row's first activity, or its latest.
    conversation_dates: dates for conversation messages go by the send date ("send"), by dateType
        ("type"), are "ignored", or "refused" (400).
    counters_lag: seconds of the world's time by which Summary and clickCount are behind the rows.
    rows_late: seconds up to which rows and clicks show late, out of order.
    summary: the Summary is exact, or counts a little more or less than the rows show.
    cursor_style: `nextPageCursor` is a token, or the full URI of the next page.
    cursor_lifetime: seconds of the world's time until a cursor is refused; None for no end.
    empty_pages: ratio of pages that are empty with more behind them, 0 to below 1.
    page_rows: rows of a page at most, whatever `count` says; None for `count`.
    undated: messages without a send date pass a date filter, or are dropped by it.
    extra_fields: rows have undocumented fields, client addresses too.
    paused: the integration is paused: 401 to everything.
    """

    activity_type: Literal["filters", "ignored", "refused"] = "ignored"
    email_address: Literal["filters", "ignored", "refused"] = "filters"
    date_type: Literal["first", "latest"] = "first"
    conversation_dates: Literal["send", "type", "ignored", "refused"] = "send"
    counters_lag: float = 0.0
    rows_late: float = 0.0
    summary: Literal["exact", "more", "less"] = "exact"
    cursor_style: Literal["token", "uri"] = "token"
    cursor_lifetime: float | None = None
    empty_pages: float = 0.0
    page_rows: int | None = None
    undated: Literal["kept", "dropped"] = "dropped"
    extra_fields: bool = False
    paused: bool = False

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}")
        if not 0 <= self.empty_pages < 1:
            raise ValueError("empty_pages is a share from 0 to below 1")
        for name in ("counters_lag", "rows_late"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is a number of seconds")

    @classmethod
    def parse(cls, text: str) -> Switches:
        """Parses `date_type=latest,empty_pages=0.2,extra_fields=true`; ValueError for any other."""
        names = [f.name for f in dataclasses.fields(cls)]
        given: dict[str, object] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in names:
                raise ValueError(f"no switch {name!r}; there are {', '.join(names)}")
            if name in ("extra_fields", "paused"):
                if value not in ("true", "false"):
                    raise ValueError(f"{name} is true or false")
                given[name] = value == "true"
            elif name == "page_rows":
                given[name] = int(value)
            else:
                given[name] = value if name in CHOICES else float(value)
        return cls(**given)  # type: ignore[arg-type]  # __post_init__ checks them


CHOICES = {
    "activity_type": ("filters", "ignored", "refused"),
    "email_address": ("filters", "ignored", "refused"),
    "date_type": ("first", "latest"),
    "conversation_dates": ("send", "type", "ignored", "refused"),
    "summary": ("exact", "more", "less"),
    "cursor_style": ("token", "uri"),
    "undated": ("kept", "dropped"),
}
