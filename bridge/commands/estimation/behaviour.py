"""Reads what becomes of the emails of an account: some rows, some clicks, and what filters do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

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
    UNSUBSCRIBED,
    event_type_asked_by,
)
from bridge.flow.forecast.figures import Behaviour
from bridge.flow.forecast.spread import (
    BOUNCING,
    OPENING,
    ORDERING,
    SENDING,
    measured,
)
from bridge.flow.planner.scan_types import ESCALATION
from bridge.listrak import wire
from bridge.listrak.client import RowFilter
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
    rows: number of emails; opens, unsubscribes and complaints likewise.
    undated: number of opens whose row has the date of something else.
    unopened: number of unsubscribes through emails that were not opened.
    links: clicks of each link of the message that has most, most first.
    """

    delays: dict[str, list[float]] = field(default_factory=dict)
    links: Sequence[int] = ()
    rows: int = 0
    opens: int = 0
    undated: float = 0.0
    unsubscribes: int = 0
    unopened: int = 0
    complaints: int = 0

    def count(self, row: wire.Activity) -> None:
        """Counts what an email shows."""
        self.opens += bool(row.open)
        # A bounce comes before; whether an unsubscribe did can't be told.
        self.undated += bool(row.open) * max(bool(row.bounce), 0.5 * bool(row.unsubscribe))
        self.unsubscribes += bool(row.unsubscribe)
        self.unopened += bool(row.unsubscribe) and not row.open
        self.complaints += bool(row.abuse)


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
        largest = sorted([*broadcasts, *ongoing], key=lambda one: one.figures.sends, reverse=True)
        filters = await self._try_filters(largest)
        return self._behaviour(largest, filters)

    def _behaviour(self, asked: Sequence[Asked], filters: dict[str, bool]) -> Behaviour:
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
                CONVERTED: ORDERING.after(clicking, np.random.default_rng(0)),
            },
            dated={
                OPENED: 1 - sample.undated / max(1, sample.opens),
                BOUNCED: 1.0,
                UNSUBSCRIBED: sample.unopened / max(1, sample.unsubscribes),
            },
            links=[number for number in sample.links if number] or (1.0,),
            order=sum(one.revenue for one in asked) / orders if orders else 1.0,
            complaints=sample.complaints / max(1, sample.rows),
            filters=frozenset(one for one, does in filters.items() if does),
            unfiltered=frozenset(one for one, does in filters.items() if not does),
        )

    async def _read_rows(self, one: Asked, most: int) -> int:
        """Reads emails of a message, so many pages at most; returns how many were read."""
        asking, rows, pages = self._asking, list[wire.Activity](), 0

        async def read(cursor: str) -> PageOf[wire.Activity]:
            return await asking.listrak.activity(one.ref.path, cursor)

        def take(page: Sequence[wire.Activity]) -> None:
            nonlocal pages
            pages += 1
            rows.extend(page)

        is_complete = await asking.attempt(
            f"emails of list {one.ref.list_id}",
            lambda: first_pages("emails", read, most, take),
        )
        if is_complete is not None:
            self._add_rows(rows, one, is_complete=is_complete)
        return max(1, pages)

    def _add_rows(self, rows: Sequence[wire.Activity], one: Asked, *, is_complete: bool) -> None:
        asking, sample = self._asking, self._sample
        sent = [asking.seconds(row.send_date) for row in rows]
        active = [asking.seconds(row.activity_date) for row in rows]
        began = asking.now - one.figures.age
        known = [at for at in active if at is not None]
        if not is_complete and len(known) > 2 and known in (sorted(known), sorted(known)[::-1]):
            # What came first alone, or last, tells nothing of the others.
            return
        sample.rows += len(rows)
        delays = sample.delays
        delays.setdefault(SENT, []).extend(at - began for at in sent if at is not None)
        for row, at in zip(rows, active, strict=True):
            sample.count(row)
            if at is not None and row.bounce:
                delays.setdefault(BOUNCED, []).append(at - began)
            elif at is not None and row.open:
                delays.setdefault(OPENED, []).append(at - began)

    async def _read_clicks(self, one: Asked, most: int) -> int:
        """Reads clicks of a message; returns how many pages of clicks, or lists of links, it read.

        Those of links that so many pages hold altogether: a part of them tells nothing of others.
        """
        asking, list_id, path = self._asking, one.ref.list_id, one.ref.path
        links = await asking.attempt(f"links of list {list_id}", lambda: asking.listrak.links(path))
        if links is None:
            return 1
        clicks = sorted((link.click_count or 0 for link in links), reverse=True)
        self._sample.links = max(self._sample.links, clicks, key=sum)
        pages, began = 1, asking.now - one.figures.age
        delays = self._sample.delays.setdefault(CLICKED, [])

        def take(page: Sequence[wire.Clicker]) -> None:
            nonlocal pages
            pages += 1
            dates = map(asking.seconds, (row.click_date for row in page))
            delays.extend(at - began for at in dates if at is not None)

        for link in sorted(links, key=lambda link: link.click_count or 0, reverse=True):
            needed = (link.click_count or 0) / asking.bounds.page_rows
            if not link.click_count or pages + needed > most:
                continue

            async def read(cursor: str, number: int = link.link_id) -> PageOf[wire.Clicker]:
                return await asking.listrak.clickers(path, number, cursor)

            await asking.attempt(
                f"clicks of list {list_id}",
                lambda read=read: first_pages("clicks", read, most, take),  # type: ignore[misc]
            )
        return pages

    async def _try_filters(self, asked: Sequence[Asked]) -> dict[str, bool]:
        """Tells for each activityType that scans ask for whether the account filters by it.

        One call each shows it.
        """
        kinds = {one.ref.kind for one in asked}
        wanted = {
            scan_type.activity_type
            for kind in kinds
            for scans in ESCALATION[kind].values()
            for scan_type in scans
            if scan_type.activity_type
        }
        return {one: await self._is_filter(one, asked) for one in sorted(wanted)}

    async def _is_filter(self, activity_type: str, asked: Sequence[Asked]) -> bool:
        """Tells whether rows that are asked for by an activity all show it, and are there.

        Where nothing of it is counted, a service would try it as well.
        """
        event = event_type_asked_by(activity_type)
        one = max(asked, key=lambda one: one.figures.counts.get(event.name, 0.0))
        if not one.figures.sends:
            return True
        asking, path = self._asking, one.ref.path

        async def read() -> tuple[bool, list[wire.Activity]]:
            """Tells whether the filter is accepted; with the rows."""
            try:
                page = await asking.listrak.activity(path, wire.START, RowFilter(activity_type))
            except RefusedError:
                return False, []
            return True, page.rows

        answer = await asking.attempt(f"emails of list {one.ref.list_id}", read)
        if answer is None:
            # Where no emails can be read at all, nothing is known of filters.
            return True
        is_accepted, rows = answer
        is_there = bool(rows) or not one.figures.counts.get(event.name)
        return is_accepted and is_there and all(map(event.is_shown_by, rows))
