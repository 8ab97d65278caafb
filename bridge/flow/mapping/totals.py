"""Cumulative values of rows, which become events where they rise: orders, clicks without links.

How far one rose depends on what was known before, so these events can't be made again the same way.
"""

from dataclasses import replace
from typing import Final

from bridge.event_types import CLICKED, CONVERTED
from bridge.flow.mapping.page_mapping import PageMapping, RowEvent
from bridge.listrak import wire
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
    rising = _Rise(mapping, CONVERTED, number)
    after = replace(before, order_total=total, rises=before.rises + (rise > 0))
    if rising.early:
        after = replace(after, withheld=after.withheld + rise)
    _remember(mapping, number, key, after)
    amounts = mapping.mapped.journaled.amounts
    amounts[CONVERTED] = amounts.get(CONVERTED, 0.0) + rise
    if rise < 0:
        mapping.mapped.filtered += 1
        return
    _emit_order(rising, after.rises, total, rise)


def _map_withheld_order(
    mapping: PageMapping[wire.Activity], number: int, key: int, before: Total
) -> None:
    """Maps what a first poll withheld of the row's orders; all of them if it was never polled."""
    backfill = mapping.poll.backfill
    never_polled = backfill is not None and backfill.part == "old" and not before.rises
    total = (mapping.rows[number].order_total or 0.0) if never_polled else before.withheld
    if total <= 0:
        mapping.mapped.known += 1
        return
    # The same row may stand on a later page again.
    mapping.poll.totals[key] = replace(before, rises=max(before.rises, 1), withheld=0.0)
    _emit_order(_Rise(mapping, CONVERTED, number), 1, total, total)


def _emit_order(rising: "_Rise", rises: int, total: float, rise: float) -> None:
    mapping = rising.mapping
    head = f"{mapping.poll.identity(CONVERTED)}{rises}\x1f{total!r}\x1f"
    properties = mapping.with_properties({"order_total": rise})
    rising.emit(mapping.fingerprint(head, rising.number), properties)


def map_counted_clicks(mapping: PageMapping[wire.Activity], number: int) -> None:
    """Maps a transactional row with clicks: an event for each that was not yet counted."""
    key, before = _before(mapping, number)
    clicks, known = mapping.rows[number].click_count or 0, before.clicks
    backfill = mapping.poll.backfill
    if backfill is not None and backfill.part == "withheld":
        # The row's first clicks were withheld.
        clicks, known = before.withheld_clicks, 0
    mapping.mapped.known += min(clicks, known, MOST_CLICKS_AT_ONCE)
    if clicks <= known:
        return
    rising = _Rise(mapping, CLICKED, number)
    rise = clicks - known
    if backfill is not None:
        mapping.poll.totals[key] = replace(
            before, clicks=max(before.clicks, clicks), withheld_clicks=0
        )
    else:
        withheld = before.withheld_clicks + (rise if rising.early else 0)
        _remember(mapping, number, key, replace(before, clicks=clicks, withheld_clicks=withheld))
    head = mapping.poll.identity(CLICKED)
    if rise > MOST_CLICKS_AT_ONCE:
        rising.reject(
            mapping.fingerprint(f"{head}{clicks}\x1f", number), f"clickCount rose by {rise}"
        )
        return
    for click in range(known + 1, clicks + 1):
        rising.emit(mapping.fingerprint(f"{head}{click}\x1f", number))


class _Rise:
    """A total that rose, and when that happened, as well as it is known.

    early: it happened before the start horizon.
    """

    def __init__(self, mapping: PageMapping[wire.Activity], name: str, number: int) -> None:
        self.mapping = mapping
        self.number = number
        self._name = name
        self._happened = ""
        self._damage = ""
        poll, row = mapping.poll, mapping.rows[number]
        try:
            sent = mapping.zone.instant(row.send_date, not_before=poll.message.sent_at)
            activity = mapping.zone.instant(row.activity_date, not_before=sent)
        except ValueError as error:
            self._damage = f"a date of its row is no date: {error}"
        else:
            self._happened = poll.best_known(name, activity, sent)
        self.early = not self._damage and poll.window.is_early(False, self._happened)

    def emit(self, fingerprint: Fingerprint, properties: str | None = None) -> None:
        """Makes one event of it."""
        if self._damage:
            self.reject(fingerprint, self._damage)
            return
        self.mapping.count_journaled(self._name)
        self.mapping.emit(
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


def _before(mapping: PageMapping[wire.Activity], number: int) -> tuple[int, Total]:
    key = events.key(mapping.fingerprint(mapping.poll.identity(_TOTAL), number))
    return key, mapping.poll.totals.get(key) or Total()


def _remember(mapping: PageMapping[wire.Activity], number: int, key: int, total: Total) -> None:
    # The poll remembers at once: the same row may stand on a later page again.
    mapping.poll.totals[key] = total
    mapping.mapped.totals[key] = (mapping.bucket(number), total)
