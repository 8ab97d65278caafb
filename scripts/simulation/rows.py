"""The population as Listrak writes it down: rows, counters, dates."""

from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bridge.listrak import wire
from simulation.population import LINKS, Send, Times

Places = NDArray[np.int64]

TIMES_OF: Final = {
    "open": "opened",
    "bounce": "bounced",
    "abuse": "complained",
    "unsubscribe": "unsubscribed",
    "conversion": "ordered",
}
"""By activityType, the times that it filters by."""


def address(number: int) -> str:
    """Of a recipient."""
    return f"c{number}@x.example"


def number_of(email: str) -> int:
    """The recipient with that address."""
    return int(email[1 : email.index("@")])


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


def clicks(send: Send, places: Places) -> list[wire.Clicker]:
    """Rows of clicks."""
    dates = texts(send.clicked[places])
    numbers = send.clickers[places].tolist()
    return [wire.Clicker(address(who), at) for who, at in zip(numbers, dates, strict=True)]


def message(send: Send) -> dict[str, Any]:
    """A message, thin."""
    sent = None if send.conversation else texts(np.array([send.begins]))[0]
    return {"messageId": send.number, "sendDate": sent, "campaignId": None, "subject": "News"}


def summary(send: Send, now: float) -> wire.Summary:
    """The counters, exact and at once."""
    return wire.Summary(
        sent_count=send.counted("sent", now),
        open_count=send.counted("opened", now),
        click_count=send.counted("clicked", now),
        bounce_count=send.counted("bounced", now),
        unsubscribe_count=send.counted("unsubscribed", now),
        conversion_count=send.counted("ordered", now),
        revenue=send.revenue(now) / 100,
    )


def links(send: Send, now: float) -> list[wire.Link]:
    """All links with their clicks so far."""
    before = int(np.searchsorted(send.clicked, now, "right"))
    counts = np.bincount(send.links[:before], minlength=LINKS)
    return [
        wire.Link(number, f"https://shop.example/{number}", int(count))
        for number, count in enumerate(counts.tolist(), 1)
    ]
