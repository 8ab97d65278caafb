"""What the alternatives do: read everything again each hour. By arithmetic over the same people."""

from dataclasses import dataclass, field

import numpy as np

from simulation.freshness import Freshness
from simulation.population import DAY, HOUR, LINKS, Send


@dataclass
class Result:
    """What a strategy cost and brought, for the simulated list and as scaled.

    `rows` grow with the audience; `listed` (links) don't. `missed`: events never seen.
    `state`: bytes of the state file and events it tracks, by day. `contacts`: rows of contacts,
    which every strategy reads alike and `rows` leave out; `calls` have theirs. `calls_of`: by
    resource. `digest`: of all calls and their times. `warnings`: lines of the service's log.
    """

    name: str
    days: int
    calls: int = 0
    rows: int = 0
    listed: int = 0
    contacts: int = 0
    identifies: int = 0
    missed: int = 0
    calls_of: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    warnings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    freshness: Freshness = field(default_factory=Freshness)
    state: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0


def reread(
    name: str, sends: list[Send], *, begin: float, days: int, window: float, page: int
) -> Result:
    """Each hour all rows of what was sent within `window` seconds, and all their clicks."""
    result = Result(name, days)
    hours = begin + HOUR * np.arange(1, days * 24 + 1)
    for send in sends:
        # What a message shows at each hour; of conversations what was sent lately.
        sent = np.searchsorted(send.sent, hours, "right")
        old = np.searchsorted(send.sent, hours - window, "right") if send.conversation else 0 * sent
        read = hours <= send.begins + window if not send.conversation else sent > 0
        rows = np.where(read, sent - old, 0)
        clicks = np.where(read & (sent > 0), np.searchsorted(send.clicked, hours, "right"), 0)
        polls = int(np.count_nonzero(rows))
        result.rows += int(rows.sum() + clicks.sum())
        result.listed += polls * LINKS
        result.calls += int(np.ceil(rows / page).sum()) + polls * (1 + LINKS)
        for kind, (every, of_every) in send.sent_of.items():
            now = every < hours[-1]
            happened, sent_at = every[now], of_every[now]
            seen = hours[np.searchsorted(hours, happened, "left")]
            in_time = seen <= (sent_at if send.conversation else send.begins) + window
            result.missed += int(np.count_nonzero(~in_time))
            result.freshness.add_all(kind, happened[in_time], sent_at[in_time], seen[in_time])
    return result


WEEK, MONTH = 7 * DAY, 30 * DAY
