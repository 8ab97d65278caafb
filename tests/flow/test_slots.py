"""How slots are shared: nobody who has none waits for those who have many."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.slots import Slots

pytestmark = pytest.mark.anyio


@given(
    st.integers(1, 8),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=60),
)
def test_sharing(total: int, lists: int, deeds: list[tuple[int, bool, bool]]) -> None:
    """Never more than there are; a list without a slot always finds one."""
    slots = Slots(total, range(lists))
    held: list[tuple[int, bool]] = []

    async def live() -> None:
        for list_id, long, give_back in deeds:
            if give_back and held:
                owner, was_long = held.pop()
                slots.release(owner, long=was_long)
            elif list_id < lists and slots.has_room(list_id, long=long):
                with anyio.fail_after(1):
                    await slots.acquire(list_id, long=long)
                held.append((list_id, long))
            assert len(held) <= slots.total == max(total, lists)
            assert sum(long for _, long in held) <= max(1, slots.total - 1)
            for one in range(lists):
                if one not in {owner for owner, _ in held}:
                    assert slots.has_room(one)

    anyio.run(live)


async def test_one_list_has_all() -> None:
    """A list that is alone takes every slot, but for one that is kept from long readings."""
    slots = Slots(4, [5])
    for _ in range(3):
        await slots.acquire(5, long=True)
    assert not slots.has_room(5, long=True)
    await slots.acquire(5)
    assert not slots.has_room(5)


async def test_a_slot_given_back_goes_to_who_waits() -> None:
    """Waiting ends with a release, and a slot held for a while is given back."""
    slots = Slots(2, [5, 6])
    async with anyio.create_task_group() as tasks:
        async with slots.of(5):
            assert not slots.has_room(5)
            tasks.start_soon(slots.acquire, 5)
            await anyio.wait_all_tasks_blocked()
            assert slots.has_room(6)
        await anyio.wait_all_tasks_blocked()
    assert not slots.has_room(5)
