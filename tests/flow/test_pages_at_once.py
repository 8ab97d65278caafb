"""A page mapped at once comes to what its rows, and its events, come to one at a time."""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from flow_parts import HORIZON, look_of, message_of
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.look import Look
from bridge.flow.page import ActivityPage, ClickPage, Mapped
from bridge.flow.rules.activity import ActivityRules
from bridge.listrak import wire
from bridge.listrak.times import Zone
from bridge.segment import events
from bridge.state.keys import heads, sorted_keys
from bridge.vocabulary import OPENED, SENT, TRACKS

ZONE = Zone(ZoneInfo("America/New_York"))
LINK = wire.Link(9, "https://shop.example/?a=b")
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
    ),
    max_size=12,
)
CLICKS = st.lists(st.builds(wire.Clicker, EMAILS, DATES), max_size=12)
KINDS = st.sampled_from(["broadcast", "conversation", "transactional"])
PREVIOUS = st.sampled_from(["", HORIZON, "2026-05-12T06:00:00.000Z"])
WANTED = st.sampled_from([frozenset(TRACKS), frozenset([SENT]), frozenset([OPENED])])
SUBJECTS = st.sampled_from(["short", "x" * 31_800, "x" * 40_000])


def page_of(look: Look, rows: list[Any], origins: list[wire.Origin] | None) -> Any:
    number = look.pages.enter()
    if rows and isinstance(rows[0], wire.Clicker):
        return ClickPage(look, number, [], LINK, rows, origins)
    return ActivityPage(look, number, [], rows, origins)


def mapped(look: Look, rules: ActivityRules, page: Any) -> Mapped:
    """What a page comes to; the look goes on with it, as the mapper has it."""
    clicks = isinstance(page, ClickPage)
    found = rules.map_clicks(page) if clicks else rules.map_activity(page)
    shares = (found.derived, found.planned)
    for buckets in (*(one.keys for one in shares), *(one.withheld for one in shares)):
        for fingerprints in buckets.values():
            look.known.add(sorted_keys(heads(fingerprints)))
    return found


def said(pages: list[Mapped]) -> dict[str, Any]:
    """All that pages came to, whatever the order."""
    names: Counter[str] = Counter()
    for page in pages:
        names += page.names
    return {
        "derived": Counter(event for page in pages for event in page.derived.events),
        "planned": Counter(event for page in pages for event in page.planned.events),
        "dead": Counter(letter for page in pages for letter in page.derived.dead),
        "planned dead": Counter(letter for page in pages for letter in page.planned.dead),
        "keys": {
            (planned, bucket, fingerprint)
            for page in pages
            for planned, found in ((False, page.derived.keys), (True, page.planned.keys))
            for bucket, fingerprints in found.items()
            for fingerprint in fingerprints
        },
        "seen": sum((page.derived.seen + page.planned.seen for page in pages), Counter()),
        "unsent": sum((page.derived.unsent + page.planned.unsent for page in pages), Counter()),
        "totals": {key: total for page in pages for key, total in page.totals.items()},
        "causes": sorted(email for page in pages for email in page.causes),
        "old causes": sorted(email for page in pages for email in page.old_causes),
        "known": sum(page.known for page in pages),
        "filtered": sum(page.filtered for page in pages),
        "names": names,
    }


def compare(
    rows: list[Any], kind: Any, previous: str, wanted: frozenset[str], subject: str, origins: bool
) -> None:
    rules = ActivityRules(ZONE, wanted)
    properties = events.properties_of({"email_subject": subject})
    message = message_of(kind, properties=properties)
    floor = 0 if kind == "broadcast" else min(look_of(message).buckets(["2026-05-01"]))
    from_where = [wire.Origin(f"10.0.0.{place}", None) for place in range(len(rows))]
    whole, single, closer = (look_of(message, previous, floor=floor) for _ in range(3))
    at_once = mapped(whole, rules, page_of(whole, rows, from_where if origins else None))
    one_by_one = [
        mapped(single, rules, page_of(single, [row], [from_where[place]] if origins else None))
        for place, row in enumerate(rows)
    ]
    assert said([at_once]) == said(one_by_one)
    if not origins:
        # Where rows may have origins, each event is made by itself.
        empty = [wire.Origin(None, None) for _ in rows]
        assert said([at_once]) == said([mapped(closer, rules, page_of(closer, rows, empty))])
    assert all(at_once.derived.keys.values())
    assert all(at_once.planned.keys.values())


@given(ROWS, KINDS, PREVIOUS, WANTED, SUBJECTS, st.booleans())
def test_activity(
    rows: list[wire.Activity],
    kind: Any,
    previous: str,
    wanted: frozenset[str],
    subject: str,
    origins: bool,
) -> None:
    """Activity rows, with whatever dates, addresses, flags and neighbours."""
    compare(rows, kind, previous, wanted, subject, origins)


@given(CLICKS, PREVIOUS, WANTED, SUBJECTS, st.booleans())
def test_clicks(
    rows: list[wire.Clicker], previous: str, wanted: frozenset[str], subject: str, origins: bool
) -> None:
    """Clicks, whatever their dates."""
    compare(rows, "conversation", previous, wanted, subject, origins)
    compare(rows, "broadcast", previous, wanted, subject, origins)
