"""The result of mapping a page."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bridge.flow.mapping.event_dates import EventDates
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, DeadLetter, EventCount, PendingUnsubscribe, Total


def _by_bucket() -> dict[int, list[Fingerprint]]:
    return defaultdict(list)


@dataclass
class EventSet:
    """The events of a page that are saved in one transaction.

    events: encoded, in order.
    keys: fingerprints by bucket, of events that count as seen from now on.
    withheld: likewise, of events from before the start horizon, which are not sent.
    unwanted: likewise, of events that are not in BRIDGE_EVENTS.
    seen: number of events, by name.
    unsent: number of those not to be sent, by name: withheld, or not in BRIDGE_EVENTS.
    dead: events that can't be sent.
    amounts: sum of the rises and falls of totals, by name.
    unsent_amounts: what of that is not sent, by name.
    """

    events: list[bytes] = field(default_factory=list)
    keys: dict[int, list[Fingerprint]] = field(default_factory=_by_bucket)
    withheld: dict[int, list[Fingerprint]] = field(default_factory=_by_bucket)
    unwanted: dict[int, list[Fingerprint]] = field(default_factory=_by_bucket)
    seen: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)
    dead: list[DeadLetter] = field(default_factory=list)
    amounts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    unsent_amounts: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def counts(self) -> dict[str, EventCount]:
        """The numbers to be added to those of the page's message, by name."""
        dead = Counter(letter.event for letter in self.dead)
        return {
            event: EventCount(
                self.seen[event],
                self.unsent[event],
                dead[event],
                self.amounts.get(event, 0.0),
                self.unsent_amounts.get(event, 0.0),
            )
            for event in self.seen.keys() | self.amounts.keys() | self.unsent_amounts.keys()
        }


@dataclass
class Attributions:
    """Addresses of those who unsubscribed through a message.

    old: perhaps before the start horizon.
    """

    recent: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)


@dataclass
class ContactChanges:
    """The changes that a page of contacts makes.

    contacts: by address in lower case, what Segment is told from now on.
    told: addresses in lower case of those that an event tells of.
    user_ids: userIds that are told of contacts the first time.
    resubscribed: addresses whose earlier attributions are void.
    unsubscribes: those that wait for their attribution.
    twins: addresses in lower case that the list turns out to have more than once.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    user_ids: list[str] = field(default_factory=list)
    resubscribed: list[str] = field(default_factory=list)
    unsubscribes: list[PendingUnsubscribe] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)


@dataclass
class MappedPage:
    """The result of mapping a page.

    reproducible: events that the same page gives again after a crash; saved once acknowledged.
    journaled: events that depend on what was known before; written down before they are sent.
    totals: by key, the bucket and the cumulative values seen.
    names: number of events to be sent, by name.
    dates: instants of those that have a date of their own.
    known: number of rows and events that were seen before.
    filtered: number of those that are not to be sent.
    unwanted_unsubscribes: those that are not in BRIDGE_EVENTS.
    unread: rows that can't be read for certain, whether or not they were seen before.
    user_ids_withheld: number of contacts whose userId stands for nobody, by the kind of value.
    """

    reproducible: EventSet = field(default_factory=EventSet)
    journaled: EventSet = field(default_factory=EventSet)
    totals: dict[int, tuple[int, Total]] = field(default_factory=dict)
    attributions: Attributions = field(default_factory=Attributions)
    changes: ContactChanges = field(default_factory=ContactChanges)
    names: Counter[str] = field(default_factory=Counter)
    dates: EventDates = field(default_factory=EventDates)
    known: int = 0
    filtered: int = 0
    unwanted_unsubscribes: list[PendingUnsubscribe] = field(default_factory=list)
    unread: list[DeadLetter] = field(default_factory=list)
    user_ids_withheld: Counter[str] = field(default_factory=Counter)
