"""What became of the events of a row: by keys, by totals, and by what is no longer remembered."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from planner_parts import message_of

from bridge.event_types import TRACKS
from bridge.flow.findings.finding import Finding, Kept, fingerprint_of
from bridge.flow.findings.row_findings import RowFindings, SeenMessage
from bridge.listrak import wire
from bridge.listrak.times import Zone
from bridge.segment import events
from bridge.state.keys import SeenKeys, heads, sorted_keys
from bridge.state.records import Message, Total
from bridge.state.seen_events import EARLY, SENT, UNWANTED

HORIZON = "2026-05-02T00:00:00.000Z"
FINDINGS = RowFindings(Zone(ZoneInfo("UTC")), "ns", frozenset(TRACKS))
ROW = wire.Activity("Bob@x.example", "2026-05-05T10:00:00", "2026-05-05T11:00:00", open=True)


def seen(message: Message, totals: Any = None, **more: Any) -> SeenMessage:
    nothing = {reason: SeenKeys() for reason in (SENT, EARLY, UNWANTED)}
    return SeenMessage(message, nothing, totals or {}, HORIZON, **more)


def of_kind(kind: Any, **changes: Any) -> Message:
    return message_of(kind, **{"polled_at": 1.0, "floor": 0} | changes)


def total_key(message: Message) -> int:
    """The key of the row's totals, as the service makes it."""
    identity = f"{message.list_id}\x1f{message.kind}\x1f{message.message_id}"
    head = events.identity("nstotal", identity, "")
    return events.key(events.digest(f"{head}2026-05-05T10:00:00\x1fBob@x.example".encode()))


def found(seen: SeenMessage, row: wire.Activity, event: str) -> list[tuple[str, str]]:
    return [(one.status, one.reason) for one in FINDINGS.of_row(seen, row) if one.event == event]


@pytest.mark.parametrize(
    ("reason", "status", "said"),
    [
        (SENT, "sent", ""),
        (EARLY, "withheld", "before the start horizon of the list (2026-05-02)"),
        (
            UNWANTED,
            "withheld",
            "not in BRIDGE_EVENTS when it was seen; backfill --events brings it",
        ),
        (None, "not seen yet", ""),
    ],
)
def test_by_key(reason: int | None, status: str, said: str) -> None:
    """What the key is kept as tells it."""
    before = seen(of_kind("broadcast"))
    opened = next(one for one in FINDINGS.of_row(before, ROW) if one.event == "Email Opened")
    fingerprint = fingerprint_of(opened.message_id)
    assert fingerprint is not None
    run = sorted_keys(heads([fingerprint]))
    after = replace(
        before, keys={one: SeenKeys([run] if one == reason else []) for one in before.keys}
    )
    assert found(after, ROW, "Email Opened") == [(status, said)]
    assert found(after, ROW, "Email Sent") == [("not seen yet", "")]
    if reason == EARLY:
        late = replace(after, backfilled_since="2026-04-01T00:00:00.000Z")
        ((status, said),) = found(late, ROW, "Email Opened")
        assert (status, said.startswith("by the backfill since 2026-04-01")) == ("sent", True)


def test_what_is_not_remembered() -> None:
    """Too old, not wanted, never polled: why it is not among what was seen."""
    old = seen(of_kind("transactional", floor=2**20))
    assert found(old, ROW, "Email Opened")[0][0] == "untracked"
    never = seen(replace(message_of("broadcast"), polled_at=None))
    assert found(never, ROW, "Email Opened") == [("not seen yet", "never polled yet")]
    narrow = replace_wanted(frozenset({"Email Sent"}))
    finding = next(
        one for one in narrow.of_row(seen(of_kind("broadcast")), ROW) if one.event == "Email Opened"
    )
    assert (finding.status, finding.reason) == (
        "not seen yet",
        "not in BRIDGE_EVENTS: it is not sent",
    )


def replace_wanted(wanted: frozenset[str]) -> RowFindings:
    return RowFindings(Zone(ZoneInfo("UTC")), "ns", wanted)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, [("not seen yet", "")]),
        (Total(20.0, 1), [("sent", "")]),
        (Total(20.0, 2), [("sent", "the latest of 2 rises; 20.00 in all")]),
        (Total(15.0, 1), [("not seen yet", ""), ("sent", "")]),
        (
            Total(20.0, 1, withheld=20.0),
            [("withheld", "20.00 from before the start horizon of the list")],
        ),
        (
            Total(20.0, 2, withheld=5.0, unwanted=10.0, unwanted_sent=4.0),
            [
                (
                    "sent",
                    "the latest of 2 rises; 9.00 sent, 4.00 of it by backfill --events, under an "
                    "id of its own, 5.00 from before the start horizon of the "
                    "list, 6.00 not in BRIDGE_EVENTS then; backfill --events brings it",
                )
            ],
        ),
    ],
)
def test_orders(known: Total | None, expected: list[tuple[str, str]]) -> None:
    """By the amounts that are kept of a row; the next rise and the one before it."""
    message = of_kind("broadcast")
    totals = {} if known is None else {total_key(message): known}
    row = wire.Activity("Bob@x.example", ROW.send_date, ROW.activity_date, order_total=20.0)
    assert found(seen(message, totals), row, "Email Converted") == expected


@pytest.mark.parametrize(
    ("known", "statuses"),
    [
        (None, ["not seen yet"] * 4),
        (Total(clicks=3), ["sent"] * 3 + ["not seen yet"]),
        (Total(clicks=4, withheld_clicks=1), ["withheld"] + ["sent"] * 3),
        (Total(clicks=4, unwanted_clicks=4), ["withheld"] * 4),
        (Total(clicks=4, unwanted_clicks=4, unwanted_clicks_sent=4), ["sent"] * 4),
    ],
)
def test_counted_clicks(known: Total | None, statuses: list[str]) -> None:
    """Of transactional messages, one by one."""
    message = of_kind("transactional")
    totals = {} if known is None else {total_key(message): known}
    row = wire.Activity("Bob@x.example", ROW.send_date, ROW.activity_date, click_count=4)
    clicks = found(seen(message, totals), row, "Email Link Clicked")
    assert [status for status, _ in clicks] == statuses


def test_a_row_with_a_bad_date() -> None:
    """What depends on it is one dead letter; the id tells which."""
    row = wire.Activity("Bob@x.example", ROW.send_date, "yesterday", open=True, bounce=True)
    sent, opened = FINDINGS.of_row(seen(of_kind("broadcast")), row)
    assert (sent.event, opened.event) == ("Email Sent", "activity")
    assert (opened.status, "activityDate" in opened.reason) == ("not seen yet", True)
    kept = Kept(frozenset(), {opened.message_id: "its activityDate is no date"})
    applied = kept.applied(opened)
    assert (applied.status, applied.reason) == ("dead", "its activityDate is no date")
    other = Finding(5, "", "identify", "listrak-1", "", "sent")
    assert kept.applied(other) is other
    flying = Kept(frozenset({opened.message_id}), {})
    assert flying.applied(opened).status == "in flight"


@pytest.mark.parametrize(
    "text", ["", "listrak-", "listrak-12", "other-" + "0" * 32, "listrak-" + "x" * 32]
)
def test_what_is_no_id_of_ours(text: str) -> None:
    """Another program's id is told apart by its shape."""
    assert fingerprint_of(text) is None
    assert fingerprint_of(events.message_id(b"0123456789abcdef")) == b"0123456789abcdef"
