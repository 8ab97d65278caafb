"""How activity rows and clicks become events."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from flow_parts import FIRST_PAGE, HORIZON, next_poll, poll_of
from hypothesis import given
from hypothesis import strategies as st
from planner_parts import message_of

from bridge import NAME, VERSION
from bridge.event_types import (
    BOUNCED,
    CLICKED,
    CONVERTED,
    EXTRA_PROPERTIES,
    OPENED,
    SENT,
    SPAM,
    TRACKS,
)
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.mapping.totals import MOST_CLICKS_AT_ONCE
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ActivityPage, ClickPage
from bridge.listrak import wire
from bridge.listrak.origin import Origin
from bridge.listrak.times import Zone
from bridge.state.keys import heads, sorted_keys

ZONE = Zone(ZoneInfo("America/New_York"))
RULES = ActivityRules(ZONE, frozenset(TRACKS))
WITH_EXTRA = ActivityRules(ZONE, frozenset(TRACKS), extra=frozenset(EXTRA_PROPERTIES))

ZOE = "zoë@example.com"
SEND = "2026-05-10T08:00:00"
SENT_AT = "2026-05-10T12:00:00.000Z"
ACTIVITY = "2026-05-11T09:30:00.25"
ACTIVE_AT = "2026-05-11T13:30:00.250Z"
BEFORE = "2026-05-11T06:00:00.000Z"  # a poll between the send and the activity
AFTER = "2026-05-12T06:00:00.000Z"  # a poll after both


def row_of(email: str | None = ZOE, **changes: Any) -> wire.Activity:
    """A row as Listrak gives it for a contact who got the message and did nothing."""
    values: dict[str, Any] = {"email_address": email, "send_date": SEND}
    return wire.Activity(**values | changes)


def click_of(date: str | None = ACTIVITY, email: str | None = ZOE) -> wire.Clicker:
    return wire.Clicker(email, date)


def remembered(poll: MessagePoll, mapped: MappedPage) -> MappedPage:
    """The poll goes on with what was found, as the mapper has it."""
    event_sets = (mapped.reproducible, mapped.journaled)
    for found in (
        *(one.keys for one in event_sets),
        *(one.withheld for one in event_sets),
        *(one.unwanted for one in event_sets),
    ):
        for fingerprints in found.values():
            poll.seen.add(sorted_keys(heads(fingerprints)))
    return mapped


def seen(
    poll: MessagePoll,
    *rows: wire.Activity,
    rules: ActivityRules = RULES,
    origins: list[Origin] | None = None,
) -> MappedPage:
    """What a page of rows comes to."""
    page = ActivityPage(poll, poll.acks.open(), FIRST_PAGE, list(rows), origins)
    return remembered(poll, rules.map_activity(page))


def clicked(
    poll: MessagePoll,
    *rows: wire.Clicker,
    link: wire.Link | None = None,
    rules: ActivityRules = RULES,
    origins: list[Origin] | None = None,
) -> MappedPage:
    """What a page of clicks comes to."""
    link = link or wire.Link(9, "https://shop.example/?a=b")
    page = ClickPage(poll, poll.acks.open(), FIRST_PAGE, link, list(rows), origins)
    return remembered(poll, rules.map_clicks(page))


def sent(mapped: MappedPage) -> list[dict[str, Any]]:
    """The events that a page comes to."""
    return [json.loads(event) for event in mapped.reproducible.events + mapped.journaled.events]


def of(mapped: MappedPage, name: str) -> list[dict[str, Any]]:
    return [event for event in sent(mapped) if event["event"] == name]


def total(mapped: MappedPage) -> int:
    """How much became of a page, whatever."""
    events = len(mapped.reproducible.events) + len(mapped.journaled.events)
    dead = len(mapped.reproducible.dead) + len(mapped.journaled.dead) + len(mapped.unread)
    return events + dead + mapped.known + mapped.filtered


# Which event comes from what, and when it happened


@pytest.mark.parametrize(
    ("row", "previous", "name", "timestamp", "reproducible"),
    [
        (row_of(), "", SENT, SENT_AT, True),
        (row_of(), AFTER, SENT, SENT_AT, True),
        (row_of(send_date="2026-05-10T21:15:00.5"), "", SENT, "2026-05-11T01:15:00.500Z", True),
        (row_of(send_date=None), "", SENT, SENT_AT, True),
        (row_of(send_date="0001-01-01T00:00:00"), AFTER, SENT, SENT_AT, True),
        (row_of(open=True, activity_date=ACTIVITY), "", OPENED, ACTIVE_AT, True),
        (row_of(open=True, activity_date=ACTIVITY), AFTER, OPENED, ACTIVE_AT, True),
        (row_of(open=True), "", OPENED, SENT_AT, False),
        (row_of(open=True), BEFORE, OPENED, BEFORE, False),
        (row_of(open=True, send_date=None), "", OPENED, SENT_AT, False),
        (row_of(bounce=True, activity_date=ACTIVITY), "", BOUNCED, ACTIVE_AT, True),
        (row_of(bounce=True), BEFORE, BOUNCED, BEFORE, False),
        (row_of(abuse=True, activity_date=ACTIVITY), "", SPAM, ACTIVE_AT, False),
        (row_of(abuse=True, activity_date=ACTIVITY), BEFORE, SPAM, ACTIVE_AT, False),
        (row_of(abuse=True, activity_date=ACTIVITY), AFTER, SPAM, AFTER, False),
        (row_of(abuse=True), "", SPAM, SENT_AT, False),
        (row_of(order_total=5, activity_date=ACTIVITY), "", CONVERTED, ACTIVE_AT, False),
        (row_of(order_total=5, activity_date=ACTIVITY), AFTER, CONVERTED, AFTER, False),
        (row_of(order_total=5), BEFORE, CONVERTED, BEFORE, False),
    ],
)
def test_events_of_a_row(
    row: wire.Activity, previous: str, name: str, timestamp: str, reproducible: bool
) -> None:
    """An event's time is its own date where the row has one, else the best known.

    What depends on when it was noticed is written down before it is sent (journaled); the rest can
    be made again from the same row (reproducible).
    """
    mapped = seen(poll_of(previous=previous), row)
    (event,) = of(mapped, name)
    assert event["timestamp"] == timestamp
    event_set = mapped.reproducible if reproducible else mapped.journaled
    assert name in [json.loads(one)["event"] for one in event_set.events]
    assert sum(mapped.names.values()) == len(sent(mapped))


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("broadcast", row_of(click_count=3)),
        ("conversation", row_of(click_count=3)),
        ("broadcast", row_of(unsubscribe=True)),
        ("broadcast", row_of(order_total=0)),
        ("transactional", row_of(click_count=0)),
        ("broadcast", row_of(open=None, bounce=None, abuse=None, unsubscribe=None)),
    ],
)
def test_no_event_of_its_own(kind: Any, row: wire.Activity) -> None:
    """Clicks come from the links where there are some, unsubscribes from the contacts."""
    mapped = seen(poll_of(message_of(kind, sent_at=SENT_AT)), row)
    assert [event["event"] for event in sent(mapped)] == [SENT]


def test_an_event_as_a_whole() -> None:
    """A track has the contact as anonymousId and email, the message's properties, no userId."""
    mapped = seen(poll_of(), row_of())
    (event,) = sent(mapped)
    assert event == {
        "type": "track",
        "messageId": event["messageId"],
        "anonymousId": ZOE,
        "event": "Email Sent",
        "timestamp": SENT_AT,
        "properties": {
            "email_id": "7",
            "email_subject": "Grüße 🎉",
            "list_id": "5",
            "list_name": "News",
        },
        "context": {"library": {"name": NAME, "version": VERSION}, "traits": {"email": ZOE}},
    }


@pytest.mark.parametrize(
    "email", ["Zoë@Example.COM", "用户@例子.公司", "o'brien+x@y.z", '"a b"@c.d']
)
def test_addresses_pass_unchanged(email: str) -> None:
    """An address is what Listrak says it is: case, script and quotes stay."""
    (event,) = sent(seen(poll_of(), row_of(email)))
    assert event["anonymousId"] == event["context"]["traits"]["email"] == email


def test_where_it_came_from() -> None:
    """A row that tells address and browser has them in its events, both spellings of the one."""
    origins = [Origin("203.0.113.7", "Mozilla/5.0"), Origin(None, None)]
    rows = [row_of(open=True, activity_date=ACTIVITY), row_of("other@example.com")]
    mapped = seen(poll_of(), *rows, origins=origins)
    (opened,) = of(mapped, OPENED)
    assert opened["context"]["ip"] == "203.0.113.7"
    assert opened["context"]["userAgent"] == opened["context"]["user_agent"] == "Mozilla/5.0"
    assert "ip" not in of(mapped, SENT)[1]["context"]
    (click,) = sent(clicked(poll_of(), click_of(), origins=origins))
    assert click["context"]["ip"] == "203.0.113.7"


def test_the_hour_that_autumn_repeats() -> None:
    """Time moves forward: what follows a send in the repeated hour isn't before it."""
    message = message_of(sent_at="2026-11-01T06:10:00.000Z")
    row = row_of(send_date="2026-11-01T01:15:00", open=True, activity_date="2026-11-01T01:20:00")
    poll = poll_of(message)
    mapped = seen(poll, row)
    assert of(mapped, SENT)[0]["timestamp"] == "2026-11-01T06:15:00.000Z"
    assert of(mapped, OPENED)[0]["timestamp"] == "2026-11-01T06:20:00.000Z"
    (click,) = sent(clicked(poll, click_of("2026-11-01T01:30:00")))
    assert click["timestamp"] == "2026-11-01T06:30:00.000Z"


# Properties that are sent only where they are asked for


def bounced(reason: Any, email: str = ZOE, **changes: Any) -> wire.Activity:
    """A row that bounced."""
    values = {"bounce": True, "activity_date": ACTIVITY, "bounce_reason": reason}
    return row_of(email, **values | changes)


def test_bounce_reasons() -> None:
    """Each bounce carries the reason of its own row; no other event does; ids are the same."""
    reasons = {"a@x.y": "Mailbox Full", "b@x.y": "Auto Reply 🎉", "c@x.y": "Mailbox Full"}
    rows = [bounced(reason, email, open=True) for email, reason in reasons.items()]
    without = sent(seen(poll_of(), *rows))
    extra = sent(seen(poll_of(), *rows, rules=WITH_EXTRA))
    bounces = [event for event in extra if event["event"] == BOUNCED]
    told = {event["anonymousId"]: event["properties"].pop("bounce_reason") for event in bounces}
    assert told == reasons
    assert len(extra) == 9
    assert {event["messageId"]: event for event in extra} == {
        event["messageId"]: event for event in without
    }


@pytest.mark.parametrize("reason", [None, "", 7, ["Mailbox Full"]])
def test_a_bounce_without_a_reason(reason: Any) -> None:
    """It is left out where there is none, or no text."""
    (event,) = of(seen(poll_of(), bounced(reason), rules=WITH_EXTRA), BOUNCED)
    assert event["properties"] == json.loads(poll_of().message.properties or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"activity_date": None},
        {"activity_date": "2026-05-11T09:30:00Z"},
        {"send_date": None},
    ],
)
@pytest.mark.parametrize("previous", ["", BEFORE])
def test_a_bounce_with_odd_dates_has_its_reason(changes: dict[str, Any], previous: str) -> None:
    """Also where a row is mapped by itself."""
    poll = poll_of(previous=previous)
    (event,) = of(seen(poll, bounced("Invalid Address", **changes), rules=WITH_EXTRA), BOUNCED)
    assert event["properties"]["bounce_reason"] == "Invalid Address"


def test_a_known_bounce_stays_known() -> None:
    """With the property asked for later nothing is sent again, and all rows are accounted for."""
    poll, rows = poll_of(), [bounced("Mailbox Full", email) for email in ("a@x.y", "b@x.y")]
    seen(poll, *rows)
    again = seen(next_poll(poll, AFTER), *rows, rules=WITH_EXTRA)
    assert sent(again) == []
    assert total(again) == again.known == 4


def test_link_descriptions() -> None:
    """A click carries its link's description where that is asked for and there is one."""
    link = wire.Link(9, "https://shop.example/", link_description="Hero image")
    (plain,) = sent(clicked(poll_of(), click_of(), link=link))
    (extra,) = sent(clicked(poll_of(), click_of(), link=link, rules=WITH_EXTRA))
    assert extra["properties"].pop("link_description") == "Hero image"
    assert extra == plain
    for description in (None, "", 5):
        link = wire.Link(9, "https://shop.example/", link_description=description)
        (event,) = sent(clicked(poll_of(), click_of(), link=link, rules=WITH_EXTRA))
        assert event == plain


# Clicks


def test_a_click() -> None:
    """A click carries its link, beside the message's properties, and its own time."""
    (event,) = sent(clicked(poll_of(), click_of()))
    assert event["event"] == CLICKED
    assert event["timestamp"] == ACTIVE_AT
    assert event["properties"] == {
        "email_id": "7",
        "email_subject": "Grüße 🎉",
        "list_id": "5",
        "list_name": "News",
        "link_id": "9",
        "link_url": "https://shop.example/?a=b",
    }


def test_each_click_is_one() -> None:
    """Another time, another link or another contact is another click."""
    poll = poll_of()
    first = clicked(poll, click_of(), click_of("2026-05-11T09:30:00.26"), click_of(email="b@x.y"))
    second = clicked(poll, click_of(), link=wire.Link(10, None))
    ids = [event["messageId"] for event in sent(first) + sent(second)]
    assert len(set(ids)) == 4
    assert "link_url" not in sent(second)[0]["properties"]


@pytest.mark.parametrize(
    ("previous", "timestamp"), [("", SENT_AT), (BEFORE, BEFORE), (AFTER, AFTER)]
)
def test_a_click_without_a_date(previous: str, timestamp: str) -> None:
    """A click that has no date happened at the best known time, and is written down first."""
    mapped = clicked(poll_of(previous=previous), click_of(None))
    assert not mapped.reproducible.events
    assert [event["timestamp"] for event in sent(mapped)] == [timestamp]


# Only what is new


@pytest.mark.parametrize("previous", ["", AFTER])
@pytest.mark.parametrize("kind", ["broadcast", "conversation", "transactional"])
def test_the_same_page_again(kind: Any, previous: str) -> None:
    """A page that was mapped once yields nothing the second time, in this poll or a later one."""
    poll = poll_of(message_of(kind, sent_at=SENT_AT), previous)
    full = row_of(
        open=True,
        bounce=True,
        abuse=True,
        unsubscribe=True,
        activity_date=ACTIVITY,
        click_count=2,
        order_total=19.99,
    )
    rows = [full, row_of("b@x.y", open=True), row_of("c@x.y", send_date=None, abuse=True)]
    clicks = [click_of(), click_of(None), click_of(email="b@x.y")]
    first, first_clicks = seen(poll, *rows), clicked(poll, *clicks)
    assert sent(first)
    assert len(sent(first_clicks)) == 3
    for later in (poll, next_poll(poll, "2026-06-01T00:00:00.000Z")):
        for again in (seen(later, *rows), clicked(later, *clicks)):
            assert sent(again) == []
            assert (again.reproducible.keys, again.journaled.keys, len(again.totals)) == ({}, {}, 0)
            assert again.known > 0
            assert again.attributions.recent == again.attributions.old == []
        assert total(seen(later, *rows)) == total(first)


def test_the_same_row_twice_in_a_page() -> None:
    """Pages shift while they are read: a row that comes twice is one."""
    row = row_of(open=True, abuse=True, order_total=5.0, activity_date=ACTIVITY)
    mapped = seen(poll_of(), row, row)
    assert sorted(event["event"] for event in sent(mapped)) == sorted(
        [SENT, OPENED, SPAM, CONVERTED]
    )
    assert mapped.known == 4
    assert len(sent(clicked(poll_of(), click_of(), click_of()))) == 1


STATES = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), STATES, max_size=4), max_size=6))
def test_each_once(history: list[dict[str, tuple[bool, bool, bool]]]) -> None:
    """However states change from poll to poll: each happening of a contact is one event, ever."""
    poll = poll_of()
    expected: set[tuple[str, str]] = set()
    found: list[tuple[str, str]] = []
    ids: set[str] = set()
    for number, states in enumerate(history):
        poll = next_poll(poll, f"2026-05-{12 + number}T00:00:00.000Z" if number else "")
        rows = []
        for contact, (opened, bounced, abused) in states.items():
            email = f"{contact}@example.com"
            rows.append(row_of(email, open=opened, bounce=bounced, abuse=abused))
            flags = zip((SENT, OPENED, BOUNCED, SPAM), (True, opened, bounced, abused), strict=True)
            expected |= {(name, email) for name, flag in flags if flag}
        mapped = seen(poll, *rows)
        found += [(event["event"], event["anonymousId"]) for event in sent(mapped)]
        ids |= {event["messageId"] for event in sent(mapped)}
    assert len(found) == len(set(found)) == len(ids)
    assert set(found) == expected


def test_ids_do_not_depend_on_when() -> None:
    """An event has the same id whichever poll finds it, beside whatever other rows."""
    row = row_of(open=True, bounce=True, abuse=True, order_total=5, activity_date=ACTIVITY)
    early = seen(poll_of(), row)
    late = seen(poll_of(previous=AFTER), row_of("other@x.y"), row)
    ids = {event["event"]: event["messageId"] for event in sent(early)}
    mine = [event for event in sent(late) if event["anonymousId"] == ZOE]
    assert {event["event"]: event["messageId"] for event in mine} == ids


def test_dates_that_vary_in_zeros() -> None:
    """Zeros at the end of a fraction make no other send or click."""
    poll = poll_of()
    seen(poll, row_of(send_date="2026-05-10T08:00:00.5"))
    assert sent(seen(poll, row_of(send_date="2026-05-10T08:00:00.500"))) == []
    clicked(poll, click_of("2026-05-11T09:00:00"))
    assert sent(clicked(poll, click_of("2026-05-11T09:00:00.000"))) == []


def test_another_send() -> None:
    """A contact who gets a conversation message again has events of that send as well."""
    poll = poll_of(message_of("conversation"))
    first = row_of(open=True, activity_date=ACTIVITY)
    again = row_of(send_date="2026-06-10T08:00:00", open=True, activity_date="2026-06-10T09:00:00")
    mapped = seen(poll, first, again)
    assert [event["event"] for event in sent(mapped)].count(SENT) == 2
    assert [event["event"] for event in sent(mapped)].count(OPENED) == 2
    assert len({event["messageId"] for event in sent(mapped)}) == 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (SENT, "listrak-0d24c950020dbae3a822667ca7b996c1"),
        (OPENED, "listrak-482325daa956bbb6358fea71d700460c"),
        (BOUNCED, "listrak-71b128e7fbab28eae7787be5da697720"),
        (SPAM, "listrak-7ae305695cb01bd4ea07ad40ca1352ff"),
        (CONVERTED, "listrak-8a5a303c0e3e664f7af33de9e1c0e969"),
        (CLICKED, "listrak-3e4703ffa69ca58c826e7fc1f300ac70"),
    ],
)
def test_ids_for_ever(name: str, expected: str) -> None:
    """These ids must never change: an update would send all events once more."""
    poll = poll_of()
    row = row_of(open=True, bounce=True, abuse=True, order_total=19.99, activity_date=ACTIVITY)
    mapped = seen(poll, row) if name != CLICKED else clicked(poll, click_of())
    assert of(mapped, name)[0]["messageId"] == expected


# The start horizon

OLD_SEND, OLD_ACTIVITY = "2026-04-20T08:00:00", "2026-04-25T08:00:00"
OLD = message_of(sent_at="2026-04-20T12:00:00.000Z")


@pytest.mark.parametrize("previous", ["", AFTER])
def test_sent_before_the_horizon(previous: str) -> None:
    """What was sent before history began is taken as known, whenever its row is seen."""
    poll = poll_of(OLD, previous)
    mapped = seen(poll, row_of(send_date=OLD_SEND), row_of("b@x.y", send_date=None))
    assert sent(mapped) == []
    assert mapped.filtered == 2
    assert seen(poll, row_of(send_date=OLD_SEND)).known == 1


def test_what_happens_later_to_old_messages() -> None:
    """What happens after the horizon is sent, also of messages that were sent before it."""
    poll = poll_of(OLD)
    row = row_of(send_date=OLD_SEND, open=True, activity_date=ACTIVITY)
    assert [event["event"] for event in sent(seen(poll, row))] == [OPENED]
    assert len(sent(clicked(poll, click_of()))) == 1


@pytest.mark.parametrize(
    "row",
    [
        row_of(send_date=OLD_SEND, open=True, activity_date=OLD_ACTIVITY),
        row_of(send_date=OLD_SEND, open=True),
        row_of(send_date=OLD_SEND, bounce=True, activity_date=OLD_ACTIVITY),
        row_of(send_date=OLD_SEND, abuse=True, activity_date=OLD_ACTIVITY),
        row_of(send_date=OLD_SEND, abuse=True),
        row_of(send_date=OLD_SEND, order_total=7, activity_date=OLD_ACTIVITY),
        row_of(send_date=OLD_SEND, order_total=7),
    ],
)
def test_the_first_poll_of_old_messages(row: wire.Activity) -> None:
    """What a first poll can't tell to have happened after the horizon is taken as known.

    Found by a later poll it must have happened since, and is sent.
    """
    first = poll_of(OLD)
    mapped = seen(first, row)
    assert sent(mapped) == []
    assert mapped.filtered == 2
    later = next_poll(first, AFTER)
    assert sent(seen(later, row)) == []
    unread = poll_of(OLD, AFTER)
    (event,) = sent(seen(unread, row))
    assert event["timestamp"] >= HORIZON or row.activity_date == OLD_ACTIVITY


def test_orders_from_before_the_horizon() -> None:
    """Of a total that was there at first only what it rises by later is sent."""
    poll = poll_of(OLD)
    row = row_of(send_date=OLD_SEND, order_total=100, activity_date=OLD_ACTIVITY)
    assert sent(seen(poll, row)) == []
    row.order_total = 130
    (event,) = sent(seen(next_poll(poll, AFTER), row))
    assert event["properties"]["order_total"] == 30
    assert event["timestamp"] == AFTER


@pytest.mark.parametrize(
    ("date", "previous", "events"),
    [
        (OLD_ACTIVITY, "", 0),
        (OLD_ACTIVITY, AFTER, 0),
        (None, "", 0),
        (None, AFTER, 1),
        (ACTIVITY, "", 1),
    ],
)
def test_clicks_and_the_horizon(date: str | None, previous: str, events: int) -> None:
    """A click has a date of its own, which counts at any poll; one without is like an open."""
    mapped = clicked(poll_of(OLD, previous), click_of(date))
    assert len(sent(mapped)) == events
    assert total(mapped) == 1


# Totals


def totals_of(*amounts: float | None, kind: Any = "broadcast") -> list[list[dict[str, Any]]]:
    """The conversions of a contact whose total is such from poll to poll."""
    poll = poll_of(message_of(kind, sent_at=SENT_AT))
    found = []
    for number, amount in enumerate(amounts):
        poll = next_poll(poll, f"2026-05-{12 + number}T00:00:00.000Z" if number else "")
        row = row_of(order_total=amount, activity_date=ACTIVITY)
        found.append(of(seen(poll, row), CONVERTED))
    return found


@pytest.mark.parametrize(
    ("amounts", "rises"),
    [
        ([10.0], [10.0]),
        ([10.0, 10.0], [10.0, None]),
        ([10.0, 25.5], [10.0, 15.5]),
        ([0.1, 0.3], [0.1, 0.2]),
        ([19.99, 39.98, 59.97], [19.99, 19.99, 19.99]),
        ([None, 10.0], [None, 10.0]),
        ([0, 10.0], [None, 10.0]),
        ([10.0, 4.0], [10.0, None]),
        ([10.0, 4.0, 10.0], [10.0, None, 6.0]),
        ([10.0, 0, 10.0], [10.0, None, 10.0]),
        ([10.0, None, 10.0], [10.0, None, None]),
        ([10.0, None, 15.0], [10.0, None, 5.0]),
        ([-5.0, 5.0], [None, 10.0]),
    ],
)
def test_totals(amounts: list[float | None], rises: list[float | None]) -> None:
    """Each rise of a total is one event with what it rose by; a fall is none, nor is no total."""
    found = totals_of(*amounts)
    told = [events[0]["properties"]["order_total"] if events else None for events in found]
    assert told == rises
    assert all(len(events) <= 1 for events in found)


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_rises_add_up(cents: list[int]) -> None:
    """Whatever a total does: its rises are told, to the cent, each with an id of its own."""
    found = [event for events in totals_of(*(cent / 100 for cent in cents)) for event in events]
    pairs = zip([0, *cents], cents, strict=False)
    expected = [(after - before) / 100 for before, after in pairs if after > before]
    assert [event["properties"]["order_total"] for event in found] == expected
    assert len({event["messageId"] for event in found}) == len(found)


def test_a_total_that_falls_is_accounted_for() -> None:
    """A fall is no event, but not lost from the count either."""
    poll = poll_of()
    seen(poll, row_of(order_total=10.0))
    mapped = seen(poll, row_of(order_total=4.0))
    assert (mapped.filtered, mapped.known) == (1, 1)
    assert mapped.totals


@pytest.mark.parametrize(
    ("counts", "clicks"),
    [
        ([3], [3]),
        ([1, 3], [1, 2]),
        ([3, 3], [3, 0]),
        ([3, 2, 3], [3, 0, 0]),
        ([None, 2], [0, 2]),
        ([2, None, 3], [2, 0, 1]),
    ],
)
def test_transactional_clicks(counts: list[int | None], clicks: list[int]) -> None:
    """Transactional messages have no links: each unit that clickCount rises by is a click."""
    poll = poll_of(message_of("transactional"))
    ids: set[str] = set()
    for number, (count, expected) in enumerate(zip(counts, clicks, strict=True)):
        poll = next_poll(poll, f"2026-05-{12 + number}T00:00:00.000Z" if number else "")
        found = of(seen(poll, row_of(click_count=count, activity_date=ACTIVITY)), CLICKED)
        assert len(found) == expected
        assert {event["timestamp"] for event in found} <= {
            poll.best_known(CLICKED, ACTIVE_AT, SENT_AT)
        }
        assert not any({"link_id", "link_url"} & set(event["properties"]) for event in found)
        ids |= {event["messageId"] for event in found}
    assert len(ids) == sum(clicks)


def test_clicks_and_orders_of_a_row_are_apart() -> None:
    """A transactional row with both keeps both: neither makes the other come again."""
    poll = poll_of(message_of("transactional"))
    first = seen(poll, row_of(click_count=1, order_total=5, activity_date=ACTIVITY))
    assert set(first.names) == {CLICKED, CONVERTED, SENT}
    second = seen(poll, row_of(click_count=2, order_total=5, activity_date=ACTIVITY))
    assert [event["event"] for event in sent(second)] == [CLICKED]


def test_a_click_count_beyond_belief() -> None:
    """A count that rises by tens of thousands is damage: one dead letter, and it goes on there."""
    poll = poll_of(message_of("transactional"))
    wild = MOST_CLICKS_AT_ONCE + 1
    mapped = seen(poll, row_of(click_count=wild))
    assert [letter.event for letter in mapped.journaled.dead] == [CLICKED]
    assert str(wild) in mapped.journaled.dead[0].reason
    assert [event["event"] for event in sent(mapped)] == [SENT]
    assert len(of(seen(poll, row_of(click_count=wild + 2)), CLICKED)) == 2


# What isn't wanted


@pytest.mark.parametrize("name", [SENT, OPENED, BOUNCED, SPAM, CONVERTED])
def test_wanted(name: str) -> None:
    """An event that isn't wanted is counted as filtered; the others are as they were."""
    row = row_of(open=True, bounce=True, abuse=True, order_total=5, activity_date=ACTIVITY)
    rules = ActivityRules(ZONE, frozenset(TRACKS) - {name})
    mapped = seen(poll_of(), row, rules=rules)
    assert {event["event"] for event in sent(mapped)} == {
        SENT,
        OPENED,
        BOUNCED,
        SPAM,
        CONVERTED,
    } - {name}
    assert mapped.filtered == 1
    assert total(mapped) == 5


def test_clicks_wanted() -> None:
    """So are clicks, of links and of transactional messages."""
    rules = ActivityRules(ZONE, frozenset(TRACKS) - {CLICKED})
    assert clicked(poll_of(), click_of(), rules=rules).filtered == 1
    mapped = seen(poll_of(message_of("transactional")), row_of(click_count=2), rules=rules)
    assert mapped.filtered == 2
    assert [event["event"] for event in sent(mapped)] == [SENT]


# Dead letters


@pytest.mark.parametrize("email", [None, "", "  "])
def test_no_email(email: str | None) -> None:
    """A row about nobody is one dead letter, the same at each poll; all others go on."""
    poll = poll_of()
    row = row_of(email, open=True, abuse=True, order_total=5.0, activity_date=ACTIVITY)
    mapped = seen(poll, row, row_of("b@x.y"))
    (letter,) = mapped.unread
    assert (letter.event, "emailAddress" in letter.reason) == ("activity", True)
    assert json.loads(letter.body)["orderTotal"] == 5.0
    assert [event["anonymousId"] for event in sent(mapped)] == ["b@x.y"]
    assert seen(poll, row, row_of("b@x.y")).unread == [letter]
    (click,) = clicked(poll, click_of(email=email)).unread
    assert (click.event, "Link/9" in click.reason) == ("clickers", True)


def test_too_large() -> None:
    """An event that Segment would drop for its size is a dead letter, whole."""
    properties = json.dumps({"email_subject": "x" * 32_000})
    mapped = seen(poll_of(message_of(properties=properties)), row_of())
    assert sent(mapped) == []
    (letter,) = mapped.reproducible.dead
    assert "larger than Segment takes" in letter.reason
    body = json.loads(letter.body)
    assert (body["messageId"], body["event"]) == (letter.message_id, SENT)
    assert len(body["properties"]["email_subject"]) == 32_000


@pytest.mark.parametrize("date", ["soon", "2026-02-30T00:00:00", "9999-12-31T23:59:59.9999999"])
def test_no_date(date: str) -> None:
    """What depends on it is one dead letter, until Listrak mends it; the page goes on."""
    poll = poll_of()
    rows = [
        row_of(send_date=date),
        row_of("b@x.y", open=True, activity_date=date),
        row_of("c@x.y", order_total=5, activity_date=date),
        row_of("d@x.y"),
    ]
    mapped = seen(poll, *rows)
    letters = {json.loads(row.body)["emailAddress"]: row for row in mapped.unread}
    assert sorted(letters) == ["b@x.y", "c@x.y", ZOE]
    assert "its sendDate is no date" in letters[ZOE].reason
    assert "its activityDate is no date" in letters["b@x.y"].reason
    assert {(event["event"], event["anonymousId"]) for event in sent(mapped)} == {
        (SENT, "b@x.y"),
        (SENT, "c@x.y"),
        (SENT, "d@x.y"),
    }
    again = seen(poll, *rows)
    assert {*again.unread} == {*mapped.unread}
    assert sent(again) == []
    mended = [msgspec.structs.replace(row, activity_date=ACTIVITY) for row in rows]
    assert {event["event"] for event in sent(seen(poll, *mended))} == {OPENED, CONVERTED}
    (letter,) = clicked(poll, click_of(date)).unread
    assert (letter.event, "clickDate" in letter.reason) == ("clickers", True)


def test_a_bad_activity_date_is_no_matter_of_the_send() -> None:
    """A send has a date of its own: another field's damage doesn't cost it."""
    mapped = seen(poll_of(), row_of(open=True, activity_date="soon"))
    assert [event["event"] for event in sent(mapped)] == [SENT]


# What is no longer tracked


def test_rows_below_the_floor() -> None:
    """Sends that are no longer tracked are left out, whatever their rows show; what has no date
    is never too old."""
    talk = message_of("conversation")
    (floor,) = poll_of(talk).buckets(["2026-05-10"])
    poll = poll_of(talk, floor=floor)
    old = row_of(send_date="2026-04-01T00:00:00", open=True, activity_date=ACTIVITY)
    mapped = seen(poll, old, row_of("b@x.y"), row_of("c@x.y", send_date=None))
    assert [event["anonymousId"] for event in sent(mapped)] == ["b@x.y", "c@x.y"]
    assert mapped.filtered == 1
    old_click = click_of("2026-04-01T00:00:00")
    assert len(sent(clicked(poll, old_click, click_of()))) == 1


def test_keys_by_bucket() -> None:
    """What is remembered of a row is kept by the week of its send, so that it can be dropped."""
    poll = poll_of(message_of("conversation"))
    later = row_of("b@x.y", send_date="2026-06-10T08:00:00", open=True, order_total=5)
    mapped = seen(poll, row_of(), later)
    first, second = poll.buckets(["2026-05-10", "2026-06-10"])
    by_bucket = mapped.reproducible.keys
    assert {bucket: len(keys) for bucket, keys in by_bucket.items()} == {first: 1, second: 1}
    assert set(mapped.journaled.keys) == {second}
    assert {bucket for bucket, _ in mapped.totals.values()} == {second}


# Unsubscribes


def test_causes() -> None:
    """Who unsubscribed through a message is told once, for the Unsubscribed event to find."""
    poll = poll_of()
    row = row_of(unsubscribe=True, activity_date=ACTIVITY)
    mapped = seen(poll, row, row_of("b@x.y"))
    assert (mapped.attributions.recent, mapped.attributions.old) == ([ZOE], [])
    assert seen(poll, row).attributions.recent == []


def test_old_causes() -> None:
    """At the first poll at an old message it may be an unsubscribe from before the horizon."""
    row = row_of(send_date=OLD_SEND, unsubscribe=True)
    assert seen(poll_of(OLD), row).attributions.old == [ZOE]
    assert seen(poll_of(OLD, AFTER), row).attributions.recent == [ZOE]


# Nothing gets lost from the count

ROWS = st.builds(
    row_of,
    st.sampled_from([ZOE, "b@x.y", "", None]),
    send_date=st.sampled_from([SEND, OLD_SEND, None, "soon"]),
    activity_date=st.sampled_from([ACTIVITY, OLD_ACTIVITY, None, "soon"]),
    open=st.booleans(),
    bounce=st.booleans(),
    abuse=st.booleans(),
    click_count=st.sampled_from([None, 0, 1, 5]),
    order_total=st.sampled_from([None, 1.5, 7.0]),
)


def is_unreadable(row: wire.Activity) -> bool:
    """Tells whether a row has no address, or a date that is none."""
    return not row.email_address or "soon" in (row.send_date, row.activity_date)


@given(
    st.lists(st.lists(ROWS, max_size=5), max_size=5),
    st.sampled_from(["broadcast", "conversation", "transactional"]),
    st.sampled_from(["", AFTER]),
    st.sets(st.sampled_from(TRACKS)),
)
def test_everything_is_accounted_for(
    pages: list[list[wire.Activity]], kind: Any, previous: str, wanted: set[str]
) -> None:
    """Whatever rows come, in whatever order: each thing they show becomes an event, a dead
    letter, or is counted as known or filtered; and no id is used twice. What of a row can't be read
    is one dead letter, the same each time."""
    poll = poll_of(message_of(kind), previous, floor=0)
    rules = ActivityRules(ZONE, frozenset(wanted))
    ids: list[str] = []
    for rows in pages:
        mapped = seen(poll, *rows, rules=rules)
        flags = sum(1 + sum(map(bool, (row.open, row.bounce, row.abuse))) for row in rows)
        orders = sum(bool(row.order_total) for row in rows)
        clicks = sum(row.click_count or 0 for row in rows) if kind == "transactional" else 0
        whole = flags + orders + clicks
        if any(is_unreadable(row) for row in rows):
            assert len(mapped.unread) <= total(mapped) <= whole
        else:
            assert (total(mapped), mapped.unread) == (whole, [])
        ids += [event["messageId"] for event in sent(mapped)]
        ids += [letter.message_id for letter in mapped.reproducible.dead + mapped.journaled.dead]
        assert {event["event"] for event in sent(mapped)} <= wanted
    assert len(ids) == len(set(ids))
