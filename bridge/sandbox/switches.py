"""The switches of the emulated Listrak: one for each thing that is not known of the real one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal


@dataclass(kw_only=True)
class Switches:
    """May be changed while the emulator runs.

    activity_type: what `activityType` does: filters, is ignored, is refused (400).
    date_type: what `dateType=Activity` goes by: the row's first activity, or its latest.
    conversation_dates: what dates do for conversation messages: "send": they go by the send date;
        "type": dateType works there as well; they are "ignored", or "refused" (400).
    counters_lag: seconds of the world's time by which Summary and clickCount are behind the rows.
    rows_late: what happens shows in rows and clicks only up to so many seconds later, out of order.
    summary: the Summary is exact, or counts a little more or less than the rows show.
    cursor_style: `nextPageCursor` is a token, or the full URI of the next page.
    cursor_lifetime: seconds of the world's time until a cursor is refused; None for ever.
    empty_pages: the share of pages that are empty with more behind them, 0 to below 1.
    page_rows: pages hold at most so many rows, whatever `count` asks for; None for `count`.
    undated: whether messages without a send date pass a date filter or are dropped by it.
    extra_fields: rows have fields that the documentation doesn't know, client addresses too.
    paused: the integration is paused: 401 to everything.
    """

    activity_type: Literal["filters", "ignored", "refused"] = "ignored"
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
        """Read `date_type=latest,empty_pages=0.2,extra_fields=true`; ValueError for any other."""
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
    "date_type": ("first", "latest"),
    "conversation_dates": ("send", "type", "ignored", "refused"),
    "summary": ("exact", "more", "less"),
    "cursor_style": ("token", "uri"),
    "undated": ("kept", "dropped"),
}
