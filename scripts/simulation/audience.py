"""The contacts of the list as Listrak shows them, as time goes on."""

from bisect import bisect_left
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bridge.listrak import times
from simulation.people import Change, People
from simulation.population import NEVER, Times
from simulation.rows import address

LONG_AGO: Final = times.seconds("2025-01-01T00:00:00Z")
"""When those subscribed who are there at the beginning."""


class Audience:
    """Everybody who is or was subscribed."""

    def __init__(self, people: People) -> None:
        there = np.arange(people.size) < people.initial
        self._is_subscribed = there.copy()
        self._joined: Times = np.where(there, LONG_AGO, NEVER)
        # The latest change of each, by which dates filter.
        self._changed = self._joined.copy()
        self._left: dict[int, Change] = {}
        self._returned: dict[int, Change] = {}
        self._changes = people.changes
        self._passed = 0

    def places(self, now: float, since: float, *, subscribed: bool) -> NDArray[np.int64]:
        """Numbers of contacts in a state, who came into it at `since` or later.

        now: seconds since 1970; it never goes back.
        """
        self._advance(now)
        if since > LONG_AGO:
            first = bisect_left(self._changes, since, key=lambda change: change.at)
            recent = {change.contact for change in self._changes[first : self._passed]}
            found = sorted(one for one in recent if self._is_subscribed[one] == subscribed)
            return np.array(found, dtype=np.int64)
        there = self._changed <= now
        return np.flatnonzero(there & (self._is_subscribed == subscribed))

    def contacts(
        self, places: NDArray[np.int64], now: float, *, subscribed: bool
    ) -> list[dict[str, Any]]:
        """Contacts, as far as they are in a state still."""
        self._advance(now)
        return list(map(self._shown, places[self._is_subscribed[places] == subscribed].tolist()))

    def contact(self, number: int, now: float) -> dict[str, Any]:
        """A contact as it is now. Raises KeyError for none."""
        self._advance(now)
        if not 0 <= number < len(self._joined) or self._joined[number] > now:
            raise KeyError(number)
        return self._shown(number)

    def _advance(self, now: float) -> None:
        while self._passed < len(self._changes) and self._changes[self._passed].at <= now:
            change = self._changes[self._passed]
            self._passed += 1
            self._is_subscribed[change.contact] = change.subscribed
            self._changed[change.contact] = change.at
            if not change.subscribed:
                self._left[change.contact] = change
            elif change.contact in self._left:
                self._returned[change.contact] = change
            else:
                self._joined[change.contact] = change.at

    def _shown(self, number: int) -> dict[str, Any]:
        subscribed = bool(self._is_subscribed[number])
        returned = self._returned.get(number)
        shown: dict[str, Any] = {
            "emailAddress": address(number),
            "subscriptionState": "Subscribed" if subscribed else "Unsubscribed",
            "subscribeDate": _date(float(self._joined[number])),
            "resubscribeDate": _date(returned.at) if returned else None,
            "unsubscribeDate": None,
            "unsubscribeMethod": None,
            "segmentationFieldValues": [],
        }
        if not subscribed:
            left = self._left[number]
            shown["unsubscribeDate"] = _date(left.at)
            shown["unsubscribeMethod"] = "Abuse" if left.complaint else "List"
        return shown


def _date(at: float) -> str:
    """As Listrak writes it; its zone is UTC here."""
    return times.from_seconds(at)[:-1]
