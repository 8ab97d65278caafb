"""The slots of readers, divided among the lists."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

import anyio


class Lane(NamedTuple):
    """The readings that wait together: a list's long ones, or its short ones."""

    list_id: int
    long: bool


class Slots:
    """The slots of readers: two for each list at least.

    Each list has one of its own for short readings. The others are for any: a list takes what is
    free, but leaves one to each other list that has none. So a list whose calls hang or fail blocks
    no other one, and long readings never block short ones.
    """

    def __init__(self, concurrency: int, lists: Iterable[int]) -> None:
        self._lists = frozenset(lists)
        self.total = slot_count(concurrency, len(self._lists))
        self._common = self.total - len(self._lists)
        self._held: Counter[Lane] = Counter()
        self._waiting: defaultdict[Lane, OrderedDict[int, anyio.Event]] = defaultdict(OrderedDict)
        self._numbers = count()

    def has_room(self, lane: Lane) -> bool:
        """Tells whether one more of a lane may have a slot now."""
        if not lane.long and not self._held[lane]:
            return True
        common = {one: self._common_of(one) for one in self._lists}
        free = self._common - sum(common.values())
        kept = sum(held == 0 for one, held in common.items() if one != lane.list_id)
        return free > (kept if common[lane.list_id] else 0)

    async def take(self, list_id: int) -> "Slot":
        """A slot for a short reading, after a wait for one of the list."""
        slot = Slot(self, list_id)
        await slot.enter(long=False)
        return slot

    @asynccontextmanager
    async def of(self, list_id: int) -> AsyncIterator["Slot"]:
        """Opens a slot of a list, given back at the end."""
        slot = await self.take(list_id)
        try:
            yield slot
        finally:
            slot.leave()

    async def acquire(self, lane: Lane) -> None:
        """Waits for a slot, after those of the lane that came before."""
        waiting = self._waiting[lane]
        if not waiting and self.has_room(lane):
            self._held[lane] += 1
            return
        number, turn = next(self._numbers), anyio.Event()
        waiting[number] = turn
        try:
            await turn.wait()
        except BaseException:
            if waiting.pop(number, None) is None:
                self.release(lane)
            raise

    def release(self, lane: Lane) -> None:
        """Gives a slot back; it goes to the longest waiting reading that may have it."""
        self._held[lane] -= 1
        while able := [one for one, turns in self._waiting.items() if turns and self.has_room(one)]:
            first = min(able, key=lambda one: next(iter(self._waiting[one])))
            _, turn = self._waiting[first].popitem(last=False)
            self._held[first] += 1
            turn.set()

    def _common_of(self, list_id: int) -> int:
        """The number of slots for any reading that a list has."""
        short = self._held[Lane(list_id, False)]
        return self._held[Lane(list_id, True)] + max(0, short - 1)


class Slot:
    """A slot of one reader; `leave` may be called more than once."""

    def __init__(self, slots: Slots, list_id: int) -> None:
        self._slots = slots
        self._list_id = list_id
        self._held: Lane | None = None

    async def lengthen(self) -> None:
        """Gives the slot back and waits for one for a long reading."""
        self.leave()
        await self.enter(long=True)

    async def enter(self, *, long: bool) -> None:
        """Waits for a slot."""
        lane = Lane(self._list_id, long)
        await self._slots.acquire(lane)
        self._held = lane

    def leave(self) -> None:
        """Gives the slot back."""
        lane, self._held = self._held, None
        if lane is not None:
            self._slots.release(lane)


def slot_count(concurrency: int, lists: int) -> int:
    """The number of slots for a configured concurrency and so many lists."""
    return max(concurrency, 2 * lists)
