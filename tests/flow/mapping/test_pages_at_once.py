"""A page mapped at once comes to what its rows, and its events, come to one at a time."""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from flow_parts import FIRST_PAGE, HORIZON, poll_of
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import astuple
from planner_parts import message_of

from bridge.event_types import EXTRA_PROPERTIES, OPENED, SENT, TRACKS
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ActivityPage, ClickPage
from bridge.listrak import wire
from bridge.listrak.origin import Origin
from bridge.listrak.times import Zone
from bridge.segment import events
from bridge.state.keys import heads, sorted_keys

ZONE = Zone(ZoneInfo("America/New_York"))
LINK = wire.Link(9, "https://shop.example/?a=b", link_description="Hero image")
EMAILS = st.sampled_from(["a@x.y", "b@x.y", 'q"\\,"@x.y', "zoë🎉@x.y", "", " \t", None])
# Before and after the horizon, at it, within the hour that autumn repeats, odd, none at all.
DATES = st.sampled_from(
    [
        "2026-04-30T08:00:00",
        "2026-04-30T20:00:00",
        "2026-05-10T08:00:00.250",
        "2026-05-17T23:59:59.9",
        "2025-11-02T01:30:00",
        "2026-11-01T01:30:00",
        "2026-05-10T08:00:00Z",
        "0001-01-01T00:00:00",
        "soon",
        None,
    ]
)
FLAGS = st.booleans()
ROWS = st.lists(
    st.builds(
        wire.Activity,
        email_address=EMAILS,
        send_date=DATES,
        activity_date=DATES,
        open=FLAGS,
        bounce=FLAGS,
        abuse=FLAGS,
        unsubscribe=FLAGS,
        click_count=st.sampled_from([None, 0, 2]),
        order_total=st.sampled_from([None, 0, 9.99]),
        bounce_reason=st.sampled_from([None, "", "Mailbox Full", "Auto Reply", 5]),
    ),
    max_size=12,
)
CLICKS = st.lists(st.builds(wire.Clicker, EMAILS, DATES), max_size=12)
KINDS = st.sampled_from(["broadcast", "conversation", "transactional"])
PREVIOUS = st.sampled_from(["", HORIZON, "2026-05-12T06:00:00.000Z"])
RULES = st.sampled_from(
    [
        ActivityRules(ZONE, frozenset(TRACKS)),
        ActivityRules(ZONE, frozenset([SENT])),
        ActivityRules(ZONE, frozenset([OPENED])),
        ActivityRules(ZONE, frozenset(TRACKS), extra=frozenset(EXTRA_PROPERTIES)),
    ]
)
SUBJECTS = st.sampled_from(["short", "x" * 31_800, "x" * 40_000])


def page_of(poll: MessagePoll, rows: list[Any], origins: list[Origin] | None) -> Any:
    number = poll.acks.open()
    if rows and isinstance(rows[0], wire.Clicker):
        return ClickPage(poll, number, FIRST_PAGE, LINK, rows, origins)
    return ActivityPage(poll, number, FIRST_PAGE, rows, origins)


def mapped(poll: MessagePoll, rules: ActivityRules, page: Any) -> MappedPage:
    """What a page comes to; the poll goes on with it, as the mapper has it."""
    clicks = isinstance(page, ClickPage)
    found = rules.map_clicks(page) if clicks else rules.map_activity(page)
    event_sets = (found.reproducible, found.journaled)
    for buckets in (
        *(one.keys for one in event_sets),
        *(one.withheld for one in event_sets),
        *(one.unwanted for one in event_sets),
    ):
        for fingerprints in buckets.values():
            poll.seen.add(sorted_keys(heads(fingerprints)))
    return found


def said(pages: list[MappedPage]) -> dict[str, Any]:
    """All that pages came to, whatever the order."""
    names: Counter[str] = Counter()
    for page in pages:
        names += page.names
    return {
        "reproducible": Counter(event for page in pages for event in page.reproducible.events),
        "journaled": Counter(event for page in pages for event in page.journaled.events),
        "dead": Counter(letter for page in pages for letter in page.reproducible.dead),
        "journaled dead": Counter(letter for page in pages for letter in page.journaled.dead),
        "keys": {
            (journaled, bucket, fingerprint)
            for page in pages
            for journaled, found in ((False, page.reproducible.keys), (True, page.journaled.keys))
            for bucket, fingerprints in found.items()
            for fingerprint in fingerprints
        },
        "seen": sum((page.reproducible.seen + page.journaled.seen for page in pages), Counter()),
        "unsent": sum(
            (page.reproducible.unsent + page.journaled.unsent for page in pages), Counter()
        ),
        "totals": {key: total for page in pages for key, total in page.totals.items()},
        "attributions": sorted(email for page in pages for email in page.attributions.recent),
        "old attributions": sorted(email for page in pages for email in page.attributions.old),
        "known": sum(page.known for page in pages),
        # An empty address is like none.
        "unread": {letter.reason for page in pages for letter in page.unread},
        "filtered": sum(page.filtered for page in pages),
        "names": names,
        "dates": Counter(
            (name, happened)
            for page in pages
            for name, times in page.dates.moments().items()
            for happened in times.tolist()
        ),
    }


def is_unreadable(row: Any) -> bool:
    """Tells whether a row has no address, or a date that is none."""
    return not (row.email_address or "").strip() or "soon" in astuple(row)


def compare(
    rows: list[Any], kind: Any, previous: str, rules: ActivityRules, subject: str, origins: bool
) -> None:
    properties = events.properties_of({"email_subject": subject})
    message = message_of(kind, properties=properties)
    floor = 0 if kind == "broadcast" else min(poll_of(message).buckets(["2026-05-01"]))
    from_where = [Origin(f"10.0.0.{place}", None) for place in range(len(rows))]
    whole, single, closer = (poll_of(message, previous, floor=floor) for _ in range(3))
    at_once = mapped(whole, rules, page_of(whole, rows, from_where if origins else None))
    one_by_one = [
        mapped(single, rules, page_of(single, [row], [from_where[place]] if origins else None))
        for place, row in enumerate(rows)
    ]
    odd = [astuple(row)[:2] for row in rows if is_unreadable(row)]
    # Of a row that comes twice, once unreadable, the order decides which counts now.
    assume(all([astuple(row)[:2] for row in rows].count(one) == 1 for one in odd))
    if odd:
        # The same row twice is one that is known, or the same dead letter twice.
        for page in (at_once, *one_by_one):
            page.known = page.filtered = 0
    assert said([at_once]) == said(one_by_one)
    if not origins:
        # Where rows may have origins, each event is made by itself.
        empty = [Origin(None, None) for _ in rows]
        one_at_a_time = mapped(closer, rules, page_of(closer, rows, empty))
        if odd:
            one_at_a_time.known = one_at_a_time.filtered = 0
        assert said([at_once]) == said([one_at_a_time])
    assert all(at_once.reproducible.keys.values())
    assert all(at_once.journaled.keys.values())


@given(ROWS, KINDS, PREVIOUS, RULES, SUBJECTS, st.booleans())
def test_activity(
    rows: list[wire.Activity],
    kind: Any,
    previous: str,
    rules: ActivityRules,
    subject: str,
    origins: bool,
) -> None:
    """Activity rows, with whatever dates, addresses, flags and neighbours."""
    compare(rows, kind, previous, rules, subject, origins)


@given(CLICKS, PREVIOUS, RULES, SUBJECTS, st.booleans())
def test_clicks(
    rows: list[wire.Clicker], previous: str, rules: ActivityRules, subject: str, origins: bool
) -> None:
    """Clicks, whatever their dates."""
    compare(rows, "conversation", previous, rules, subject, origins)
    compare(rows, "broadcast", previous, rules, subject, origins)
