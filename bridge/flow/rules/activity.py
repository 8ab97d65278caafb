"""How activity rows and clicks become events: pure decisions, a page at a time.

An activity row is a state, not an event: of what it shows, only what is new becomes one. What is
usual is done for all rows of a page together; what takes a closer look, a row at a time.
"""

from dataclasses import dataclass

from bridge.flow.page import ActivityPage, ClickPage, Mapped
from bridge.flow.rules import totals
from bridge.flow.rules.draft import Draft
from bridge.listrak import wire
from bridge.listrak.times import Zone, canonical
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.vocabulary import BOUNCED, CLICKED, OPENED, SENT, SPAM, UNSUBSCRIBED

_CAUSE = "cause"


@dataclass(frozen=True)
class ActivityRules:
    """Maps the pages of looks. `wanted`: names of the events to send."""

    zone: Zone
    wanted: frozenset[str]

    def map_activity(self, page: ActivityPage) -> Mapped:
        """Activity rows: what they show for the first time, and totals that rose."""
        look, rows = page.look, page.rows
        draft = Draft(
            look,
            rows,
            [canonical(row.send_date) for row in rows],
            page.origins,
            zone=self.zone,
            wanted=self.wanted,
            properties=look.message.properties or "{}",
        )
        opened: list[int] = []
        bounced: list[int] = []
        complained: list[int] = []
        unsubscribed: list[int] = []
        transactional = look.message.kind == "transactional"
        for number in draft.tracked:
            row = rows[number]
            if row.open:
                opened.append(number)
            if row.bounce:
                bounced.append(number)
            if row.abuse:
                complained.append(number)
            if row.unsubscribe:
                unsubscribed.append(number)
            if row.order_total or (look.totals and row.order_total == 0):
                totals.order(draft, number)
            if transactional and row.click_count:
                totals.counted_clicks(draft, number)
        _add(draft, SENT, draft.tracked)
        _add(draft, OPENED, opened)
        _add(draft, BOUNCED, bounced)
        _add(draft, SPAM, complained)
        if look.past is not None:
            # Unsubscribes are told by the contacts, which have no past.
            return draft.mapped
        causes = draft.unknown(look.identity(_CAUSE), unsubscribed)
        for number, fingerprint in zip(*causes, strict=True):
            _cause(draft, number, fingerprint)
        return draft.mapped

    def map_clicks(self, page: ClickPage) -> Mapped:
        """Rows of one link's clickers: one a click."""
        look, rows = page.look, page.rows
        link = {"link_id": str(page.link.link_id), "link_url": page.link.link_url}
        draft = Draft(
            look,
            rows,
            [canonical(row.click_date) for row in rows],
            page.origins,
            zone=self.zone,
            wanted=self.wanted,
            properties=events.merged(look.message.properties or "{}", link),
        )
        head = f"{look.identity(CLICKED)}{page.link.link_id}\x1f"
        numbers, fingerprints = draft.unknown(head, draft.tracked)
        draft.mapped.known += len(draft.tracked) - len(numbers)
        dates = [rows[number].click_date for number in numbers]
        for number, fingerprint in draft.emit_dated(
            CLICKED, numbers, fingerprints, dates, own=True
        ):
            _click(draft, number, fingerprint)
        return draft.mapped


def _add(draft: Draft[wire.Activity], name: str, numbers: list[int]) -> None:
    """What some rows show: new ones become events."""
    look, rows = draft.look, draft.rows
    new, fingerprints = draft.unknown(look.identity(name), numbers)
    draft.mapped.known += len(numbers) - len(new)
    if name is SPAM:
        # A complaint carries no date of its own: the first activity may have been an open.
        closer = list(zip(new, fingerprints, strict=True))
    elif name is SENT:
        dates = [rows[number].send_date for number in new]
        closer = draft.emit_dated(name, new, fingerprints, dates, own=True)
    else:
        # What a send's own date says is true at any look; an activity's only at the first.
        dates = [rows[number].activity_date for number in new]
        closer = draft.emit_dated(name, new, fingerprints, dates, own=False)
    for number, fingerprint in closer:
        _flag(draft, name, number, fingerprint)


def _flag(draft: Draft[wire.Activity], name: str, number: int, fingerprint: Fingerprint) -> None:
    """One thing that a row shows, whatever its dates are like."""
    look, row = draft.look, draft.rows[number]
    try:
        # A send doesn't depend on what else its row says.
        sent = _sent(draft, row)
        activity = "" if name is SENT else draft.zone.instant(row.activity_date, sent)
    except ValueError as error:
        draft.remember(name, number, fingerprint)
        draft.bury(name, number, fingerprint, f"a date of its row is no date: {error}")
        return
    own = sent or look.message.sent_at if name is SENT else activity
    own = "" if name is SPAM else own
    happened = own or look.best_known(name, activity, sent)
    early = look.is_early(name is SENT, happened)
    draft.remember(name, number, fingerprint, planned=not own, early=early)
    draft.emit(name, number, fingerprint, happened, early=early, planned=not own)


def _cause(draft: Draft[wire.Activity], number: int, fingerprint: Fingerprint) -> None:
    """A contact that unsubscribed through this message, unless perhaps long ago."""
    look, row = draft.look, draft.rows[number]
    draft.remember(UNSUBSCRIBED, number, fingerprint)
    try:
        sent = _sent(draft, row)
    except ValueError:
        sent = ""
    early = not look.previous and (sent or look.message.sent_at) < look.horizon
    mapped = draft.mapped
    (mapped.old_causes if early else mapped.causes).append(row.email_address or "")


def _click(draft: Draft[wire.Clicker], number: int, fingerprint: Fingerprint) -> None:
    """One click on a link, whatever its date is like."""
    look, row = draft.look, draft.rows[number]
    try:
        own = draft.zone.instant(row.click_date, not_before=look.message.sent_at)
    except ValueError as error:
        draft.remember(CLICKED, number, fingerprint)
        draft.bury(CLICKED, number, fingerprint, f"its clickDate is no date: {error}")
        return
    happened = own or look.best_known(CLICKED, "", "")
    early = look.is_early(bool(own), happened)
    draft.remember(CLICKED, number, fingerprint, planned=not own, early=early)
    draft.emit(CLICKED, number, fingerprint, happened, early=early, planned=not own)


def _sent(draft: Draft[wire.Activity], row: wire.Activity) -> str:
    """When a row's email was sent, as it says. Raises ValueError for what is no date."""
    return draft.zone.instant(row.send_date, not_before=draft.look.message.sent_at)
