"""How contacts become identifies and unsubscribes."""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow_parts import HORIZON
from hypothesis import given
from hypothesis import strategies as st
from planner_parts import PROPERTIES

from bridge.event_types import TRACKS, UNSUBSCRIBED
from bridge.flow.in_flight import InFlight
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.mapping.user_ids import CONFIGURED, SharedUserIds, UserIds
from bridge.flow.page import ContactPage, ContactPoll, UnsubscribePage
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.times import Zone
from bridge.state.cursors import ContactCursor
from bridge.state.records import Contact, PendingUnsubscribe

ZONE = Zone(ZoneInfo("America/New_York"))
RULES = ContactRules(ZONE, frozenset(TRACKS))

ZOE = "zoë@example.com"
FIELD = 77
AGO = "2026-03-01T00:00:00"
LEFT = "2026-05-10T08:00:00"
LEFT_AT = "2026-05-10T12:00:00.000Z"
POLLED = "2026-05-09T00:00:00.000Z"
READ_AT = times.seconds("2026-05-11T12:00:00.500Z")


class Book:
    """What is known of a list's contacts, kept as the mapper keeps it."""

    def __init__(self, *known: Contact) -> None:
        self.known = {contact.email.lower(): contact for contact in known}

    def read(
        self,
        *rows: wire.Contact,
        deleted: list[str] | None = None,
        subscribed: bool = True,
        previous: str = POLLED,
        field: int | None = FIELD,
        horizon: str = HORIZON,
        zone: str = "",
        rules: ContactRules = RULES,
        as_known: Sequence[str] = (),
        told_before: Sequence[str] | None = None,
    ) -> MappedPage:
        poll = ContactPoll(SourceList(5, "News", field, horizon), False, previous, zone=zone)
        page = ContactPage(
            poll,
            ContactCursor("Subscribed", "next"),
            list(rows),
            READ_AT,
            subscribed,
            deleted or [],
            list(as_known),
            None if told_before is None else frozenset(told_before),
        )
        mapped = rules.map_contacts(page, self.known)
        self.known |= mapped.changes.contacts
        return mapped


def here(email: str | None = ZOE, user: object = None, **changes: Any) -> wire.Contact:
    """A subscribed contact."""
    values: dict[str, Any] = {
        "email_address": email,
        "subscription_state": "Subscribed",
        "subscribe_date": AGO,
    }
    if user is not None:
        values["segmentation_field_values"] = [wire.ProfileValue(FIELD, user)]  # type: ignore[arg-type]
    return wire.Contact(**values | changes)


def gone(email: str | None = ZOE, date: str | None = LEFT, **changes: Any) -> wire.Contact:
    """An unsubscribed contact."""
    values: dict[str, Any] = {
        "email_address": email,
        "subscription_state": "Unsubscribed",
        "subscribe_date": AGO,
        "unsubscribe_date": date,
        "unsubscribe_method": "Administrator",
    }
    return wire.Contact(**values | changes)


def sent(mapped: MappedPage) -> list[dict[str, Any]]:
    assert not mapped.reproducible.events, "all that is told of contacts is written down first"
    return [json.loads(event) for event in mapped.journaled.events]


def traits(mapped: MappedPage) -> list[tuple[str, object, str | None]]:
    """Of each identify: whom, subscribed or null, userId."""
    found = []
    for event in sent(mapped):
        assert event["type"] == "identify"
        assert event["anonymousId"] == event["traits"]["email"]
        assert set(event["traits"]) == {"email", "listrak_list_5"}
        trait = event["traits"]["listrak_list_5"]
        found.append((event["anonymousId"], trait, event.get("userId")))
    return found


# Identifies


def test_subscribed_once() -> None:
    """A subscribed contact is identified at first, and then only when something changed."""
    book = Book()
    assert traits(book.read(here(), here("b@x.y"))) == [(ZOE, True, None), ("b@x.y", True, None)]
    again = book.read(here(), here("b@x.y"))
    assert (sent(again), again.changes.contacts, again.known) == ([], {}, 2)


def test_twice_in_a_page() -> None:
    """Pages shift while they are read: a contact that comes twice is one."""
    assert len(sent(Book().read(here(), here()))) == 1


@pytest.mark.parametrize(
    ("value", "user_id"),
    [
        ("C-17", "C-17"),
        (17, "17"),
        (1.5, "1.5"),
        (True, "true"),
        ("", None),
        ("  ", None),
        (None, None),
        ("Zoë 🎉", "Zoë 🎉"),
    ],
)
def test_user_id(value: object, user_id: str | None) -> None:
    """userId is the configured field's value, as text; without one it is absent."""
    assert traits(Book().read(here(user=value))) == [(ZOE, True, user_id)]


def test_other_fields() -> None:
    """Another field's value is nobody's id, nor is one where no field is configured."""
    other = [wire.ProfileValue(78, "x"), wire.ProfileValue(FIELD, "C-17")]
    assert traits(Book().read(here(segmentation_field_values=other))) == [(ZOE, True, "C-17")]
    assert traits(Book().read(here(user="C-17"), field=None)) == [(ZOE, True, None)]
    assert traits(Book().read(here(segmentation_field_values=other[:1]))) == [(ZOE, True, None)]


def test_changes_back_and_forth() -> None:
    """Each change is told with an id of its own, also one that leads back."""
    book = Book()
    told = [book.read(here(user=user)) for user in ("a", "b", "a", "b", None, "a")]
    assert [traits(mapped)[0][2] for mapped in told] == ["a", "b", "a", "b", None, "a"]
    ids = {sent(mapped)[0]["messageId"] for mapped in told}
    assert len(ids) == 6


def test_the_same_story_has_the_same_ids() -> None:
    """After a crash and a repeat the ids are the same."""
    stories = []
    for _ in range(2):
        book = Book()
        mapped = [book.read(here(user="a")), book.read(gone(), subscribed=False), book.read(here())]
        stories.append([event["messageId"] for one in mapped for event in sent(one)])
    assert stories[0] == stories[1]
    assert len(set(stories[0])) == 3


def test_ids_for_ever() -> None:
    """These ids must never change: an update would send everything once more."""
    (event,) = sent(Book().read(here(user="C-17")))
    assert event["messageId"] == "listrak-38f4e8cfe7eff588d745bf75fa93e122"
    (event,) = sent(RULES.map_unsubscribes(pending(PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "x"))))
    assert event["messageId"] == "listrak-603804b33030ae68fd4b83219c008e9e"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, "a", "b"])), max_size=12))
def test_every_change_once(story: list[tuple[bool, str | None]]) -> None:
    """Whatever a contact does: each change is one identify, each with an id of its own."""
    book = Book()
    told: list[dict[str, Any]] = []
    expected: list[tuple[object, str | None]] = []
    state: tuple[bool, str | None] | None = None
    for number, (subscribed, user) in enumerate(story):
        values = [wire.ProfileValue(FIELD, user)]
        row = here() if subscribed else gone(date=f"2026-05-{10 + number}T08:00:00")
        row.segmentation_field_values = values
        told += sent(book.read(row, subscribed=subscribed))
        if (subscribed, user) != state:
            expected.append((True if subscribed else None, user))
        state = (subscribed, user)
    found = [(event["traits"]["listrak_list_5"], event.get("userId")) for event in told]
    assert found == expected
    assert len({event["messageId"] for event in told}) == len(told)


def test_the_rows_own_word() -> None:
    """A row that says its state is believed; one that doesn't has the state it was asked for."""
    assert traits(Book().read(gone(), subscribed=True)) == [(ZOE, None, None)]
    assert traits(Book().read(here(), subscribed=False)) == [(ZOE, True, None)]
    for state in (None, "", "Unknown"):
        row = gone(subscription_state=state)
        assert traits(Book().read(row, subscribed=False)) == [(ZOE, None, None)]
        row = here(subscription_state=state)
        assert traits(Book().read(row, subscribed=True)) == [(ZOE, True, None)]


@pytest.mark.parametrize("email", [None, "", " "])
def test_nobody(email: str | None) -> None:
    """A contact without an address is one dead letter, and takes nobody along."""
    book = Book()
    mapped = book.read(here(email), here("b@x.y"))
    assert [letter.event for letter in mapped.unread] == ["contacts"]
    assert traits(mapped) == [("b@x.y", True, None)]
    assert book.read(here(email)).unread == mapped.unread


def test_too_large() -> None:
    """A userId beyond what Segment takes is a dead letter."""
    mapped = Book().read(here(user="x" * 32_000))
    assert sent(mapped) == []
    assert "larger than Segment takes" in mapped.journaled.dead[0].reason


def test_identifies_are_always_wanted() -> None:
    """BRIDGE_EVENTS is about the seven events; identifies are sent in any case."""
    rules = ContactRules(ZONE, frozenset())
    assert len(sent(Book().read(here(), rules=rules))) == 1


# Leaving


def test_unsubscribed() -> None:
    """Who unsubscribed loses the list's trait, and the event waits for its cause."""
    book = Book()
    book.read(here(user="a"))
    mapped = book.read(gone(segmentation_field_values=[wire.ProfileValue(FIELD, "a")]))
    assert traits(mapped) == [(ZOE, None, "a")]
    assert mapped.changes.unsubscribes == [PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "Administrator")]
    again = book.read(gone(segmentation_field_values=[wire.ProfileValue(FIELD, "a")]))
    assert (sent(again), again.changes.unsubscribes) == ([], [])
    assert again.known == 2


def test_unsubscribed_and_never_seen_before() -> None:
    """Who came and left between two looks is told as unsubscribed."""
    mapped = Book().read(gone(), subscribed=False)
    assert traits(mapped) == [(ZOE, None, None)]
    assert [row.instant for row in mapped.changes.unsubscribes] == [LEFT_AT]


@pytest.mark.parametrize(
    "date",
    [
        "2026-04-30T19:59:59.999",  # horizon is midnight UTC
        "2020-01-01T00:00:00",
        None,
        "0001-01-01T00:00:00",
    ],
)
def test_unsubscribed_before_the_horizon(date: str | None) -> None:
    """Who had left before history began gets nothing, nor who left nobody knows when."""
    book = Book()
    mapped = book.read(gone(date=date), subscribed=False)
    assert (sent(mapped), mapped.changes.unsubscribes, mapped.changes.contacts) == ([], [], {})
    assert mapped.filtered == 1


def test_unsubscribed_nobody_knows_when() -> None:
    """A date that is none, of a contact of whom nothing tells whether it left before history began,
    is one dead letter."""
    book = Book()
    mapped = book.read(gone(date="soon"), subscribed=False)
    assert (sent(mapped), mapped.changes.unsubscribes, mapped.changes.contacts) == ([], [], {})
    assert ["unsubscribeDate is no date" in letter.reason for letter in mapped.unread] == [True]
    assert book.read(gone(date="soon"), subscribed=False).unread == mapped.unread


@pytest.mark.parametrize("date", [None, "0001-01-01T00:00:00", "soon", "2026-02-30T00:00:00"])
@pytest.mark.parametrize("previous", ["", POLLED])
def test_undated_stranger(date: str | None, previous: str) -> None:
    """Who came and left since history began is told, whatever the date; and once."""
    book = Book()
    came = "2026-05-09T10:00:00"
    row = gone(date=date, subscribe_date=came)
    mapped = book.read(row, subscribed=False, previous=previous)
    assert traits(mapped) == [(ZOE, None, None)]
    (left,) = mapped.changes.unsubscribes
    assert left.instant == max("2026-05-09T14:00:00.000Z", previous)
    again = book.read(row, subscribed=False)
    assert (sent(again), again.changes.unsubscribes, again.unread) == ([], [], [])


def test_unsubscribed_at_the_horizon() -> None:
    """The horizon itself belongs to what is sent."""
    mapped = Book().read(gone(date="2026-04-30T20:00:00"), subscribed=False)
    assert [row.instant for row in mapped.changes.unsubscribes] == [HORIZON]


@pytest.mark.parametrize("date", [None, "0001-01-01T00:00:00", "soon"])
@pytest.mark.parametrize("previous", [POLLED, ""])
def test_undated(date: str | None, previous: str) -> None:
    """A known contact that left without a date left since it was last polled."""
    book = Book()
    book.read(here())
    mapped = book.read(gone(date=date), subscribed=False, previous=previous)
    assert traits(mapped) == [(ZOE, None, None)]
    (row,) = mapped.changes.unsubscribes
    assert row.instant == (previous or HORIZON)
    again = book.read(gone(date=date), subscribed=False)
    assert (sent(again), again.changes.unsubscribes) == ([], [])


def test_undated_again_and_again() -> None:
    """Each time is one event: their dates for the id differ."""
    book = Book()
    dates = set()
    for day in (10, 11, 12):
        book.read(here())
        previous = f"2026-05-{day}T00:00:00.000Z"
        mapped = book.read(gone(date=None), subscribed=False, previous=previous)
        dates |= {row.date for row in mapped.changes.unsubscribes}
    assert len(dates) == 3


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59", "9999-12-31T23:59:59.9999999"])
def test_a_date_at_the_end_of_time(date: str) -> None:
    """A date that fits into no calendar doesn't stop the others."""
    book = Book()
    book.read(here())
    mapped = book.read(gone(date=date), here("b@x.y"), subscribed=False)
    assert ("b@x.y", True, None) in traits(mapped)


def test_resubscribed() -> None:
    """Who comes back is told so, and what made it leave is history; leaving again is new."""
    book = Book()
    book.read(here())
    book.read(gone(), subscribed=False)
    back = book.read(here(resubscribe_date="2026-05-12T08:00:00"))
    assert traits(back) == [(ZOE, True, None)]
    assert back.changes.resubscribed == [ZOE]
    second = book.read(gone(date="2026-05-14T08:00:00"), subscribed=False)
    assert traits(second) == [(ZOE, None, None)]
    assert [row.date for row in second.changes.unsubscribes] == ["2026-05-14T08:00:00"]


def test_left_and_came_back_and_left_between_looks() -> None:
    """A contact known as gone that has a later unsubscribe date left once more."""
    book = Book()
    book.read(gone(), subscribed=False)
    mapped = book.read(gone(date="2026-05-14T08:00:00"), subscribed=False)
    assert [row.date for row in mapped.changes.unsubscribes] == ["2026-05-14T08:00:00"]
    assert sent(mapped) == []
    again = book.read(gone(date="2026-05-14T08:00:00"), subscribed=False)
    assert again.changes.unsubscribes == []


def test_unsubscribe_in_the_hour_that_autumn_repeats() -> None:
    """Leaving isn't before coming."""
    row = gone(date="2026-11-01T01:20:00", subscribe_date="2026-11-01T01:40:00")
    (found,) = Book().read(row, subscribed=False).changes.unsubscribes
    assert found.instant == "2026-11-01T06:20:00.000Z"


def test_lost() -> None:
    """Who disappeared from the list loses its trait, without an event and without a userId."""
    book = Book()
    book.read(here(user="a"), here("b@x.y"))
    mapped = book.read(deleted=[ZOE])
    assert traits(mapped) == [(ZOE, None, None)]
    assert mapped.changes.unsubscribes == []
    assert sent(book.read(deleted=[ZOE, "stranger@x.y"])) == []
    assert traits(book.read(here(user="a"))) == [(ZOE, True, "a")]


# Held unsubscribes


def pending(*rows: PendingUnsubscribe) -> UnsubscribePage:
    return UnsubscribePage(SourceList(5, "News", None), InFlight(), list(rows))


def test_unsubscribed_event() -> None:
    """The event has the list, the way of leaving, and the message behind it where one is known."""
    rows = [
        PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "Administrator"),
        PendingUnsubscribe("b@x.y", LEFT, LEFT_AT, "", PROPERTIES),
    ]
    first, second = sent(RULES.map_unsubscribes(pending(*rows)))
    assert first["event"] == UNSUBSCRIBED
    assert first["timestamp"] == LEFT_AT
    assert first["anonymousId"] == first["context"]["traits"]["email"] == ZOE
    assert "userId" not in first
    assert first["properties"] == {
        "list_id": "5",
        "list_name": "News",
        "unsubscribe_type": "Administrator",
    }
    assert second["properties"] == json.loads(PROPERTIES)
    assert RULES.map_unsubscribes(pending(*rows)).names == {UNSUBSCRIBED: 2}


def test_unsubscribed_ids() -> None:
    """One event for a list, a contact and a date, whatever message is found behind it."""
    rows = [
        PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "x"),
        PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "y", PROPERTIES),
        PendingUnsubscribe(ZOE, "2026-05-11T08:00:00", LEFT_AT, "x"),
        PendingUnsubscribe("b@x.y", LEFT, LEFT_AT, "x"),
    ]
    ids = [event["messageId"] for event in sent(RULES.map_unsubscribes(pending(*rows)))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_unsubscribed_not_wanted() -> None:
    """Where the event isn't wanted it is counted as filtered."""
    rules = ContactRules(ZONE, frozenset(TRACKS) - {UNSUBSCRIBED})
    mapped = rules.map_unsubscribes(pending(PendingUnsubscribe(ZOE, LEFT, LEFT_AT, "x")))
    assert (sent(mapped), mapped.filtered) == ([], 1)


def test_unsubscribed_dead_letter() -> None:
    """An unsubscribe that Segment wouldn't take is a dead letter."""
    mapped = RULES.map_unsubscribes(pending(PendingUnsubscribe("", LEFT, LEFT_AT, "x")))
    assert [letter.event for letter in mapped.journaled.dead] == [UNSUBSCRIBED]


# Another zone, another spelling, values of nobody


def left(date: str, email: str = ZOE) -> wire.Contact:
    """A contact who unsubscribed then."""
    return here(email, subscription_state="Unsubscribed", unsubscribe_date=date)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin"])
def test_another_zone_sends_no_unsubscribe_again(zone: str) -> None:
    """Listrak's own text is compared; only a later one is another unsubscribe."""
    book = Book(Contact(ZOE, False, None, 2, LEFT))
    moved = ContactRules(Zone(ZoneInfo(zone)), frozenset(TRACKS))
    for rules in (moved, RULES, moved):
        assert not book.read(left(LEFT), subscribed=False, rules=rules).changes.unsubscribes
    later = book.read(left("2026-05-10T08:00:01"), subscribed=False, rules=moved)
    assert [one.date for one in later.changes.unsubscribes] == ["2026-05-10T08:00:01"]


def test_an_instant_of_an_older_version_is_replaced_by_the_text() -> None:
    """The same unsubscribe is known, and from then on by Listrak's own text."""
    book = Book(Contact(ZOE, False, None, 2, LEFT_AT))
    assert not book.read(left(LEFT), subscribed=False).changes.unsubscribes
    assert book.known[ZOE].unsubscribed_at == LEFT


def test_the_repeated_hour_has_two_unsubscribes() -> None:
    """Who leaves, comes back and leaves in the second of two equal hours left twice."""
    rules = ContactRules(Zone(ZoneInfo("America/New_York")), frozenset(TRACKS))
    book = Book(Contact(ZOE, True, None, 1, "2026-11-01T01:50:00"))
    row = here(
        subscription_state="Unsubscribed",
        subscribe_date="2026-06-01T00:00:00",
        resubscribe_date="2026-11-01T01:55:00",
        unsubscribe_date="2026-11-01T01:10:00",
    )
    found = book.read(row, subscribed=False, rules=rules).changes.unsubscribes
    assert [one.instant for one in found] == ["2026-11-01T06:10:00.000Z"]
    assert not book.read(row, subscribed=False, rules=rules).changes.unsubscribes


def test_case_makes_no_other_contact() -> None:
    """Another spelling is no change; what is sent is spelled as its row is."""
    book = Book()
    first = book.read(here("Bob@X.com", "C-1"), here("bob@x.com", "C-1"))
    (event,) = map(json.loads, first.journaled.events)
    assert event["anonymousId"] == "Bob@X.com"
    assert not book.read(here("BOB@x.com", "C-1")).journaled.events
    assert book.known["bob@x.com"].email == "Bob@X.com"
    gone = book.read(left("2026-05-10T08:00:00", "bob@x.com"), subscribed=False)
    (event,) = map(json.loads, gone.journaled.events)
    assert event["anonymousId"] == "bob@x.com"
    assert event["traits"]["listrak_list_5"] is None
    assert [one.email for one in gone.changes.unsubscribes] == ["bob@x.com"]
    assert set(book.known) == {"bob@x.com"}


ZEROS = ["000", "--", "00000000-0000-0000-0000-000000000000"]


@pytest.mark.parametrize(
    "value",
    ["0", "-1", "null", "NULL", " n/a ", "N/A", "Anonymous", "undefined", "None", "guest", *ZEROS],
)
def test_values_of_nobody_are_no_user_id(value: str) -> None:
    """They are withheld, as Segment would make one person of all who have them."""
    rules = ContactRules(RULES.zone, RULES.wanted, user_ids=UserIds(["guest"]))
    book = Book(Contact("ann@x.com", True, value, 1, ""))
    mapped = book.read(here("Bob@X.com", value), here("ann@x.com", value), rules=rules)
    events = [json.loads(event) for event in mapped.journaled.events]
    assert len(events) == 2
    assert not any("userId" in event for event in events)
    assert mapped.user_ids_withheld.total() == 2
    assert not book.read(here("Bob@X.com", value), rules=rules).journaled.events


def test_a_value_of_many_is_told() -> None:
    """It is sent as it is; one that a household shares is no alarm."""
    rows = [here(f"{number}@x.com", "C-1") for number in range(21)]
    book = Book()
    mapped = book.read(*rows)
    assert mapped.changes.user_ids == ["C-1"] * 21
    assert book.read(*rows).changes.user_ids == [], "each contact counts once"
    assert {json.loads(event)["userId"] for event in mapped.journaled.events} == {"C-1"}


def test_who_returns_after_being_forgotten_has_new_ids() -> None:
    """A deleted contact is noted as such, and begins above what was forgotten when it is back."""
    book = Book()
    ids = {event["messageId"] for event in map(json.loads, book.read(here()).journaled.events)}
    book.read(deleted=[ZOE])
    assert book.known[ZOE].deleted_at == READ_AT
    again = Book(*book.known.values()).read(here())
    assert again.changes.contacts[ZOE].deleted_at is None
    ids |= {event["messageId"] for event in map(json.loads, again.journaled.events)}
    assert len(ids) == 2
    page = ContactPage(
        ContactPoll(SourceList(5, "News", FIELD, HORIZON), True, POLLED, first_revision=3),
        ContactCursor("Subscribed", "next"),
        [here()],
        READ_AT,
    )
    (event,) = map(json.loads, RULES.map_contacts(page, {}).journaled.events)
    assert event["messageId"] not in ids
    assert event["timestamp"] == "2026-05-11T12:00:00.500Z"


# Zones and the repeated hour


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("America/New_York", "America/Los_Angeles"),
        ("America/New_York", "Asia/Tokyo"),
        ("UTC", "America/New_York"),
        ("Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_an_instant_of_an_older_version_moves_along(old: str, new: str) -> None:
    """What it had read in the zone of its time is the same unsubscribe, and a later one is not."""
    taken = Zone(ZoneInfo(old)).instant(LEFT)
    rules = ContactRules(Zone(ZoneInfo(new)), frozenset(TRACKS))
    for subscribed in (True, False):
        book = Book(Contact(ZOE, subscribed, None, 2, taken))
        assert not book.read(left(LEFT), rules=rules, zone=old).changes.unsubscribes
        assert book.known[ZOE].unsubscribed_at == LEFT
        book = Book(Contact(ZOE, subscribed, None, 2, taken))
        later = book.read(left("2026-05-10T08:00:01"), rules=rules, zone=old)
        assert [one.date for one in later.changes.unsubscribes] == ["2026-05-10T08:00:01"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_an_undated_unsubscribe_in_another_zone(zone: str) -> None:
    """It is told once, whatever zone the next poll reads with; a later one that is dated is new."""
    book = Book()
    book.read(here())
    (row,) = book.read(gone(date=None), subscribed=False).changes.unsubscribes
    assert (row.date, row.instant) == ("change 2", POLLED)
    moved = ContactRules(Zone(ZoneInfo(zone)), frozenset(TRACKS))
    for rules in (moved, RULES):
        again = book.read(gone(date=None), subscribed=False, rules=rules)
        assert (again.changes.unsubscribes, sent(again)) == ([], [])
    # POLLED is 20:00 of the day before in New York.
    dated = gone(date="2026-05-08T20:00:01", resubscribe_date="2026-05-08T20:00:00")
    assert len(book.read(dated, subscribed=False, rules=moved).changes.unsubscribes) == 1


def test_an_undated_unsubscribe_is_after_the_horizon() -> None:
    """It was subscribed when it was polled: a horizon that moved does not hide that it left."""
    west = ContactRules(Zone(ZoneInfo("Pacific/Honolulu")), frozenset(TRACKS))
    book = Book()
    book.read(here())
    mapped = book.read(gone(date=None), subscribed=False, previous="2026-04-30T23:00:00.000Z")
    assert [row.instant for row in mapped.changes.unsubscribes] == [HORIZON]
    assert not book.read(gone(date=None), subscribed=False, rules=west).changes.unsubscribes


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_who_left_around_the_horizon(zone: str) -> None:
    """Contacts unknown so far stay on their side of it, whatever zone they are read with."""
    rules = ContactRules(Zone(ZoneInfo(zone)), frozenset(TRACKS))
    horizon = rules.zone.moved(HORIZON, "America/New_York")
    dates = [f"2026-04-{day:02}T{hour:02}:30:00" for day in (29, 30) for hour in range(24)]
    dates += [f"2026-05-01T{hour:02}:30:00" for hour in range(24)]
    rows = [left(date, f"{number}@x.y") for number, date in enumerate(dates)]
    mapped = Book().read(*rows, subscribed=False, rules=rules, horizon=horizon)
    told = [row.date for row in mapped.changes.unsubscribes]
    # The horizon is 20:00 in New York.
    assert told == [date for date in dates if date >= "2026-04-30T20:00"]
    assert len(sent(mapped)) == len(told)


@pytest.mark.parametrize(
    ("back", "left_at", "instant"),
    [
        ("01:55:00", "01:58:00", "05:58:00"),
        ("01:05:00", "01:58:00", "06:58:00"),
        ("01:05:00", "01:10:00", "06:10:00"),
        ("01:55:00", "01:10:00", "06:10:00"),
        (None, "01:10:00", "06:10:00"),
    ],
)
def test_left_twice_in_the_hour_that_autumn_repeats(
    back: str | None, left_at: str, instant: str
) -> None:
    """The second time is another one, also where its date reads earlier than the first one's."""
    book = Book(Contact(ZOE, True, None, 1, "2026-11-01T01:50:00"))
    row = gone(date=f"2026-11-01T{left_at}", resubscribe_date=back and f"2026-11-01T{back}")
    (found,) = book.read(row, subscribed=False).changes.unsubscribes
    assert found.instant == f"2026-11-01T{instant}.000Z"
    assert not book.read(row, subscribed=False).changes.unsubscribes


# Case


@pytest.mark.parametrize(
    ("first", "second"),
    [("Bob@X.com", "bob@x.com"), ("ÉVE@x.com", "éve@X.com"), ("ПЁТР@x.com", "пётр@x.com")],
)
def test_one_contact_in_two_spellings(first: str, second: str) -> None:
    """In two pages, twice in one page, in a single contact's answer, among the deleted."""
    book = Book()
    assert len(sent(book.read(here(first), here(second)))) == 1
    assert not sent(book.read(here(second)))
    unsubscribed = book.read(gone(second), subscribed=False)
    assert traits(unsubscribed) == [(second, None, None)]
    assert len(unsubscribed.changes.unsubscribes) == 1
    again = book.read(gone(first), subscribed=False)
    assert (sent(again), again.changes.unsubscribes) == ([], [])
    assert traits(book.read(here(first))) == [(first, True, None)]
    assert traits(book.read(deleted=[second])) == [(first, None, None)]
    assert set(book.known) == {second.lower()}


# Telling again


def test_told_again() -> None:
    """`identify --all` tells contacts as they are, changed or not, each under an id of its own."""
    book = Book()
    first = sent(book.read(here(user="a"), here("b@x.y"), here("c@x.y")))
    book.read(gone("c@x.y"), subscribed=False)
    mapped = book.read(here(user="a"), here("b@x.y", "new"), as_known=["c@x.y"], told_before=[])
    assert traits(mapped) == [(ZOE, True, "a"), ("b@x.y", True, "new"), ("c@x.y", None, None)]
    assert mapped.changes.told == {ZOE, "b@x.y", "c@x.y"}
    ids = {event["messageId"] for event in [*first, *sent(mapped)]}
    assert len(ids) == 6
    assert not sent(book.read(here(user="a"), here("b@x.y", "new")))


def test_not_told_again() -> None:
    """Who was told since the run began is told only what has changed; twice in a page is once."""
    book = Book()
    book.read(here("A@x.y"), here("b@x.y"))
    again = book.read(here("a@x.y"), here("b@x.y"), here("B@x.y"), told_before=["a@x.y"])
    assert traits(again) == [("b@x.y", True, None)]
    changed = book.read(here("a@x.y", "C-1"), told_before=["a@x.y"])
    assert traits(changed) == [("a@x.y", True, "C-1")]


def test_again_and_who_never_was_told() -> None:
    """A run that is the first to see a contact tells it; who left before the horizon stays out."""
    mapped = Book().read(here(), gone("b@x.y", AGO), as_known=["c@x.y"], told_before=[])
    assert traits(mapped) == [(ZOE, True, None)]
    assert mapped.filtered == 1


# UserIds


@pytest.mark.parametrize("value", [0, -1, "Test", "NaN", "NA", "-", "nil", " unknown "])
def test_the_kind_of_a_withheld_value(value: object) -> None:
    """It is told by the documented value; a configured one may be personal, and isn't repeated."""
    rules = ContactRules(RULES.zone, RULES.wanted, user_ids=UserIds(["guest"]))
    mapped = Book().read(here(user=value), here("b@x.y", "Guest"), rules=rules)
    assert mapped.user_ids_withheld == {str(value).strip().lower(): 1, CONFIGURED: 1}
    assert traits(mapped) == [(ZOE, True, None), ("b@x.y", True, None)]


@pytest.mark.parametrize("value", ["01", "N0", "nobody@x.y", "tester", "10", "none-1", "0x"])
def test_values_like_those_are_user_ids(value: str) -> None:
    """Only the whole value counts."""
    assert traits(Book().read(here(user=value))) == [(ZOE, True, value)]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 400))
def test_shared_values_are_found_in_bounded_memory(shared: list[int], step: int) -> None:
    """Never more than there are; all of them where a page has more than chance brings."""
    counts, number = SharedUserIds(), 0
    for page, more in enumerate(shared):
        own = [f"own-{page}-{place}" for place in range(100 * step % 5000)]
        counts.add([*own, *["shared"] * more])
        number += more
    value, contacts = counts.most()
    assert contacts <= max(number, 1)
    if sum(100 * step % 5000 for _ in shared) < 10_000 and number > 1:
        assert (value, contacts) == ("shared", number)


def test_a_value_spread_over_pages_is_found() -> None:
    """Three of each page of five thousand are enough, and what is kept doesn't grow."""
    counts = SharedUserIds()
    for page in range(40):
        counts.add([*(f"own-{page}-{place}" for place in range(5000)), *["shared"] * 3])
        assert len(counts._counts) <= 10_000
    assert counts.most()[0] == "shared"
    assert 20 < counts.most()[1] <= 120
