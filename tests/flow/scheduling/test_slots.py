"""How slots are shared: nobody who has none waits for those who have many."""

import random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.scheduling.slots import Lane, Slots

pytestmark = pytest.mark.anyio

LINES = st.builds(Lane, st.integers(0, 5), st.booleans())


@given(st.integers(1, 8), st.integers(1, 6), st.lists(st.tuples(LINES, st.booleans()), max_size=60))
def test_sharing(concurrency: int, lists: int, deeds: list[tuple[Lane, bool]]) -> None:
    """Never more than there are; a list that has none of a sort always finds one.

    What is long keeps no list from what is short, and one list none of the others.
    """
    slots = Slots(concurrency, range(lists))
    held: list[Lane] = []

    async def live() -> None:
        for line, give_back in deeds:
            if give_back and held:
                slots.release(held.pop())
            elif line.list_id < lists and slots.has_room(line):
                with anyio.fail_after(1):
                    await slots.acquire(line)
                held.append(line)
            assert len(held) <= slots.total == max(concurrency, 2 * lists)
            assert sum(one.long for one in held) <= slots.total - lists
            for one in range(lists):
                if Lane(one, False) not in held:
                    assert slots.has_room(Lane(one, False))
                if one not in {owner for owner, _ in held}:
                    assert slots.has_room(Lane(one, True))

    anyio.run(live)


@given(
    st.integers(1, 6),
    st.integers(1, 4),
    st.lists(st.tuples(LINES, st.booleans()), max_size=40),
    st.randoms(use_true_random=False),
)
def test_whoever_waits_has_a_turn(
    concurrency: int, lists: int, callers: list[tuple[Lane, bool]], chance: random.Random
) -> None:
    """In the order of their coming within a line; those who give up leave no slot taken."""
    callers = [(Lane(line.list_id % lists, line.long), patient) for line, patient in callers]
    slots = Slots(concurrency, range(lists))
    began: list[int] = []
    holding: dict[int, anyio.Event] = {}

    async def call(number: int, scope: anyio.CancelScope) -> None:
        line, _ = callers[number]
        with scope:
            await slots.acquire(line)
            began.append(number)
            holding[number] = anyio.Event()
            try:
                await holding[number].wait()
            finally:
                slots.release(line)
                del holding[number]

    async def live() -> None:
        scopes = [anyio.CancelScope() for _ in callers]
        async with anyio.create_task_group() as tasks:
            for number, scope in enumerate(scopes):
                tasks.start_soon(call, number, scope)
            await anyio.wait_all_tasks_blocked()
            for scope, (_, patient) in zip(scopes, callers, strict=True):
                if not patient:
                    scope.cancel()
            await anyio.wait_all_tasks_blocked()
            while holding:
                for number in chance.sample(sorted(holding), chance.randint(1, len(holding))):
                    holding[number].set()
                await anyio.wait_all_tasks_blocked()

    anyio.run(live)
    assert {number for number, (_, patient) in enumerate(callers) if patient} <= set(began)
    for line in {line for line, _ in callers}:
        turns = [number for number in began if callers[number][0] == line]
        assert turns == sorted(turns)
        assert slots.has_room(line)


async def test_one_list_has_all() -> None:
    """A list that is alone takes every slot, but for one that is kept from long readings."""
    slots = Slots(4, [5])
    for _ in range(3):
        await slots.acquire(Lane(5, True))
    assert not slots.has_room(Lane(5, True))
    await slots.acquire(Lane(5, False))
    assert not slots.has_room(Lane(5, False))


async def test_a_slot_given_back_goes_to_who_waits() -> None:
    """Waiting ends with a release, and a slot held for a while is given back, once."""
    slots = Slots(4, [5, 6])
    async with anyio.create_task_group() as tasks:
        first = await slots.take(5)
        async with slots.of(5):
            assert not slots.has_room(Lane(5, False))
            tasks.start_soon(slots.take, 5)
            await anyio.wait_all_tasks_blocked()
            assert slots.has_room(Lane(6, False))
        await anyio.wait_all_tasks_blocked()
    assert not slots.has_room(Lane(5, False))
    first.leave()
    first.leave()
    assert slots.has_room(Lane(5, False))
    await slots.take(5)
    assert not slots.has_room(Lane(5, False))


async def test_what_turns_out_long_leaves_the_place_for_what_is_short() -> None:
    """It waits among its like, while short things go on."""
    slots = Slots(2, [5])
    first, second = await slots.take(5), await slots.take(5)
    await first.lengthen()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.lengthen)
        await anyio.wait_all_tasks_blocked()
        short = await slots.take(5)
        short.leave()
        first.leave()
    assert not slots.has_room(Lane(5, True))
    second.leave()
    assert slots.has_room(Lane(5, True))
