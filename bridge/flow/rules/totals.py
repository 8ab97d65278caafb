"""Cumulative values of rows, which become events where they rise: orders, clicks without links.

How far one rose depends on what was known before, so these events can't be made again the same way.
"""

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
    total = draft.rows[number].order_total or 0.0
    # Cents, not what binary fractions make of them.
    rise = round(total - before.order_total, 6)
    if rise == 0:
        draft.mapped.known += 1
        return
    after = Total(total, before.rises + (rise > 0), before.clicks)
    _remember(draft, number, key, after)
    amounts = draft.mapped.planned.amounts
    amounts[CONVERTED] = amounts.get(CONVERTED, 0.0) + rise
    if rise < 0:
        draft.mapped.filtered += 1
        return
    head = f"{draft.look.identity(CONVERTED)}{after.rises}\x1f{total!r}\x1f"
    properties = draft.with_properties({"order_total": rise})
    _emit(draft, CONVERTED, number, draft.fingerprint(head, number), properties)


def counted_clicks(draft: Draft[wire.Activity], number: int) -> None:
    """A transactional row with clicks: an event for each that was not yet counted."""
    key, before = _before(draft, number)
    clicks = draft.rows[number].click_count or 0
    draft.mapped.known += min(clicks, before.clicks, MOST_CLICKS_AT_ONCE)
    if clicks <= before.clicks:
        return
    _remember(draft, number, key, Total(before.order_total, before.rises, clicks))
    head = draft.look.identity(CLICKED)
    rise = clicks - before.clicks
    if rise > MOST_CLICKS_AT_ONCE:
        fingerprint = draft.fingerprint(f"{head}{clicks}\x1f", number)
        draft.mapped.planned.seen[CLICKED] += 1
        draft.bury(CLICKED, number, fingerprint, f"clickCount rose by {rise}", planned=True)
        return
    for click in range(before.clicks + 1, clicks + 1):
        _emit(draft, CLICKED, number, draft.fingerprint(f"{head}{click}\x1f", number))


def _before(draft: Draft[wire.Activity], number: int) -> tuple[int, Total]:
    key = events.key(draft.fingerprint(draft.look.identity(_TOTAL), number))
    return key, draft.look.totals.get(key) or Total()


def _remember(draft: Draft[wire.Activity], number: int, key: int, total: Total) -> None:
    # The look remembers at once: the same row may stand on a later page again.
    draft.look.totals[key] = total
    draft.mapped.totals[key] = (draft.bucket(number), total)


def _emit(
    draft: Draft[wire.Activity],
    name: str,
    number: int,
    fingerprint: Fingerprint,
    properties: str | None = None,
) -> None:
    look, row = draft.look, draft.rows[number]
    draft.mapped.planned.seen[name] += 1
    try:
        sent = draft.zone.instant(row.send_date, not_before=look.message.sent_at)
        activity = draft.zone.instant(row.activity_date, not_before=sent)
    except ValueError as error:
        reason = f"a date of its row is no date: {error}"
        draft.bury(name, number, fingerprint, reason, planned=True)
        return
    happened = look.best_known(name, activity, sent)
    early = happened < look.horizon and not look.previous
    draft.emit(
        name, number, fingerprint, happened, early=early, planned=True, properties=properties
    )
