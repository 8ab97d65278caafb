"""What it would cost to ask for contacts one by one, by the address, as Activity can be asked.

Orders follow clicks: where `activityType` doesn't tell orders apart, those who clicked last could
be asked for first. What was opened although it had bounced could be asked for likewise.
"""

from typing import Final, NamedTuple

import numpy as np
from bench.tables import table
from rich.table import Table

from bridge.clock import MINUTE
from bridge.listrak import wire
from simulation.population import NEVER, Send, order_of, send_of

AUDIENCES: Final = (50_000, 2_000_000)


class Comparison(NamedTuple):
    """The requests that each event takes, of one send.

    one_by_one: contacts that are asked for until the one is found, for each event.
    at_once: requests of the scan that shows the event beside all others like it.
    """

    audience: int
    event: str
    one_by_one: list[int]
    at_once: list[int]

    @property
    def cheaper(self) -> float:
        """Fraction of the events that are found with fewer requests one by one."""
        pairs = zip(self.one_by_one, self.at_once, strict=True)
        return sum(one < other for one, other in pairs) / max(1, len(self.at_once))


def comparisons(audience: int, seed: int = 1) -> list[Comparison]:
    """A send to so many contacts, at full size."""
    rng = np.random.default_rng(seed)
    sent = np.sort(rng.uniform(0, 20 * MINUTE, audience))
    send = send_of(rng, 1, sent, until=29, conversation=False)
    return [_orders(audience, send), _hidden_opens(audience, send)]


def one_by_one(audiences: tuple[int, ...] = AUDIENCES) -> Table:
    """The requests that events take one by one, beside those of a scan."""
    made = table(
        "Requests until one event is found: p50 / p95",
        "contacts",
        "event",
        "one contact after the other",
        "a scan, which finds all others too",
        "cheaper one by one",
    )
    for one in (one for audience in audiences for one in comparisons(audience)):
        shown = [" / ".join(f"{n:,.0f}" for n in np.percentile(all_, (50, 95))) for all_ in one[2:]]
        made.add_row(f"{one.audience:,}", one.event, *shown, f"{one.cheaper:.1%}")
    return made


def _orders(audience: int, send: Send) -> Comparison:
    """Who clicked last is asked for first; the scan is that of all rows that show an activity."""
    active = np.sort(send.first[send.first < NEVER])
    ranks, scans = [], []
    for contact in order_of(send.ordered).tolist():
        at = send.ordered[contact]
        clickers = send.clickers[: int(np.searchsorted(send.clicked, at, "right"))][::-1]
        later = clickers[: int(np.flatnonzero(clickers == contact)[0])]
        ranks.append(len(np.unique(later)) + 1)
        shown = int(np.searchsorted(active, at, "right"))
        scans.append(wire.pages_of(shown, wire.MOST_ROWS))
    return Comparison(audience, "order", ranks, scans)


def _hidden_opens(audience: int, send: Send) -> Comparison:
    """Who bounced is asked for in turn; the scan is that of all that bounced."""
    bounced = int(np.count_nonzero(send.bounced < NEVER))
    hidden = int(np.count_nonzero((send.bounced < send.opened) & (send.opened < NEVER)))
    pages = wire.pages_of(bounced, wire.MOST_ROWS)
    return Comparison(audience, "open after a bounce", [bounced] * hidden, [pages] * hidden)
