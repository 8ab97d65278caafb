"""Cumulative values of rows, which become events where they rise: orders, clicks without links.

How far one rose depends on what was known before, so these events can't be made again the same way.
"""

from dataclasses import replace
from typing import Final

from bridge.flow.rules.draft import Draft
from bridge.listrak import wire
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state.records import Total
from bridge.vocabulary import CLICKED, CONVERTED

MOST_CLICKS_AT_ONCE: Final = 10_000
"""A clickCount that rises by more at once is taken for damage, not for that many clicks."""

_TOTAL = "total"


def order(draft: Draft[wire.Activity], number: int) -> None:
    """A row with an order total: an event where it rose since it was last looked at."""
    key, before = _before(draft, number)
    if draft.look.past is not None:
        _past_order(draft, number, key, before)
        return
    total = draft.rows[number].order_total or 0.0
    # Cents, not what binary fractions make of them.
    rise = round(total - before.order_total, 6)
    if rise == 0:
        draft.mapped.known += 1
        return
    found = _Found(draft, CONVERTED, number)
    after = replace(before, order_total=total, rises=before.rises + (rise > 0))
    if found.early:
        after = replace(after, withheld=after.withheld + rise)
    _remember(draft, number, key, after)
    amounts = draft.mapped.planned.amounts
    amounts[CONVERTED] = amounts.get(CONVERTED, 0.0) + rise
    if rise < 0:
        draft.mapped.filtered += 1
        return
    _emit_order(found, after.rises, total, rise)


def _past_order(draft: Draft[wire.Activity], number: int, key: int, before: Total) -> None:
    """What a first look withheld of the row's orders; of a row never looked at, all of them."""
    old = draft.look.past is not None and draft.look.past.part == "old"
    total = (draft.rows[number].order_total or 0.0) if old and not before.rises else before.withheld
    if total <= 0:
        draft.mapped.known += 1
        return
    # The same row may stand on a later page again.
    draft.look.totals[key] = replace(before, rises=max(before.rises, 1), withheld=0.0)
    _emit_order(_Found(draft, CONVERTED, number), 1, total, total)


def _emit_order(found: "_Found", rises: int, total: float, rise: float) -> None:
    draft = found.draft
    head = f"{draft.look.identity(CONVERTED)}{rises}\x1f{total!r}\x1f"
    properties = draft.with_properties({"order_total": rise})
    found.emit(draft.fingerprint(head, found.number), properties)


def counted_clicks(draft: Draft[wire.Activity], number: int) -> None:
    """A transactional row with clicks: an event for each that was not yet counted."""
    key, before = _before(draft, number)
    clicks, known = draft.rows[number].click_count or 0, before.clicks
    if draft.look.past is not None:
        # All there are, of a row never looked at; else the first ones, which were withheld.
        old = draft.look.past.part == "old"
        clicks, known = (clicks, known) if old else (before.withheld_clicks, 0)
    draft.mapped.known += min(clicks, known, MOST_CLICKS_AT_ONCE)
    if clicks <= known:
        return
    found = _Found(draft, CLICKED, number)
    rise = clicks - known
    if draft.look.past is not None:
        draft.look.totals[key] = replace(
            before, clicks=max(before.clicks, clicks), withheld_clicks=0
        )
    else:
        withheld = before.withheld_clicks + (rise if found.early else 0)
        _remember(draft, number, key, replace(before, clicks=clicks, withheld_clicks=withheld))
    head = draft.look.identity(CLICKED)
    if rise > MOST_CLICKS_AT_ONCE:
        fingerprint = draft.fingerprint(f"{head}{clicks}\x1f", number)
        found.count()
        draft.bury(CLICKED, number, fingerprint, f"clickCount rose by {rise}", planned=True)
        return
    for click in range(known + 1, clicks + 1):
        found.emit(draft.fingerprint(f"{head}{click}\x1f", number))


class _Found:
    """A total that rose: when that happened, as well as it is known."""

    def __init__(self, draft: Draft[wire.Activity], name: str, number: int) -> None:
        self.draft = draft
        self.number = number
        self._name = name
        self._happened = ""
        self._damage = ""
        look, row = draft.look, draft.rows[number]
        try:
            sent = draft.zone.instant(row.send_date, not_before=look.message.sent_at)
            activity = draft.zone.instant(row.activity_date, not_before=sent)
        except ValueError as error:
            self._damage = f"a date of its row is no date: {error}"
        else:
            self._happened = look.best_known(name, activity, sent)
        self.early = not self._damage and look.is_early(False, self._happened)

    def count(self) -> None:
        """One more was seen."""
        self.draft.count_planned(self._name)

    def emit(self, fingerprint: Fingerprint, properties: str | None = None) -> None:
        """One event."""
        self.count()
        if self._damage:
            self.draft.bury(self._name, self.number, fingerprint, self._damage, planned=True)
            return
        self.draft.emit(
            self._name,
            self.number,
            fingerprint,
            self._happened,
            early=self.early,
            planned=True,
            properties=properties,
        )


def _before(draft: Draft[wire.Activity], number: int) -> tuple[int, Total]:
    key = events.key(draft.fingerprint(draft.look.identity(_TOTAL), number))
    return key, draft.look.totals.get(key) or Total()


def _remember(draft: Draft[wire.Activity], number: int, key: int, total: Total) -> None:
    # The look remembers at once: the same row may stand on a later page again.
    draft.look.totals[key] = total
    draft.mapped.totals[key] = (draft.bucket(number), total)
