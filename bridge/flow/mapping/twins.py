"""Twins: addresses that a list has more than once, in states that differ.

Of the rows of an address the one with the latest date counts: of a subscription, or of an
unsubscribe. Of rows of the same date the one that is not subscribed, then the one with the last
userId in the order of texts. It is decided where a sweep has shown them all, whatever their order;
until then, and between sweeps, what Segment was told stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone
from bridge.segment import events
from bridge.state.keys import Keys, SeenKeys, heads


@dataclass(eq=False)
class Twins:
    """The twins of a list, and what the present poll has shown.

    known: their addresses in lower case.
    shown: rows of theirs, by address; each with its state in words.
    late: those found so late that some row may have gone before.
    is_whole: the poll has been read from its first page on.
    """

    known: set[str] = field(default_factory=set)
    shown: dict[str, list[wire.Contact]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    is_whole: bool = False
    _met: SeenKeys = field(default_factory=SeenKeys)

    def begin(self, *, is_whole: bool) -> None:
        """Begins a reading: at the poll's first page, or (`is_whole` is False) at another."""
        self.shown, self.late, self._met = {}, set(), SeenKeys()
        self.is_whole = is_whole

    def meet(self, keys: Keys) -> None:
        """Notes the sorted keys of the addresses that a page has shown."""
        self._met.add(keys)

    def met(self, addresses: Sequence[str]) -> set[str]:
        """The addresses (in lower case) among some that earlier pages have shown."""
        keys = heads([events.digest(address.encode()) for address in addresses])
        new = set(self._met.unseen(keys))
        return {address for number, address in enumerate(addresses) if number not in new}

    def add(self, address: str, *, late: bool) -> None:
        """Notes that an address (in lower case) is one."""
        self.known.add(address)
        if late:
            self.late.add(address)

    def show(self, address: str, row: wire.Contact, *, subscribed: bool) -> None:
        """Notes a row of one."""
        row.subscription_state = "Subscribed" if subscribed else "Unsubscribed"
        self.shown.setdefault(address, []).append(row)

    def decided(self, zone: Zone) -> tuple[list[wire.Contact], list[str]]:
        """The row that counts of each, and the addresses that are no twins any more."""
        rows: list[wire.Contact] = []
        singles: list[str] = []
        for address in sorted(self.known - self.late) if self.is_whole else ():
            shown = self.shown.get(address, [])
            ranked = sorted(shown, key=lambda row: _rank(row, zone))
            rows += ranked[-1:]
            if len({_state(row) for row in shown}) <= 1:
                singles.append(address)
        return rows, singles


class Meetings:
    """The addresses of a page that were met before, on it or on an earlier page of the poll.

    rows: all of the page.
    """

    def __init__(self, twins: Twins, rows: Sequence[wire.Contact]) -> None:
        self._twins = twins
        self._rows = rows
        self._here: list[str] = []
        self._earlier: set[str] | None = None

    def had(self, address: str, number: int) -> bool:
        """Tells whether an address (in lower case) was met before the row of a number."""
        # Few pages have a row for which that is asked.
        if self._earlier is None:
            self._here = [(row.email_address or "").lower() for row in self._rows]
            self._earlier = self._twins.met(self._here)
        return address in self._earlier or self._here.index(address) < number


def date_of(row: wire.Contact, zone: Zone, *, subscribed: bool) -> Instant:
    """The instant since when a contact is what its row says, "" where it isn't known."""
    if not subscribed:
        return zone.lenient(row.unsubscribe_date)
    return max(zone.lenient(row.subscribe_date), zone.lenient(row.resubscribe_date))


def _rank(row: wire.Contact, zone: Zone) -> tuple[object, ...]:
    is_subscribed, value, address = _state(row)
    return date_of(row, zone, subscribed=is_subscribed), not is_subscribed, value, address


def _state(row: wire.Contact) -> tuple[bool, str, str]:
    values = [repr(value.value) for value in row.segmentation_field_values or ()]
    return row.subscription_state == "Subscribed", "".join(values), row.email_address or ""
