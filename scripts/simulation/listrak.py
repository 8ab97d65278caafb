"""Listrak without a network: answers from the population, and takes its time for every call."""

from collections import Counter
from itertools import repeat
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bridge.clock import SourceClock
from bridge.errors import RefusedError
from bridge.listrak import times, wire
from bridge.listrak.pages import PageOf
from simulation.population import LINKS, Moments, Send, Times

Places = NDArray[np.int64]
Reading = Literal["filters", "ignored", "refused"]

# By activityType, the times that it filters by.
TIMES_OF = {
    "open": "opened",
    "bounce": "bounced",
    "abuse": "complained",
    "unsubscribe": "unsubscribed",
    "conversion": "ordered",
}


class VirtualClock(SourceClock):
    """Stands still but when somebody moves it."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.time = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self.time


class SimulatedListrak:
    """What the readers ask of `bridge.listrak.client.Listrak`, of one list.

    `seconds`: of the list's budget that a call takes; `page`: rows. `calls` and `rows` count by
    resource.
    """

    def __init__(
        self,
        sends: dict[str, Send],
        clock: VirtualClock,
        *,
        seconds: float,
        page: int,
        reading: Reading,
    ) -> None:
        self.clock = clock
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self._sends = sends
        self._seconds = seconds
        self._page = page
        self._reading = reading
        self._rest: dict[str, tuple[Send, Places]] = {}
        self._moments = Moments()

    def with_priority(self, _priority: object) -> "SimulatedListrak":
        """Calls are made one after the other here."""
        return self

    async def summary(self, path: str) -> wire.Summary:
        """The counters, exact and at once."""
        send, now = self._ask(path, "summary")
        return wire.Summary(
            sent_count=send.counted("sent", now),
            open_count=send.counted("opened", now),
            click_count=send.counted("clicked", now),
            bounce_count=send.counted("bounced", now),
            unsubscribe_count=send.counted("unsubscribed", now),
            conversion_count=send.counted("ordered", now),
            revenue=send.revenue(now) / 100,
        )

    async def links(self, path: str) -> list[wire.Link]:
        """All links with their clicks so far."""
        send, now = self._ask(path, "links")
        self.rows["links"] += LINKS
        before = int(np.searchsorted(send.clicked, now, "right"))
        counts = np.bincount(send.links[:before], minlength=LINKS)
        return [
            wire.Link(number, f"https://shop.example/{number}", int(count))
            for number, count in enumerate(counts.tolist(), 1)
        ]

    async def message(self, path: str) -> wire.Message:
        """A message in full."""
        send, _ = self._ask(path, "message")
        return wire.Message(send.number, send_date=texts(send.sent[:1])[0], subject="News")

    async def campaigns(self, _list_id: int) -> PageOf[wire.Campaign]:
        """No campaigns."""
        return PageOf([], None)

    async def activity(
        self,
        path: str,
        cursor: str,
        *,
        activity_type: str | None = None,
        date_type: str | None = None,
        since: str | None = None,
    ) -> PageOf[wire.Activity]:
        """A page of activity rows, as they are now."""
        send, now = self._ask(path, "activity")
        if activity_type and self._reading == "refused":
            raise RefusedError("activityType is refused", 400)
        if cursor == wire.START:
            places = self._places(send, now, activity_type, date_type, since)
        else:
            send, places = self._rest.pop(cursor)
        rows = activity_rows(send, places[: self._page], now)
        self.rows["activity"] += len(rows)
        return PageOf(rows, self._following(send, places, cursor))

    async def clickers(
        self, path: str, link_id: int, cursor: str, *, since: str | None = None
    ) -> PageOf[wire.Clicker]:
        """A page of the clicks on a link."""
        send, now = self._ask(path, "clickers")
        if cursor == wire.START:
            begin = np.searchsorted(send.clicked, _moment(since), "left") if since else 0
            end = np.searchsorted(send.clicked, now, "right")
            places = np.arange(begin, end, dtype=np.int64)
            places = places[send.links[places] == link_id - 1]
        else:
            send, places = self._rest.pop(cursor)
        shown = places[: self._page]
        self.rows["clickers"] += len(shown)
        rows = [
            wire.Clicker(address(number), date)
            for number, date in zip(
                send.clickers[shown].tolist(), texts(send.clicked[shown]), strict=True
            )
        ]
        return PageOf(rows, self._following(send, places, cursor))

    def _ask(self, path: str, resource: str) -> tuple[Send, float]:
        self.calls[resource] += 1
        self.clock.time += self._seconds
        return self._sends[path], self.clock.time

    def _following(self, send: Send, places: Places, cursor: str) -> str | None:
        if len(places) <= self._page:
            return None
        name = f"{sum(self.calls.values())}"
        assert name != cursor
        self._rest[name] = (send, places[self._page :])
        return name

    def _places(
        self,
        send: Send,
        now: float,
        activity_type: str | None,
        date_type: str | None,
        since: str | None,
    ) -> Places:
        """The rows that a scan has."""
        start = _moment(since) if since else 0.0
        if activity_type and self._reading == "filters":
            places = self._moments.between(send, TIMES_OF[activity_type], 0.0, now)
            return places[send.sent[places] >= start] if start else places
        if start and date_type == "Activity" and not send.conversation:
            return self._moments.between(send, "first", start, now)
        return self._moments.between(send, "sent", start, now)


def address(number: int) -> str:
    """Of a recipient."""
    return f"c{number}@x.example"


def number_of(email: str) -> int:
    """The recipient with that address."""
    return int(email[1 : email.index("@")])


def _moment(text: str) -> float:
    return times.seconds(f"{text}Z")


def texts(moments: Times) -> list[str]:
    """As Listrak writes dates, to the millisecond; its zone is UTC here."""
    stamps = np.round(moments * 1000).astype("datetime64[ms]")
    texts: list[str] = np.datetime_as_string(stamps).tolist()
    return texts


def activity_rows(send: Send, places: Places, now: float) -> list[wire.Activity]:
    """Rows as they are now."""
    sent = texts(send.sent[places])
    first = send.first[places]
    active = first <= now
    dates: list[Any] = texts(np.where(active, first, 0.0))
    flags = [
        (getattr(send, kind)[places] <= now).tolist()
        for kind in ("opened", "bounced", "complained", "unsubscribed")
    ]
    cents = np.where(send.ordered[places] <= now, send.cents[places, 0], 0)
    cents = cents + np.where(send.ordered_again[places] <= now, send.cents[places, 1], 0)
    totals = (cents / 100).tolist()
    emails = map(address, places.tolist())
    activity = (date if there else None for date, there in zip(dates, active.tolist(), strict=True))
    clicks = repeat(None)
    amounts = (total or None for total in totals)
    return list(map(wire.Activity, emails, sent, activity, *flags, clicks, amounts))
