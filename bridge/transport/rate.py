"""Rate limits: a fixed one, and one that backs off from an overloaded server."""

import math
from collections.abc import Callable
from typing import Final

import anyio
from aiolimiter import AsyncLimiter

from bridge.transport.priority import Priority, PriorityQueue
from bridge.transport.retry import LONGEST_WAIT, SHORTEST_WAIT

RECOVERY: Final = 30.0
"""Seconds without a change after which a lowered rate doubles."""

COOLDOWN: Final = 5.0
"""Seconds after a change in which the rate isn't lowered: answers to earlier calls still come
in."""

SLOWEST: Final = 1 / 30
"""Calls a second that an adaptive rate never falls below."""


class Rate:
    """A limit of units a second.

    per_second: units a second; 0 for no limit.
    burst: units that may pass at once, never less than in a fifth of a second.
    """

    def __init__(self, per_second: float, burst: float = 1) -> None:
        capacity = max(per_second / 5, burst)
        self._limiter = AsyncLimiter(capacity, capacity / per_second) if per_second else None

    async def take(self, units: float = 1) -> None:
        """Waits until `units` (at most the burst) may pass."""
        if self._limiter is not None:
            await self._limiter.acquire(units)


class _Call:
    """A call that waits until it may be made."""

    def __init__(self) -> None:
        self.allowed = False
        self.woken = anyio.Event()


class AdaptiveRate:
    """A rate of calls that halves under overload and returns to its ceiling step by step.

    ceiling: calls a second; 0 for no limit, and no backing off either.
    on_change: called with the new rate (calls a second) after each change.
    """

    def __init__(self, ceiling: float, on_change: Callable[[float], None]) -> None:
        self._ceiling = self._per_second = ceiling
        self._on_change = on_change
        self._rate = Rate(ceiling)
        self._changed_at = -math.inf
        self._paused_until = -math.inf
        self._waiting: PriorityQueue[_Call] = PriorityQueue()
        # The one call that waits for the rate; all others sleep until they are woken.
        self._leader: _Call | None = None
        # True after the rate let a call pass that was cancelled then.
        self._unused = False

    async def take(self, priority: Priority = Priority.FRESH) -> None:
        """Waits until a call may be made."""
        if self._per_second < self._ceiling and self._unchanged_for(RECOVERY):
            self._change(min(self._per_second * 2, self._ceiling))
        mine = _Call()
        number = self._waiting.put(priority, mine, anyio.current_time())
        try:
            if self._leader is None:
                self._leader = mine
            else:
                await mine.woken.wait()
            while not mine.allowed:
                await self._next()
                call = self._waiting.take(anyio.current_time())
                call.allowed = True
                call.woken.set()
        except BaseException:
            # A cancelled call passes its permission on.
            self._unused = self._unused or mine.allowed
            raise
        finally:
            self._waiting.remove(number)
            if self._leader is mine:
                self._leader = self._waiting.first()
                if self._leader is not None:
                    self._leader.woken.set()

    async def _next(self) -> None:
        """Waits until one more call may be made."""
        if not self._unused:
            await self._rate.take()
            self._unused = True
        while anyio.current_time() < self._paused_until:  # noqa: ASYNC110  # it may grow
            await anyio.sleep_until(self._paused_until)
        self._unused = False

    def pause(self, seconds: float) -> None:
        """Lets no call pass for `seconds`, within bounds: the server said to wait."""
        until = anyio.current_time() + min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
        self._paused_until = max(self._paused_until, until)

    @property
    def per_second(self) -> float:
        """Calls a second at present; 0 for no limit."""
        return self._per_second

    @property
    def paused_for(self) -> float:
        """Seconds for which no call passes yet, as the server said to wait; 0 for none."""
        return max(0.0, self._paused_until - anyio.current_time())

    def back_off(self) -> None:
        """Halves the rate for a while: the server refused a call, or took very long.

        Within COOLDOWN of a change it does nothing, as answers to earlier calls show the same
        overload.
        """
        if self._ceiling and self._unchanged_for(COOLDOWN):
            self._change(max(self._per_second / 2, min(SLOWEST, self._ceiling)))

    def _unchanged_for(self, seconds: float) -> bool:
        return anyio.current_time() - self._changed_at >= seconds

    def _change(self, per_second: float) -> None:
        self._changed_at = anyio.current_time()
        if per_second != self._per_second:
            self._per_second = per_second
            self._rate = Rate(per_second)
            self._on_change(per_second)
