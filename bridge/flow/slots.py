"""How many things are read side by side, shared by the lists."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

import anyio


class Line(NamedTuple):
    """Who waits together: in a list, for something long or something short."""

    list_id: int
    long: bool


class Slots:
    """`total` slots for readers: two for each of `lists` at least.

    Each list has one of its own for what is short. The others are for anything: a list takes what
    is free, but leaves one to each other list that has none. So a list whose calls hang or fail
    holds up no other one, and what is long never holds up what is short.
    """

    def __init__(self, concurrency: int, lists: Iterable[int]) -> None:
        self._lists = frozenset(lists)
        self.total = most(concurrency, len(self._lists))
        self._common = self.total - len(self._lists)
        self._held: Counter[Line] = Counter()
        self._waiting: defaultdict[Line, OrderedDict[int, anyio.Event]] = defaultdict(OrderedDict)
        self._numbers = count()

    def has_room(self, line: Line) -> bool:
        """Whether one more of a line may have a slot now."""
        if not line.long and not self._held[line]:
            return True
        common = {one: self._common_of(one) for one in self._lists}
        free = self._common - sum(common.values())
        kept = sum(held == 0 for one, held in common.items() if one != line.list_id)
        return free > (kept if common[line.list_id] else 0)

    async def take(self, list_id: int) -> "Slot":
        """A slot for something short, as soon as there is one for the list."""
        slot = Slot(self, list_id)
        await slot.enter(long=False)
        return slot

    @asynccontextmanager
    async def of(self, list_id: int) -> AsyncIterator["Slot"]:
        """Holds a slot of a list."""
        slot = await self.take(list_id)
        try:
            yield slot
        finally:
            slot.leave()

    async def acquire(self, line: Line) -> None:
        """Waits for a slot, after those of the line who came before."""
        waiting = self._waiting[line]
        if not waiting and self.has_room(line):
            self._held[line] += 1
            return
        number, turn = next(self._numbers), anyio.Event()
        waiting[number] = turn
        try:
            await turn.wait()
        except BaseException:
            if waiting.pop(number, None) is None:
                self.release(line)
            raise

    def release(self, line: Line) -> None:
        """Gives one back; it goes to who waits for longest of those who may have it."""
        self._held[line] -= 1
        while able := [one for one, turns in self._waiting.items() if turns and self.has_room(one)]:
            first = min(able, key=lambda one: next(iter(self._waiting[one])))
            _, turn = self._waiting[first].popitem(last=False)
            self._held[first] += 1
            turn.set()

    def _common_of(self, list_id: int) -> int:
        """How many of the slots for anything a list has."""
        short = self._held[Line(list_id, False)]
        return self._held[Line(list_id, True)] + max(0, short - 1)


class Slot:
    """A place of one reader; `leave` may be called more than once."""

    def __init__(self, slots: Slots, list_id: int) -> None:
        self._slots = slots
        self._list_id = list_id
        self._held: Line | None = None

    async def lengthen(self) -> None:
        """What follows takes long: leaves the place to others and waits for one among its like."""
        self.leave()
        await self.enter(long=True)

    async def enter(self, *, long: bool) -> None:
        """Waits for the place."""
        line = Line(self._list_id, long)
        await self._slots.acquire(line)
        self._held = line

    def leave(self) -> None:
        """Gives it back."""
        line, self._held = self._held, None
        if line is not None:
            self._slots.release(line)


def most(concurrency: int, lists: int) -> int:
    """How many slots there are where `concurrency` is asked for and there are so many lists."""
    return max(concurrency, 2 * lists)
