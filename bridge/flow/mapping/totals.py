"""Cumulative values of rows, which become events where they rise: orders, clicks without links.

How far one rose depends on what was known before, so these events can't be made again the same way.
"""

from dataclasses import replace
from typing import Final

from bridge.event_types import CLICKED, CONVERTED
from bridge.flow.mapping.page_mapping import PageMapping, RowEvent
from bridge.flow.mapping.row_instants import row_instants
from bridge.listrak import wire
from bridge.listrak.times import Instant
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state.records import Total

MOST_CLICKS_AT_ONCE: Final = 10_000
"""Largest rise of a clickCount; a larger one counts as damage, not as that many clicks."""

_TOTAL = "total"


def map_order(mapping: PageMapping[wire.Activity], number: int) -> None:
    """Maps a row with an order total: an event where it rose since it was last read."""
    key, before = _before(mapping, number)
    if mapping.poll.backfill is not None:
        _map_withheld_order(mapping, number, key, before)
        return
    total = mapping.rows[number].order_total or 0.0
    # Rounding removes the error of binary fractions.
    rise = round(total - before.order_total, 6)
    if rise == 0:
        mapping.mapped.known += 1
        return
    rising = _rise_of(mapping, CONVERTED, number)
    if rising is None:
        return
    after = replace(before, order_total=total, rises=before.rises + (rise > 0))
    if rising.early:
        after = replace(after, withheld=after.withheld + rise)
    elif not mapping.is_wanted(CONVERTED):
        after = replace(after, unwanted=after.unwanted + rise)
    _remember(mapping, number, key, after)
    saved = mapping.mapped.journaled
    saved.amounts[CONVERTED] += rise
    if rise < 0:
        mapping.mapped.filtered += 1
    if rise < 0 or not _emit_order(rising, f"{after.rises}\x1f{total!r}", rise):
        saved.unsent_amounts[CONVERTED] += rise


def _map_withheld_order(
    mapping: PageMapping[wire.Activity], number: int, key: int, before: Total
) -> None:
    """Maps what was withheld of the row's orders; all of them if it was never polled.

    Several rises that were unwanted are one event, with an id that none of them would have had.
    """
    backfill = mapping.poll.backfill
    part = "old" if backfill is None else backfill.part
    if part == "unwanted":
        total = round(before.unwanted - before.unwanted_sent, 6)
        after = replace(before, unwanted_sent=before.unwanted)
        what = f"unwanted\x1f{before.unwanted!r}"
    else:
        never_polled = part == "old" and not before.rises
        total = (mapping.rows[number].order_total or 0.0) if never_polled else before.withheld
        after = replace(before, rises=max(before.rises, 1), withheld=0.0)
        what = f"1\x1f{total!r}"
    if total <= 0 or not mapping.is_wanted(CONVERTED):
        mapping.mapped.known += 1
        return
    rising = _backfilled_rise(mapping, CONVERTED, number)
    if rising is None:
        return
    # A dead letter is made once as well.
    _remember(mapping, number, key, after)
    if _emit_order(rising, what, total):
        mapping.mapped.reproducible.unsent_amounts[CONVERTED] -= total


def _emit_order(rising: "_Rise", what: str, rise: float) -> bool:
    """Makes an order event; `what` tells it from the row's others. Tells whether it can be sent."""
    mapping = rising.mapping
    head = f"{mapping.poll.identity(CONVERTED)}{what}\x1f"
    properties = mapping.with_properties({"order_total": rise})
    return rising.emit(mapping.fingerprint(head, rising.number), properties)


def map_counted_clicks(mapping: PageMapping[wire.Activity], number: int) -> None:
    """Maps a transactional row with clicks: an event for each that was not yet counted."""
    key, before = _before(mapping, number)
    clicks, known = mapping.rows[number].click_count or 0, before.clicks
    backfill = mapping.poll.backfill
    if backfill is not None and backfill.part == "unwanted":
        _map_unwanted_clicks(mapping, number, key, before)
        return
    if backfill is not None and backfill.part == "withheld":
        # The row's first clicks were withheld.
        clicks, known = before.withheld_clicks, 0
    mapping.mapped.known += min(clicks, known, MOST_CLICKS_AT_ONCE)
    rising = _rise_of(mapping, CLICKED, number) if clicks > known else None
    if rising is None:
        return
    rise = clicks - known
    if backfill is not None:
        mapping.poll.totals[key] = replace(
            before, clicks=max(before.clicks, clicks), withheld_clicks=0
        )
    else:
        after = replace(before, clicks=clicks)
        if rising.early:
            after = replace(after, withheld_clicks=before.withheld_clicks + rise)
        elif not mapping.is_wanted(CLICKED):
            after = replace(after, unwanted_clicks=before.unwanted_clicks + rise)
        _remember(mapping, number, key, after)
    head = mapping.poll.identity(CLICKED)
    if rise > MOST_CLICKS_AT_ONCE:
        _refuse_clicks(rising, f"{head}{clicks}\x1f", rise)
        return
    for click in range(known + 1, clicks + 1):
        rising.emit(mapping.fingerprint(f"{head}{click}\x1f", number))


def _map_unwanted_clicks(
    mapping: PageMapping[wire.Activity], number: int, key: int, before: Total
) -> None:
    """Maps the row's clicks that were unwanted: by their number among those, others were sent."""
    sent, clicks = before.unwanted_clicks_sent, before.unwanted_clicks
    if clicks <= sent or not mapping.is_wanted(CLICKED):
        mapping.mapped.known += 1
        return
    rising = _backfilled_rise(mapping, CLICKED, number)
    if rising is None:
        return
    _remember(mapping, number, key, replace(before, unwanted_clicks_sent=clicks))
    head = f"{mapping.poll.identity(CLICKED)}unwanted\x1f"
    if clicks - sent > MOST_CLICKS_AT_ONCE:
        _refuse_clicks(rising, f"{head}{clicks}\x1f", clicks - sent)
        return
    for click in range(sent + 1, clicks + 1):
        rising.emit(mapping.fingerprint(f"{head}{click}\x1f", number))


def _refuse_clicks(rising: "_Rise", head: str, rise: int) -> None:
    """Makes a dead letter of clicks that are too many at once."""
    fingerprint = rising.mapping.fingerprint(head, rising.number)
    rising.reject(fingerprint, f"clickCount rose by {rise}")


class _Rise:
    """A total that rose, and when that happened, as well as it is known.

    early: it happened before the start horizon.
    """

    def __init__(
        self, mapping: PageMapping[wire.Activity], name: str, number: int, happened: Instant
    ) -> None:
        self.mapping = mapping
        self.number = number
        self._name = name
        self._happened = happened
        is_first = number in mapping.first_read
        self.early = mapping.poll.window.is_early(name, is_first, happened)

    def emit(self, fingerprint: Fingerprint, properties: str | None = None) -> bool:
        """Makes one event of it; tells whether it can be sent."""
        self.mapping.count_journaled(self._name)
        return self.mapping.emit(
            RowEvent(self._name, self.number, fingerprint),
            self._happened,
            early=self.early,
            journaled=True,
            properties=properties,
        )

    def reject(self, fingerprint: Fingerprint, reason: str) -> None:
        """Makes a dead letter of it."""
        self.mapping.count_journaled(self._name)
        event = RowEvent(self._name, self.number, fingerprint)
        self.mapping.reject(event, reason, journaled=True)


def _backfilled_rise(mapping: PageMapping[wire.Activity], name: str, number: int) -> "_Rise | None":
    """A row's rise that a backfill sends; None where it is another one's, or can't be dated."""
    rising = _rise_of(mapping, name, number)
    if rising is None or not rising.early:
        return rising
    mapping.mapped.filtered += 1
    return None


def _rise_of(mapping: PageMapping[wire.Activity], name: str, number: int) -> _Rise | None:
    """The rise of a row's total; None where it can't be read when it rose."""
    instants = row_instants(mapping, name, number)
    if instants is None:
        return None
    sent, activity = instants
    first = number in mapping.first_read
    happened = mapping.poll.best_known(name, activity, sent, first_read=first)
    return _Rise(mapping, name, number, happened)


def _before(mapping: PageMapping[wire.Activity], number: int) -> tuple[int, Total]:
    key = events.key(mapping.fingerprint(mapping.poll.identity(_TOTAL), number))
    return key, mapping.poll.totals.get(key) or Total()


def _remember(mapping: PageMapping[wire.Activity], number: int, key: int, total: Total) -> None:
    # The poll remembers at once: the same row may stand on a later page again.
    mapping.poll.totals[key] = total
    mapping.mapped.totals[key] = (mapping.bucket(number), total)
