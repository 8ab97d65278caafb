"""How many things are read side by side, shared by the lists."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio


class Slots:
    """Slots for `total` readers, or one for each of `lists` where these are more.

    A list takes what is free, but leaves one to each other list that has none: one whose calls hang
    or fail can't hold up the others. What is `long` never takes the last slot of all.
    """

    def __init__(self, total: int, lists: Iterable[int]) -> None:
        self._held: Counter[int] = Counter(dict.fromkeys(lists, 0))
        self._long = 0
        self.total = max(total, len(self._held))
        self._released = anyio.Event()

    def has_room(self, list_id: int, *, long: bool = False) -> bool:
        """Whether a list may take another slot now."""
        free = self.total - self._held.total()
        if long and self._long >= max(1, self.total - 1):
            return False
        if self._held[list_id] == 0:
            return free > 0
        without = sum(held == 0 for other, held in self._held.items() if other != list_id)
        return free > without

    async def acquire(self, list_id: int, *, long: bool = False) -> None:
        """Takes a slot as soon as there is one for the list."""
        while not self.has_room(list_id, long=long):
            await self._released.wait()
        self._held[list_id] += 1
        self._long += long

    def release(self, list_id: int, *, long: bool = False) -> None:
        """Gives it back."""
        self._held[list_id] -= 1
        self._long -= long
        self._released.set()
        self._released = anyio.Event()

    @asynccontextmanager
    async def of(self, list_id: int) -> AsyncIterator[None]:
        """Holds a slot of a list."""
        await self.acquire(list_id)
        try:
            yield
        finally:
            self.release(list_id)
