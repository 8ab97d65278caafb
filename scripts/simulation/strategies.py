"""What the alternatives do: read everything again each hour. By arithmetic over the same people."""

import numpy as np

from bridge.clock import DAY, HOUR
from simulation.people import People
from simulation.population import LINKS
from simulation.result import Result, Retailer


def reread(
    name: str, retailer: Retailer, people: People, *, days: int, window: float, page: int
) -> Result:
    """Each hour all rows of what was sent within `window` seconds, and all their clicks."""
    result, begin = Result(name, retailer, days), people.begin
    hours = begin + HOUR * np.arange(1, days * 24 + 1)
    for send in people.sends:
        # What a message shows at each hour; of conversations what was sent lately.
        moments = send.events["sent"]
        sent = np.searchsorted(moments, hours, "right")
        old = np.searchsorted(moments, hours - window, "right") if send.conversation else 0 * sent
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
