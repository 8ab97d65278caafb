"""Reads what becomes of the emails of an account: some rows, some clicks, and what filters do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.clock import DAY
from bridge.commands.estimation.asking import Asking, first_pages
from bridge.commands.estimation.messages import Asked
from bridge.errors import RefusedError
from bridge.event_types import (
    BOUNCED,
    CLICKED,
    CONVERTED,
    OPENED,
    SENT,
    SPAM,
    UNSUBSCRIBED,
    event_type_asked_by,
)
from bridge.flow.forecast.figures import Behaviour
from bridge.flow.forecast.spread import (
    BOUNCING,
    OPENING,
    ORDERING,
    SENDING,
    Spread,
    measured,
)
from bridge.flow.planner.scan_types import ESCALATION
from bridge.listrak import wire
from bridge.listrak.pages import PageOf

MATURE: Final = 14 * DAY
"""Age in seconds of a message of which nearly all has come."""

MOST_MESSAGES: Final = 20
"""Messages of which rows are read."""

ENOUGH_CLICKS: Final = 1000
"""Clicks that show how clicks spread over time."""


@dataclass
class _Sample:
    """Rows and clicks that were read.

    delays: seconds after the message's send, by event.
    rows: number of emails.
    shown: number of emails by the event that they show.
    undated: number of opens whose row has the date of something else.
    unopened: number of unsubscribes through emails that were not opened.
    """

    delays: dict[str, list[float]] = field(default_factory=dict)
    links: Sequence[int] = ()
    rows: int = 0
    opens: int = 0
    undated: float = 0.0
    unsubscribes: int = 0
    unopened: int = 0
    complaints: int = 0


class BehaviourReader:
    """Reads what becomes of emails."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._sample = _Sample()

    async def read(self, broadcasts: Sequence[Asked], ongoing: Sequence[Asked]) -> Behaviour:
        """The behaviour, by a sample of messages; what too little shows is taken as usual."""
        asking, sample = self._asking, self._sample
        # Those of which most has come first, large ones among them.
        order = sorted(
            (one for one in broadcasts if one.figures.sends),
            key=lambda one: (min(one.figures.age, MATURE), one.figures.sends),
            reverse=True,
        )
        pages = asking.bounds.sample_pages
        for one in order[:MOST_MESSAGES]:
            if pages <= 0:
                break
            pages -= await self._read_rows(one, pages)
        pages = asking.bounds.sample_pages
        for one in order[:MOST_MESSAGES]:
            if pages <= 0 or len(sample.delays.get(CLICKED, ())) >= ENOUGH_CLICKS:
                break
            pages -= await self._read_clicks(one, pages)
        largest = sorted(
            [*broadcasts, *ongoing], key=lambda one: one.figures.sends, reverse=True
        )
        filters = await self._filters(largest)
        return self._behaviour([*broadcasts, *ongoing], filters)

    def _behaviour(self, asked: Sequence[Asked], filters: frozenset[str]) -> Behaviour:
        sample = self._sample
        orders = sum(one.orders for one in asked)
        opening = measured(sample.delays.get(OPENED, ()), OPENING)
        clicking = measured(sample.delays.get(CLICKED, ()), opening)
        return Behaviour(
            spreads={
                SENT: measured(sample.delays.get(SENT, ()), SENDING),
                OPENED: opening,
                CLICKED: clicking,
                BOUNCED: measured(sample.delays.get(BOUNCED, ()), BOUNCING),
                CONVERTED: ORDERING.after(clicking),
            },
            dated={
                OPENED: 1 - sample.undated / max(1, sample.opens),
                BOUNCED: 1.0,
                UNSUBSCRIBED: sample.unopened / max(1, sample.unsubscribes),
            },
            links=[number for number in sample.links if number] or (1.0,),
            order=sum(one.revenue for one in asked) / orders if orders else 1.0,
            complaints=sample.complaints / max(1, sample.rows),
            filters=filters,
        )
