"""A poll of a message: buckets, and the best known time."""

from datetime import date, timedelta

import pytest
from flow_parts import HORIZON, poll_of
from hypothesis import given
from hypothesis import strategies as st
from planner_parts import message_of

from bridge.flow.buckets import NO_DATE, bucket_of, floor_of
from bridge.listrak import times

DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@given(DAYS)
def test_buckets_are_weeks(day: date) -> None:
    """Rows are forgotten by the week: a bucket has seven days, and later days aren't lower."""
    bucket = bucket_of(day.isoformat(), {})
    assert bucket_of((day + timedelta(days=7)).isoformat(), {}) == bucket + 1
    assert bucket <= bucket_of((day + timedelta(days=1)).isoformat(), {}) <= bucket + 1
    assert 0 < bucket < NO_DATE


@pytest.mark.parametrize("day", ["", "soon", "2026-02-30", "2026-2-3", "20260230"])
def test_no_day(day: str) -> None:
    """What is no day is in the bucket that isn't dropped."""
    assert bucket_of(day, {}) == NO_DATE


def test_buckets_of_a_look() -> None:
    """A broadcast message is tracked as a whole; the others go on sending, week by week."""
    broadcast, talk = poll_of(), poll_of(message_of("conversation"))
    dates = ["2026-05-10T08:00:00.5", "2026-05-10", "", "2026-06-10T00:00:00"]
    assert broadcast.buckets(dates) == [0, 0, 0, 0]
    week, later = (bucket_of(day, {}) for day in ("2026-05-10", "2026-06-10"))
    assert talk.buckets(dates) == [week, week, NO_DATE, later]
    assert week < later


@given(DAYS, st.floats(0, 86400))
def test_floor(day: date, seconds: float) -> None:
    """What was sent on a day that still counts is above the floor, in any time zone."""
    oldest = times.seconds(f"{day.isoformat()}T00:00:00.000Z") + seconds
    floor = floor_of(message_of("transactional"), oldest)
    for ahead in (-14, 0, 14):
        local = times.from_seconds(oldest + ahead * 3600)[:10]
        assert bucket_of(local, {}) >= floor
    assert bucket_of((day - timedelta(days=16)).isoformat(), {}) < floor
    assert floor_of(message_of("broadcast"), oldest) == 0


@pytest.mark.parametrize(
    ("activity", "sent", "previous", "sent_at", "expected"),
    [
        ("B", "A", "", "A", "B"),
        ("B", "A", "C", "A", "C"),
        ("C", "A", "B", "A", "C"),
        ("", "A", "", "", "A"),
        ("", "A", "B", "", "B"),
        ("", "B", "A", "", "B"),
        ("", "", "B", "A", "B"),
        ("", "", "A", "B", "B"),
        ("", "", "", "A", "A"),
        ("", "", "", "", "HORIZON"),
    ],
)
def test_best_known(activity: str, sent: str, previous: str, sent_at: str, expected: str) -> None:
    """The later of the first activity (else the send, else the message's) and the previous poll.

    Where none is known, the message's own date, else the start horizon.
    """
    instants = {
        "": "",
        "A": "2026-05-10T12:00:00.000Z",
        "B": "2026-05-11T12:00:00.000Z",
        "C": "2026-05-12T12:00:00.000Z",
        "HORIZON": HORIZON,
    }
    poll = poll_of(message_of(sent_at=instants[sent_at]), instants[previous])
    assert (
        poll.best_known("Email Converted", instants[activity], instants[sent]) == instants[expected]
    )


def test_identities() -> None:
    """Two messages, and two events of one message, never share the head of an identity."""
    polls = [
        poll_of(message_of(kind, list_id=list_id, message_id=message_id))
        for kind in ("broadcast", "conversation", "transactional")
        for list_id in (5, 57)
        for message_id in (7, 77)
    ]
    heads = [poll.identity(event) for poll in polls for event in ("Email Sent", "Email Opened")]
    assert len(set(heads)) == len(heads)
