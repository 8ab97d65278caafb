"""Scans beside a full poll that takes long: what happens meanwhile doesn't wait for its end."""

import math
from typing import Final

from bridge.clock import DAY
from bridge.event_types import OPENED
from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner.scan_types import ESCALATION, Scan
from bridge.flow.planner.spans import WATERMARK_OVERLAP
from bridge.flow.planner.watermarks import ROW_DELAY

RECENT: Final = ESCALATION["broadcast"][OPENED][0]
"""The scan of rows by the date of their activity."""


class Beside:
    """The scans beside a full poll of a fresh broadcast: one each so many pages.

    They find opens and bounces, and the few others that a row shows and that date leads to.
    """

    def __init__(self, poll: MessagePoll) -> None:
        snapshot = poll.planned.snapshot
        self._poll = poll
        self._since = snapshot.now - ROW_DELAY
        self._pages = 0
        is_fresh = snapshot.message.kind == "broadcast" and snapshot.age < DAY
        self._every = snapshot.most_sends / snapshot.page_rows if is_fresh else math.inf

    def due(self, now: float) -> Scan | None:
        """The scan that is due after one more page, if one is.

        now: seconds since 1970, as Listrak counts them.
        """
        self._pages += 1
        snapshot = self._poll.planned.snapshot
        if self._pages < self._every or self._poll.backfill is not None:
            return None
        if not snapshot.filters.is_usable("broadcast", RECENT, now):
            return None
        scan = Scan(RECENT, self._since - WATERMARK_OVERLAP)
        self._since, self._pages = now, 0
        return scan
