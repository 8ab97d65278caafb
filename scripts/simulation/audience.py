"""The contacts of the list: all subscribed long ago, until an opt-out or a complaint ends it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.listrak import times
from simulation.population import NEVER, Send, Times

SUBSCRIBED = "2025-01-01T00:00:00"


class Audience:
    """Everybody whom a send goes to; what of them follows from the sends.

    Who left is sent emails all the same, as the population doesn't know of lists; leaving again
    changes nothing.

    left: seconds since 1970 at which each contact leaves, by number; NEVER for who stays.
    sent: when the email was sent that made a contact leave.
    complained: tells who left by a complaint.
    """

    def __init__(self, sends: Sequence[Send]) -> None:
        size = max((len(send.sent) for send in sends), default=0)
        self.left: Times = np.full(size, NEVER)
        self.sent: Times = np.full(size, NEVER)
        self.complained = np.zeros(size, dtype=np.bool_)
        for send in sends:
            count = len(send.sent)
            for moments, is_complaint in ((send.unsubscribed, False), (send.complained, True)):
                sooner = np.flatnonzero(moments < self.left[:count])
                self.left[sooner] = moments[sooner]
                self.sent[sooner] = send.sent[sooner]
                self.complained[sooner] = is_complaint

    def places(self, now: float, since: float, *, subscribed: bool) -> NDArray[np.int64]:
        """Numbers of contacts in a state, who came into it at `since` or later."""
        if not subscribed:
            return np.flatnonzero((self.left <= now) & (self.left >= since))
        if since > times.seconds(f"{SUBSCRIBED}Z"):
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(self.left > now)

    def contacts(
        self, places: NDArray[np.int64], _now: float, *, subscribed: bool
    ) -> list[dict[str, Any]]:
        """Contacts in a state, as Listrak shows them."""
        return [self._shown(number, subscribed=subscribed) for number in places.tolist()]

    def contact(self, number: int, now: float) -> dict[str, Any]:
        """A contact as it is now. Raises KeyError for none."""
        if not 0 <= number < len(self.left):
            raise KeyError(number)
        return self._shown(number, subscribed=bool(self.left[number] > now))

    def _shown(self, number: int, *, subscribed: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "emailAddress": f"c{number}@x.example",
            "subscriptionState": "Subscribed" if subscribed else "Unsubscribed",
            "subscribeDate": SUBSCRIBED,
            "resubscribeDate": None,
            "unsubscribeDate": None,
            "unsubscribeMethod": None,
            "segmentationFieldValues": [],
        }
        if not subscribed:
            shown["unsubscribeDate"] = times.from_seconds(float(self.left[number]))[:-1]
            shown["unsubscribeMethod"] = "Abuse" if self.complained[number] else "List"
        return shown
