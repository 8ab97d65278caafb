"""Each kind of event is declared in one place, and everything that goes by kind knows it."""

from itertools import product
from typing import Any, get_args

import pytest

from bridge.event_types import (
    CONVERTED,
    EVENT_TYPES,
    EXTRA_PROPERTIES,
    SENT,
    TRACKS,
    DateRule,
    EventType,
    Evidence,
    event_type,
    event_type_asked_by,
)
from bridge.flow.planner.scan_types import ESCALATION
from bridge.listrak.wire import Activity, Summary
from bridge.state.records import Kind

NO_SCANS: set[tuple[Kind, str]] = set()
"""Kinds of message and event for which nothing is read, on purpose."""

SHOWN: dict[Evidence, Any] = {Evidence.FLAG: True, Evidence.AMOUNT: 0.0, Evidence.COUNT: 1}
NOT_SHOWN: dict[Evidence, Any] = {Evidence.FLAG: False, Evidence.AMOUNT: None, Evidence.COUNT: 0}


def test_each_name_is_one_kind_of_event() -> None:
    """In the order of the names."""
    assert tuple(event.name for event in EVENT_TYPES) == TRACKS
    assert all(event_type(event.name) is event for event in EVENT_TYPES)


@pytest.mark.parametrize(("kind", "event"), list(product(get_args(Kind), TRACKS)))
def test_each_kind_of_event_has_its_scans(kind: Kind, event: str) -> None:
    """Or none on purpose; a kind of event that nobody reads would never be found."""
    assert bool(ESCALATION[kind].get(event)) is ((kind, event) not in NO_SCANS)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_scans_are_known_by_their_names(kind: Kind) -> None:
    """Scans that share a name read the same: only how long they wait depends on the event."""
    scans = [scan for scan_types in ESCALATION[kind].values() for scan in scan_types]
    alike = {scan._replace(max_wait=0.0, wait=0.0) for scan in scans}
    assert len({scan.name for scan in alike}) == len(alike)


def test_counters_are_those_of_a_summary() -> None:
    """Each counts one kind of event."""
    counters = [event.counter for event in EVENT_TYPES if event.counter is not None]
    assert set(counters) <= set(Summary.__struct_fields__)
    assert len(set(counters)) == len(counters)


def test_fields_are_those_of_an_activity_row() -> None:
    """Each shows one kind of event; of a send, the row itself does."""
    fields = [event.row_field for event in EVENT_TYPES if event.name != SENT]
    assert set(fields) <= set(Activity.__struct_fields__)
    extra = {event.extra_property for event in EVENT_TYPES} - {None}
    assert extra <= set(Activity.__struct_fields__) & set(EXTRA_PROPERTIES)
    assert len(set(fields)) == len(fields)
    assert event_type(SENT).row_field is None


def test_activity_types_are_distinct() -> None:
    """Each asks for one kind of event, which it leads back to."""
    asking = [event for event in EVENT_TYPES if event.activity_type is not None]
    assert len({event.activity_type for event in asking}) == len(asking)
    assert all(event_type_asked_by(event.activity_type or "") is event for event in asking)


@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.name)
def test_what_a_row_shows(event: EventType) -> None:
    """A row that shows an event, and one that doesn't; every row shows a send."""
    if event.row_field is None:
        assert event.is_shown_by(Activity())
        return
    assert event.is_shown_by(Activity(**{event.row_field: SHOWN[event.evidence]}))
    assert not event.is_shown_by(Activity(**{event.row_field: NOT_SHOWN[event.evidence]}))
    assert not event.is_shown_by(Activity(**{event.row_field: None}))
    assert not event.is_shown_by(Activity())


def test_only_sends_and_clicks_have_a_date_of_their_own() -> None:
    """What has none is dated as well as it is known, and can't be made again the same way."""
    rules = {event.name: event.date_rule for event in EVENT_TYPES}
    assert rules[SENT] is DateRule.SEND_DATE
    assert rules[CONVERTED] is DateRule.BEST_KNOWN
    assert set(rules.values()) == set(DateRule)
