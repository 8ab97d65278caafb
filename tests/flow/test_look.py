"""A look at a message: order of closing, buckets, and the best known time."""

from datetime import date, timedelta

import anyio
import pytest
from flow_parts import HORIZON, look_of, message_of
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.look import MOST_OPEN_PAGES, NO_DATE, Prefix, bucket_of, floor_of
from bridge.listrak import times

DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@given(st.permutations(range(12)))
def test_prefix(order: list[int]) -> None:
    """However pages are closed: they come out in the order of opening, each exactly once."""
    prefix: Prefix[str] = Prefix()
    numbers = [prefix.enter() for _ in order]
    assert numbers == list(range(12))
    closed: set[int] = set()
    out: list[str] = []
    for number in order:
        closed.add(number)
        out += prefix.close(number, f"page {number}")
        expected = next(n for n in range(13) if n not in closed)
        assert out == [f"page {n}" for n in range(expected)], "all that can come out, did"
        assert prefix.open == 12 - len(out)
    assert prefix.open == 0


@given(st.lists(st.booleans(), max_size=60))
def test_prefix_while_it_grows(opens: list[bool]) -> None:
    """Pages are opened while others are closed; the order stays."""
    prefix: Prefix[int] = Prefix()
    open_pages: list[int] = []
    out: list[int] = []
    for number, opening in enumerate(opens):
        if opening or not open_pages:
            open_pages.append(prefix.enter())
        else:
            page = open_pages.pop(number % len(open_pages))
            out += prefix.close(page, page)
    for page in reversed(open_pages):
        out += prefix.close(page, page)
    assert out == sorted(out) == list(range(len(out)))
    assert prefix.open == 0


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
    broadcast, talk = look_of(), look_of(message_of("conversation"))
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
        ("", "", "", "A", "A"),
        ("", "", "", "", "HORIZON"),
    ],
)
def test_best_known(activity: str, sent: str, previous: str, sent_at: str, expected: str) -> None:
    """The later of the first activity (else the send) and the previous complete look.

    Where none is known, the message's own date, else the start horizon.
    """
    instants = {
        "": "",
        "A": "2026-05-10T12:00:00.000Z",
        "B": "2026-05-11T12:00:00.000Z",
        "C": "2026-05-12T12:00:00.000Z",
        "HORIZON": HORIZON,
    }
    look = look_of(message_of(sent_at=instants[sent_at]), instants[previous])
    assert (
        look.best_known("Email Converted", instants[activity], instants[sent]) == instants[expected]
    )


def test_identities() -> None:
    """Two messages, and two events of one message, never share the head of an identity."""
    looks = [
        look_of(message_of(kind, list_id=list_id, message_id=message_id))
        for kind in ("broadcast", "conversation", "transactional")
        for list_id in (5, 57)
        for message_id in (7, 77)
    ]
    heads = [look.identity(event) for look in looks for event in ("Email Sent", "Email Opened")]
    assert len(set(heads)) == len(heads)


@pytest.mark.anyio
async def test_room() -> None:
    """So many pages of a look may be open at once; the next waits until the first is closed."""
    look = look_of()
    numbers = [look.pages.enter() for _ in range(MOST_OPEN_PAGES - 1)]
    await look.room()
    look.pages.enter()
    entered = anyio.Event()

    async def enter() -> None:
        await look.room()
        entered.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        look.pages.close(numbers[1], None)
        look.moved.set()
        await anyio.wait_all_tasks_blocked()
        assert not entered.is_set(), "a page in the middle makes no room"
        look.pages.close(numbers[0], None)
        look.moved.set()
        await anyio.wait_all_tasks_blocked()
        assert entered.is_set()
