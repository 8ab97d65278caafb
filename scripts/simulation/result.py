"""What a strategy cost and brought, for the simulated list and as scaled to the retailer."""

from dataclasses import dataclass, field

from bridge.clock import DAY
from simulation.freshness import Freshness


@dataclass(frozen=True)
class Retailer:
    """A retailer, and how the simulated list stands for it.

    contacts: of each list.
    scale: the simulated audience and its pages are so much smaller: calls are what they would be.
    lists: alike, and with nothing to do with each other: one is simulated, and counted so often.
    """

    name: str
    contacts: int
    scale: int
    lists: int = 5


@dataclass
class Result:
    """A life of a strategy; a process hands it to another as it is.

    Numbers are those of the simulated list, but for what methods return: it is the retailer's.

    calls: requests to Listrak; of the bridge with those for contacts and listings.
    calls_of: by resource.
    calls_by_day: from the first day on.
    rows: of activity and clicks, which grow with the audience.
    listed: rows of links, which don't.
    contacts: rows of contacts.
    identifies: states of contacts that were told.
    missed: events never seen, and states of contacts; those that are wrong as well.
    missing: a sentence for each of `missed`, or for some of them.
    digest: of all calls and their times.
    events_digest: of all events and their times.
    warnings: lines of the service's log.
    state: bytes of the state file and events it tracks, by day; without contacts, and what an
        empty file has.
    seconds: how long it took, of real time.
    """

    name: str
    retailer: Retailer
    days: int
    calls: int = 0
    calls_of: dict[str, int] = field(default_factory=dict)
    calls_by_day: list[int] = field(default_factory=list)
    rows: int = 0
    listed: int = 0
    contacts: int = 0
    identifies: int = 0
    missed: int = 0
    missing: list[str] = field(default_factory=list)
    digest: str = ""
    events_digest: str = ""
    warnings: list[str] = field(default_factory=list)
    freshness: Freshness = field(default_factory=Freshness)
    state: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def calls_a_day(self) -> float:
        """Calls of the retailer."""
        return self.calls * self.retailer.lists / self.days

    @property
    def calls_a_second(self) -> float:
        """Calls of the retailer, on average."""
        return self.calls_a_day / DAY

    @property
    def all_rows(self) -> int:
        """Rows of the retailer, but for those of contacts."""
        return (self.rows * self.retailer.scale + self.listed) * self.retailer.lists

    @property
    def rows_a_day(self) -> float:
        """Rows of the retailer, likewise."""
        return self.all_rows / self.days

    @property
    def all_events(self) -> int:
        """Events of the retailer; identifies are none."""
        return self.freshness.seen * self.retailer.scale * self.retailer.lists

    @property
    def rows_per_event(self) -> float:
        """Rows that were read for each event that was seen."""
        return self.all_rows / max(1, self.all_events)
