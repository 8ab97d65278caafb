"""What isn't read, compared or sent of a list: each limit is told, with its number and its time."""

from dataclasses import replace
from typing import Any

import pytest
from planner_parts import message_of

from bridge.event_types import OPENED, SENT, TRACKS, UNSUBSCRIBED
from bridge.flow.buckets import NO_DATE
from bridge.flow.limits import ListFacts, limits_of_list, resting, unread_counters, without_summary
from bridge.state.records import Backfill, ListState
from bridge.state.set_aside import Part, PartSetAside

HORIZON = "2026-05-01T00:00:00.000Z"
STATE = ListState(5, "News", HORIZON, 1_778_500_000.0, None, None)
FACTS = ListFacts(STATE, "", [message_of(polled_at=1.0)], 0, "", 0, 0, None)
HISTORY = Backfill(5, "2026-03", HORIZON, 1, 1, 0, 7, 30, 0)


def told(facts: ListFacts, **changes: Any) -> dict[str, Any]:
    """The limits of some facts, by kind; all events are wanted unless `wanted` says otherwise."""
    wanted = changes.pop("wanted", TRACKS)
    limits = limits_of_list(replace(facts, **changes), wanted)
    assert all(limit.list_id == 5 and limit.text.startswith("List 5: ") for limit in limits)
    return {limit.kind: limit.as_json() for limit in limits}


def test_a_list_without_limits() -> None:
    """All is read, wanted and tracked: there is nothing to be told."""
    assert told(FACTS) == {}


@pytest.mark.parametrize(
    ("changes", "kind", "number", "until", "said"),
    [
        ({"problem": "no such list"}, "degraded", None, "2026-05-11", "no such list"),
        ({"state": ListState(5, "", "", None, None, None)}, "never_read", None, None, "not read"),
        ({"tracked": [message_of(polled_at=None)]}, "unread", 1, None, "1 email is not read"),
        ({"untracked": 2, "untracked_until": "2026-04"}, "untracked", 2, "2026-04", "2 emails are"),
        ({"wanted": [SENT]}, "unwanted", None, None, "Email Opened"),
        ({"withheld_messages": 3}, "withheld", 3, None, "3 emails and 0 unsubscribes"),
        (
            {"state": replace(STATE, unsubscribes_forgotten="2026-04")},
            "unsubscribes_forgotten",
            None,
            "2026-04",
            "up to 2026-04",
        ),
        ({"ends": {OPENED: HORIZON}}, "history", None, HORIZON, "`backfill --since` brings"),
        ({"history": replace(HISTORY, finished=0, waiting=4)}, "backfill", 4, "2026-03", "way"),
        ({"history": replace(HISTORY, left_out=4)}, "left_out", 4, "2026-03", "4 emails"),
        ({"history": replace(HISTORY, missing=1)}, "missing", 1, "2026-03", "1 email:"),
        (
            {"set_aside": [PartSetAside(Part(5, "conversation", "9"), 0.0, "no answer", None)]},
            "set_aside",
            None,
            "1970-01-01",
            "conversation 9 (emails that only it names are not found until it is read): no answer",
        ),
        ({"history": replace(HISTORY, dropped=OPENED)}, "dropped", None, "2026-03", OPENED),
    ],
)
def test_each_limit(
    changes: dict[str, Any], kind: str, number: int | None, until: str | None, said: str
) -> None:
    """One fact, one limit."""
    ((found, limit),) = told(FACTS, **changes).items()
    assert found == kind
    assert limit["number"] == number
    assert (limit["until"] or "").startswith(until or "")
    assert bool(limit["until"]) == bool(until)
    assert said in limit["text"]


def test_old_sends_of_what_goes_on_sending() -> None:
    """The latest day counts; of a broadcast and of rows without a date there is none."""
    floors = (105_000, 105_001, None, NO_DATE)
    messages = [message_of("conversation", polled_at=1.0, floor=floor) for floor in floors]
    broadcast = message_of(polled_at=1.0, floor=105_009)
    limit = told(FACTS, tracked=[*messages, broadcast])["old_sends"]
    assert (limit["number"], limit["until"]) == (2, "2013-05-19")
    assert "or only of some of them" in limit["text"]
    limit = told(FACTS, tracked=messages[:1])["old_sends"]
    assert "some" not in limit["text"]


def test_history_that_nobody_wants() -> None:
    """No backfill is named that would bring nothing."""
    limit = told(FACTS, ends={OPENED: HORIZON}, wanted=set(TRACKS) - {OPENED})["history"]
    assert "backfill" not in limit["text"]


def test_many_parts_that_are_set_aside() -> None:
    """Ten are named, the rest is counted; what Listrak doesn't have is no limit."""
    parts = [PartSetAside(Part(5, "message", str(n)), 0.0, "no", None) for n in range(13)]
    missing = PartSetAside(Part(5, "split tests"), 0.0, "", None)
    limits = limits_of_list(replace(FACTS, set_aside=[missing, *parts]), TRACKS)
    assert len(limits) == 11
    assert "3 other parts" in limits[-1].text
    assert "4 emails are not compared" in unread_counters(5, 4, "no").text


def test_limits_of_other_lists() -> None:
    """A list that rests, with when it was read last; messages without a Summary."""
    assert "rests (last read at 2026-05-11" in resting(STATE).text
    assert "it rests (never read)" in resting(replace(STATE, discovered_at=None)).text
    assert without_summary(5, 2).text.startswith("List 5: 2 emails are not compared")
    assert UNSUBSCRIBED not in without_summary(5, 2).events
