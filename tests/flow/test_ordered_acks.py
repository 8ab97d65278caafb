"""In-order acknowledgement."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.ordered_acks import MOST_UNACKED, OrderedAcks


@given(st.permutations(range(12)))
def test_acks(order: list[int]) -> None:
    """However pages are acknowledged: they come out in the order of opening, each once."""
    acks: OrderedAcks[str] = OrderedAcks()
    numbers = [acks.open() for _ in order]
    assert numbers == list(range(12))
    acked: set[int] = set()
    out: list[str] = []
    for number in order:
        acked.add(number)
        out += acks.ack(number, f"page {number}")
        expected = next(n for n in range(13) if n not in acked)
        assert out == [f"page {n}" for n in range(expected)], "all that can come out, did"
        assert acks.unacked == 12 - len(out)
    assert acks.unacked == 0


@given(st.lists(st.booleans(), max_size=60))
def test_acks_while_it_grows(opens: list[bool]) -> None:
    """Pages are opened while others are acknowledged; the order stays."""
    acks: OrderedAcks[int] = OrderedAcks()
    open_pages: list[int] = []
    out: list[int] = []
    for number, opening in enumerate(opens):
        if opening or not open_pages:
            open_pages.append(acks.open())
        else:
            page = open_pages.pop(number % len(open_pages))
            out += acks.ack(page, page)
    for page in reversed(open_pages):
        out += acks.ack(page, page)
    assert out == sorted(out) == list(range(len(out)))
    assert acks.unacked == 0


@pytest.mark.anyio
async def test_room() -> None:
    """So many pages may be open at once; the next waits until the first is acknowledged."""
    acks: OrderedAcks[None] = OrderedAcks()
    numbers = [acks.open() for _ in range(MOST_UNACKED - 1)]
    await acks.wait_for_room()
    acks.open()
    entered = anyio.Event()

    async def enter() -> None:
        await acks.wait_for_room()
        entered.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        acks.ack(numbers[1], None)
        await anyio.wait_all_tasks_blocked()
        assert not entered.is_set(), "a page in the middle makes no room"
        acks.ack(numbers[0], None)
        await anyio.wait_all_tasks_blocked()
        assert entered.is_set()


@pytest.mark.anyio
async def test_drained() -> None:
    """Who waits for all of them goes on when the last is acknowledged, in whatever order."""
    acks: OrderedAcks[None] = OrderedAcks()
    numbers = [acks.open() for _ in range(3)]
    done = anyio.Event()

    async def wait() -> None:
        await acks.drained()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        for number in (numbers[1], numbers[0]):
            acks.ack(number, None)
            await anyio.wait_all_tasks_blocked()
            assert not done.is_set()
        acks.ack(numbers[2], None)
        await anyio.wait_all_tasks_blocked()
        assert done.is_set()


@pytest.mark.anyio
async def test_one_that_fails() -> None:
    """Nobody waits for it, and nothing after it is released."""
    acks: OrderedAcks[str] = OrderedAcks()
    numbers = [acks.open() for _ in range(MOST_UNACKED)]
    waited: list[str] = []

    async def wait() -> None:
        await acks.wait_for_room()
        waited.append("room")
        await acks.drained()
        waited.append("drained")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        assert acks.ack(numbers[1], "one") == []
        await anyio.wait_all_tasks_blocked()
        assert not waited
        acks.fail(numbers[2])
        await anyio.wait_all_tasks_blocked()
        assert waited == ["room"]
        assert acks.ack(numbers[0], "nought") == ["nought", "one"]
        for number in numbers[4:]:
            acks.fail(number)
        await anyio.wait_all_tasks_blocked()
        assert waited == ["room"]
        assert acks.ack(numbers[3], "three") == []
    assert waited == ["room", "drained"]
