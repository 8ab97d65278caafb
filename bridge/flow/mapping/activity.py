"""The mapping of activity rows and clicks to events: pure decisions, a page at a time.

An activity row is a state, not an event (bridge/listrak/FACTS.md: Activity): only what is new in it
becomes events. Usual rows of a page are mapped together, odd ones one at a time.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bridge.event_types import (
    CLICKED,
    EVENT_TYPES,
    LINK_DESCRIPTION,
    SENT,
    DateRule,
    EventType,
    Evidence,
    event_type,
)
from bridge.flow.mapping import totals
from bridge.flow.mapping.event_dates import in_several
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.mapping.page_mapping import PageMapping, RowEvent
from bridge.flow.mapping.row_instants import row_instants
from bridge.flow.mapping.unread import (
    EVENT_OF_FIELD,
    NO_ADDRESS,
    NO_DATE,
    letter_of,
    letter_of_activity,
)
from bridge.flow.page import ActivityPage, ClickPage
from bridge.listrak import wire
from bridge.listrak.pages import UnreadRow
from bridge.listrak.times import Zone, canonicals
from bridge.segment import events
from bridge.segment.events import Fingerprint

_ATTRIBUTION: Final = "cause"
"""Name of attributions in identities, so that each is noted once."""

Choice = Callable[[list[wire.Activity], list[int]], list[Any]]
"""A function of the rows of a page and of the numbers of some of them."""


def _showing(flag: str | None) -> Choice:
    """The choice of those rows whose flag is true."""
    # A field that is named in the code is read three times as fast as by its name as text.
    code = f"lambda rows, numbers: [number for number in numbers if rows[number].{flag}]"
    choice: Choice = eval(code)  # noqa: S307  # a field's name of our own table
    return choice


# Prepared once, as each goes over every row.
_SEND: Final = event_type(SENT)
_FLAGGED: Final = [
    (event, _showing(event.row_field)) for event in EVENT_TYPES if event.evidence is Evidence.FLAG
]
_DATES: Final[dict[DateRule, Choice]] = {
    DateRule.SEND_DATE: lambda rows, numbers: [rows[number].send_date for number in numbers],
    DateRule.FIRST_ACTIVITY: lambda rows, numbers: [
        rows[number].activity_date for number in numbers
    ],
}


@dataclass(frozen=True)
class ActivityRules:
    """Maps the pages of polls.

    zone: of Listrak's naive times.
    wanted: names of the events to send.
    extra: names of the extra properties to send.
    """

    zone: Zone
    wanted: frozenset[str]
    extra: frozenset[str] = frozenset()

    def map_activity(self, page: ActivityPage) -> MappedPage:
        """Maps activity rows: what they show for the first time, and totals that rose."""
        poll, rows = page.poll, page.rows
        mapping = PageMapping(
            poll,
            rows,
            canonicals([row.send_date for row in rows]),
            page.origins,
            zone=self.zone,
            wanted=self.wanted,
            properties=poll.message.properties or "{}",
        )
        sent = _add(mapping, _SEND, mapping.tracked)
        if poll.window.read_until is not None:
            mapping.first_read = frozenset(sent)
        # Without its address, or the date that tells sends apart, nothing of a row can be told.
        mapping.leave_unread_rows()
        _map_totals(mapping)
        shown = [(event, shown_by(rows, mapping.tracked)) for event, shown_by in _FLAGGED]
        mapping.mapped.dates.ambiguous = in_several(
            [numbers for event, numbers in shown if event.date_rule is DateRule.FIRST_ACTIVITY]
        )
        for event, numbers in shown:
            if event.date_rule is DateRule.CONTACT_DATE:
                _attribute(mapping, event, numbers)
            elif event.extra_property in self.extra:
                _add_by_value(mapping, event, numbers)
            else:
                _add(mapping, event, numbers)
        if page.unread:
            _note_unread(mapping, page.unread)
        return mapping.close(page.unread, partial(letter_of_activity, poll.message.path))

    def map_clicks(self, page: ClickPage) -> MappedPage:
        """Maps rows of one link's clickers: one a click."""
        poll, rows = page.poll, page.rows
        link = {"link_id": str(page.link.link_id), "link_url": page.link.link_url}
        if LINK_DESCRIPTION in self.extra:
            link[LINK_DESCRIPTION] = wire.text_of(page.link.link_description)
        mapping = PageMapping(
            poll,
            rows,
            canonicals([row.click_date for row in rows]),
            page.origins,
            zone=self.zone,
            wanted=self.wanted,
            properties=events.merged(poll.message.properties or "{}", link),
        )
        if page.ordinals:
            mapping.number_alike(page.ordinals)
        head = f"{poll.identity(CLICKED)}{page.link.link_id}\x1f"
        numbers, fingerprints = mapping.unseen(head, mapping.tracked)
        mapping.mapped.known += len(mapping.tracked) - len(numbers)
        dates = [rows[number].click_date for number in numbers]
        for click in mapping.emit_dated(CLICKED, numbers, fingerprints, dates, own=True):
            _map_click(mapping, click)
        path = f"{poll.message.path}/Link/{page.link.link_id}"
        return mapping.close(page.unread, partial(letter_of, "clickers", path))


def _map_totals(mapping: PageMapping[wire.Activity]) -> None:
    """Maps cumulative values, which become events where they rise."""
    poll, rows = mapping.poll, mapping.rows
    counts_clicks = poll.message.kind == "transactional"
    numbers = mapping.tracked
    if not counts_clicks:
        # Few rows have an order.
        numbers = [number for number in numbers if rows[number].order_total is not None]
    for number in numbers:
        row = rows[number]
        if row.order_total or (poll.totals and row.order_total == 0):
            totals.map_order(mapping, number)
        if counts_clicks and row.click_count:
            totals.map_counted_clicks(mapping, number)


def _add(mapping: PageMapping[wire.Activity], event: EventType, numbers: list[int]) -> list[int]:
    """Maps the events of a kind that some rows show, if they are new; the numbers of those rows."""
    new, fingerprints = _new(mapping, event, numbers)
    _emit(mapping, event, new, fingerprints)
    return new


def _add_by_value(
    mapping: PageMapping[wire.Activity], event: EventType, numbers: list[int]
) -> None:
    """Maps them with the extra property of their kind: rows of the same value together."""
    name = event.extra_property or ""
    by_value: defaultdict[str | None, list[tuple[int, Fingerprint]]] = defaultdict(list)
    for number, fingerprint in zip(*_new(mapping, event, numbers), strict=True):
        by_value[wire.text_of(getattr(mapping.rows[number], name))].append((number, fingerprint))
    for value, shown in by_value.items():
        alike = [number for number, _ in shown]
        _emit(mapping.carrying({name: value}), event, alike, [one for _, one in shown])


def _new(
    mapping: PageMapping[wire.Activity], event: EventType, numbers: list[int]
) -> tuple[list[int], list[Fingerprint]]:
    """The rows whose event of a kind is new, with its fingerprints; others are counted as known."""
    new, fingerprints = mapping.unseen(mapping.poll.identity(event.name), numbers)
    mapping.mapped.known += len(numbers) - len(new)
    return new, fingerprints


def _emit(
    mapping: PageMapping[wire.Activity],
    event: EventType,
    new: list[int],
    fingerprints: list[Fingerprint],
) -> None:
    """Makes new events of a kind."""
    name = event.name
    dates_of = _DATES.get(event.date_rule)
    if dates_of is None:
        # The row has no date of it: the first activity may have been another one.
        odd = [RowEvent(name, *pair) for pair in zip(new, fingerprints, strict=True)]
    else:
        # A send's date is exact at any poll, an activity date only at the first.
        own = event.date_rule is DateRule.SEND_DATE
        dates = dates_of(mapping.rows, new)
        odd = mapping.emit_dated(name, new, fingerprints, dates, own=own)
    for one in odd:
        _map_one(mapping, event, one)


def _map_one(mapping: PageMapping[wire.Activity], event: EventType, row_event: RowEvent) -> None:
    """Maps one event of a row, also where its dates are odd."""
    poll = mapping.poll
    is_send = event.date_rule is DateRule.SEND_DATE
    # A send doesn't depend on what else its row says.
    instants = row_instants(mapping, event.name, row_event.number, activity=not is_send)
    if instants is None:
        return
    sent, activity = instants
    match event.date_rule:
        case DateRule.SEND_DATE:
            own = sent or poll.message.sent_at
        case DateRule.FIRST_ACTIVITY:
            own = activity
        case _:
            own = ""
    first = row_event.number in mapping.first_read
    happened = own or poll.best_known(event.name, activity, sent, first_read=first)
    early = poll.window.is_early(event.name, is_send or first, happened)
    mapping.remember(row_event, journaled=not own, early=early)
    mapping.emit(row_event, happened, early=early, journaled=not own)


def _attribute(mapping: PageMapping[wire.Activity], event: EventType, numbers: list[int]) -> None:
    """Notes who unsubscribed through this message, and whether that may be before the horizon."""
    poll = mapping.poll
    if poll.backfill is not None:
        # Unsubscribes are sent from the contacts, which have no backfill.
        return
    new, fingerprints = mapping.unseen(poll.identity(_ATTRIBUTION), numbers)
    attributions = mapping.mapped.attributions
    for number, fingerprint in zip(new, fingerprints, strict=True):
        row = mapping.rows[number]
        mapping.remember(RowEvent(event.name, number, fingerprint))
        sent = mapping.zone.lenient(row.send_date, not_before=poll.message.sent_at)
        window = poll.window
        is_first = not window.previous or number in mapping.first_read
        old = is_first and (sent or poll.message.sent_at) < window.horizon
        (attributions.old if old else attributions.recent).append(row.email_address or "")


def _map_click(mapping: PageMapping[wire.Clicker], click: RowEvent) -> None:
    """Maps one click on a link, also where its date is odd."""
    poll, row = mapping.poll, mapping.rows[click.number]
    if not row.email_address or not row.email_address.strip():
        mapping.note_unread(CLICKED, click.number, "emailAddress", NO_ADDRESS)
        return
    try:
        own = mapping.zone.instant(row.click_date, not_before=poll.message.sent_at)
    except ValueError:
        mapping.note_unread(CLICKED, click.number, "clickDate", NO_DATE)
        return
    happened = own or poll.best_known(CLICKED, "", "")
    early = poll.window.is_early(CLICKED, bool(own), happened)
    mapping.remember(click, journaled=not own, early=early)
    mapping.emit(click, happened, early=early, journaled=not own)


def _note_unread(mapping: PageMapping[wire.Activity], unread: Sequence[UnreadRow]) -> None:
    """Notes the events that can't be made, as the fields that show them can't be read.

    Dates and addresses that can't be read are met by the events that need them. Clicks are counted
    by links, but for transactional messages.
    """
    tracked = set(mapping.tracked)
    for row in unread:
        if row.number is None or row.number not in tracked:
            continue
        for field in row.fields.keys() & EVENT_OF_FIELD.keys():
            event = EVENT_OF_FIELD[field]
            if event.name != CLICKED or mapping.poll.message.kind == "transactional":
                mapping.note_unread(event.name, row.number, field, row.fields[field])
