"""Readings of contacts: in turns, and each later one with a later instant."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from flow_parts import HORIZON
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SourceClock
from bridge.event_types import TRACKS
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.page import ContactPage, ContactPoll, Page
from bridge.flow.readers.contact_readings import MOST_SINGLE, ListReadings, unseen_of
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.times import Zone
from bridge.segment import events
from bridge.state.contacts import KnownAddress
from bridge.state.cursors import ContactCursor
from bridge.state.keys import SeenKeys, heads, sorted_keys
from bridge.state.records import Contact

START = times.seconds("2026-05-11T12:00:00.000Z")
POLL = ContactPoll(SourceList(5, "News", 77, HORIZON), False)
RULES = ContactRules(Zone(ZoneInfo("America/New_York")), frozenset(TRACKS))


class SetClock(SourceClock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START

    def now(self) -> float:
        return self.at


class Life:
    """A contact that changes, and a service that reads it, crashes, and is started again."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.identified_at = 0.0
        self.known: dict[str, Contact] = {}
        self.sent: list[dict[str, Any]] = []
        self.restart()

    def restart(self) -> None:
        """All that is left is what was saved."""
        pages, received = anyio.create_memory_object_stream[Page](1)
        # Its instants are all that is used.
        pages.close()
        received.close()
        self.readings = ListReadings(self.clock, pages, self.identified_at)

    def read(self, how: str, row: wire.Contact | None, *, crash: bool) -> None:
        """Reads the contact; a crash comes before anything of it is saved or sent."""
        page = ContactPage(
            POLL,
            ContactCursor("Subscribed", "next"),
            [] if row is None else [row],
            self.readings.instant(),
            deleted=["a@x.y"] if row is None else [],
            told_before=frozenset() if how == "again" else None,
        )
        mapped = RULES.map_contacts(page, self.known)
        if crash:
            self.restart()
            return
        if mapped.changes.contacts:
            self.identified_at = max(self.identified_at, page.read_at)
        self.known |= mapped.changes.contacts
        self.sent += map(json.loads, mapped.journaled.events)


def row_of(user: str | None, *, subscribed: bool) -> wire.Contact:
    """The contact as Listrak shows it."""
    return wire.Contact(
        email_address="a@x.y",
        subscription_state="Subscribed" if subscribed else "Unsubscribed",
        subscribe_date="2026-05-02T00:00:00",
        unsubscribe_date=None if subscribed else "2026-05-10T00:00:00",
        segmentation_field_values=[wire.ProfileValue(77, user)],
    )


STATES = st.sampled_from(
    [None, *(row_of(user, subscribed=on) for user in (None, "C-1", "C-2") for on in (True, False))]
)
CLOCKS = st.sampled_from([0.0, 0.0004, 0.0017, 1.0, 60.0, -0.0005, -1.0, -3600.0, -86400.0])


@given(
    st.lists(
        st.tuples(STATES, CLOCKS, st.sampled_from(["poll", "again"]), st.sampled_from(range(4))),
        max_size=30,
    )
)
def test_later_states_have_later_timestamps(
    history: list[tuple[wire.Contact | None, float, str, int]],
) -> None:
    """Whatever clocks do and however often it restarts; and no two have the same id."""
    life, told = Life(), 0
    state: tuple[bool, str | None] | None = None
    for row, step, how, accident in history:
        life.clock.at += step
        if accident == 1:
            life.restart()
        life.read(how, row, crash=accident == 2)
        if accident != 2 and (row is not None or state is not None):
            user = _user(row) if row is not None else None
            shown = (row is not None and row.subscription_state == "Subscribed", user)
            if row is None and state is not None and not state[0]:
                # Who was not subscribed before it was deleted keeps what was told.
                shown = state
            told += shown != state or how == "again"
            state = shown
    stamps = [event["timestamp"] for event in life.sent]
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert len({event["messageId"] for event in life.sent}) == len(life.sent) == told


def _user(row: wire.Contact) -> str | None:
    value = (row.segmentation_field_values or [])[0]
    return value.value if isinstance(value.value, str) else None


def test_an_instant_is_that_of_the_end() -> None:
    """No state is dated before the change that brought it; to the millisecond, as it is sent."""
    life = Life()
    life.clock.at = START + 0.0129
    assert life.readings.instant() == START + 0.012
    life.clock.at = START + 5
    assert life.readings.instant() == START + 5


@pytest.mark.anyio
async def test_the_turn_is_one_after_the_other() -> None:
    """What is read within a turn is sent before the next one reads: order of pages and instants."""
    life, order = Life(), list[tuple[int, float]]()
    pages, received = anyio.create_memory_object_stream[Page](99)
    readings = ListReadings(life.clock, pages, 0.0)

    async def read(number: int) -> None:
        for _ in range(5):
            async with readings.turn:
                await anyio.sleep(0.001 * number)
                instant = readings.instant()
                await anyio.sleep(0.001)
                cursor = ContactCursor("Subscribed", str(number))
                await readings.send(ContactPage(POLL, cursor, [], instant))

    async with received:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(read, number)
        pages.close()
        async for page in received:
            assert isinstance(page, ContactPage)
            order.append((int(page.next_cursor.page), page.read_at))
    assert len(order) == 15
    assert [at for _, at in order] == sorted({at for _, at in order})
    assert len({number for number, _ in order[:3]}) > 1, "they take turns"


def known_of(names: Sequence[str]) -> list[KnownAddress]:
    """Known contacts, in order; those in upper case are subscribed."""
    return [
        KnownAddress(name.lower(), name, name.isupper()) for name in sorted(names, key=str.lower)
    ]


def seen_of(*names: str) -> SeenKeys:
    """Contacts that were seen."""
    return SeenKeys([sorted_keys(heads([events.digest(name.encode()) for name in names]))])


def test_the_unseen() -> None:
    """Known contacts that no page has shown: those to be requested, and the others."""
    known = known_of(["", "A", "b", "C", "d"])
    unseen = unseen_of(known, seen_of("c"), lambda one, _: one.subscribed)
    assert [one.spelling for one in unseen.single] == ["A"]
    assert [one.spelling for one in unseen.others] == ["b", "d"]
    assert unseen.after == "d"
    assert unseen_of(known, seen_of("a", "b", "c", "d"), lambda *_: True).after == "d"


@given(st.integers(1, 300), st.integers(0, 7), st.integers(0, 3))
def test_pages_of_few_single_requests(number: int, seen: int, others: int) -> None:
    """A page has so many at most, as they share its instant; nobody is left out."""
    names = [f"{place:03}{'X' if place % 4 != others else 'x'}" for place in range(number)]
    was_seen = seen_of(*(name.lower() for name in names[:: seen + 1]))
    left, after, found = known_of(names), "", list[str]()
    while left:
        unseen = unseen_of(left, was_seen, lambda one, _: one.subscribed)
        assert len(unseen.single) <= MOST_SINGLE
        assert unseen.after > after
        after = unseen.after
        found += [one.spelling for one in [*unseen.single, *unseen.others]]
        left = [one for one in left if one.key > after]
    assert sorted(found) == sorted(set(names) - set(names[:: seen + 1]))
