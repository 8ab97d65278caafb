"""How fast and how patiently: rate limits and waits between tries, on libraries' arithmetic."""

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

import anyio
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential_jitter

from bridge.errors import CredentialsError, TemporaryError

Result = TypeVar("Result")
Item = TypeVar("Item")

RECOVERY = 30.0
"""Seconds without strain after which a pace doubles."""

DEAF = 5.0
"""Seconds after a change in which a pace isn't lowered again: answers to older calls come in."""

SLOWEST = 1 / 30
"""Calls a second that a pace never falls below."""

EVERY_OTHER = 4
"""Every so many turns are not for the most urgent, but for who waits longest."""

LONGEST_WAIT = 300.0
"""Seconds; a server's Retry-After is capped here (segment/FACTS: as the official SDKs do)."""

_quick = wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5)
_slow = wait_exponential_jitter(multiplier=2, max=LONGEST_WAIT, jitter=1)


class Rate:
    """At most so many units a second; 0 means no limit.

    Bursts are of at most `burst`, or of what may pass in a fifth of a second.
    """

    def __init__(self, per_second: float, burst: float = 1) -> None:
        capacity = max(per_second / 5, burst)
        self._limiter = AsyncLimiter(capacity, capacity / per_second) if per_second else None

    async def take(self, units: float = 1) -> None:
        """Waits until `units` (at most the burst) may pass."""
        if self._limiter is not None:
            await self._limiter.acquire(units)


class Urgency(IntEnum):
    """Which calls go first where not all can: those for what is fresh."""

    FRESH = 0
    WHOLE = 1
    HISTORY = 2


class Turns(Generic[Item]):
    """Who is next: the most urgent, in the order they came, and now and then who waits longest."""

    def __init__(self) -> None:
        self._lines: dict[Urgency, OrderedDict[int, Item]] = {
            urgency: OrderedDict() for urgency in Urgency
        }
        self._numbers = count()
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, urgency: Urgency, item: Item) -> int:
        """One more who waits; returns its number."""
        number = next(self._numbers)
        self._lines[urgency][number] = item
        return number

    def leave(self, number: int) -> None:
        """One who waits no longer, if it still does."""
        for line in self._lines.values():
            line.pop(number, None)

    def first(self) -> Item | None:
        """Who is the first of the most urgent, None if nobody waits."""
        return next((item for line in self._lines.values() for item in line.values()), None)

    def take(self) -> Item:
        """Who is next. Raises LookupError if nobody waits."""
        self._taken += 1
        lines = [line for line in self._lines.values() if line]
        line = min(lines, key=_first) if lines and self._taken % EVERY_OTHER == 0 else lines[0]
        return line.popitem(last=False)[1]


def _first(line: OrderedDict[int, Item]) -> int:
    """The number of who is first in a line."""
    return next(iter(line))


class _Call:
    """One who waits until a call may be made."""

    def __init__(self) -> None:
        self.allowed = False
        self.woken = anyio.Event()


class Pace:
    """A rate that gives way to a strained server, and returns to its ceiling step by step.

    `ceiling` is in calls a second; 0 means no limit, and no giving way either. `on_change` is told
    of every new rate.
    """

    def __init__(self, ceiling: float, on_change: Callable[[float], None]) -> None:
        self._ceiling = self._per_second = ceiling
        self._on_change = on_change
        self._rate = Rate(ceiling)
        self._changed_at = -math.inf
        self._silent_until = -math.inf
        self._turns: Turns[_Call] = Turns()
        # Who minds the rate: everybody else just waits to be called.
        self._keeper: _Call | None = None
        # Whether a call that may be made is still to be made by somebody.
        self._open = False

    async def take(self, urgency: Urgency = Urgency.FRESH) -> None:
        """Waits until a call may be made."""
        if self._per_second < self._ceiling and self._unchanged_for(RECOVERY):
            self._change(min(self._per_second * 2, self._ceiling))
        mine = _Call()
        number = self._turns.put(urgency, mine)
        try:
            if self._keeper is None:
                self._keeper = mine
            else:
                await mine.woken.wait()
            while not mine.allowed:
                await self._next()
                called = self._turns.take()
                called.allowed = True
                called.woken.set()
        except BaseException:
            # Whoever gives up leaves the call that it was allowed to others.
            self._open = self._open or mine.allowed
            raise
        finally:
            self._turns.leave(number)
            if self._keeper is mine:
                self._keeper = self._turns.first()
                if self._keeper is not None:
                    self._keeper.woken.set()

    async def _next(self) -> None:
        """Waits until one more call may be made, by whoever is next by then."""
        if not self._open:
            await self._rate.take()
            self._open = True
        while anyio.current_time() < self._silent_until:  # noqa: ASYNC110  # it may grow
            await anyio.sleep_until(self._silent_until)
        self._open = False

    def silent(self, seconds: float) -> None:
        """The server doesn't want to be called for so long, or for `LONGEST_WAIT`."""
        until = anyio.current_time() + min(seconds, LONGEST_WAIT)
        self._silent_until = max(self._silent_until, until)

    def strained(self) -> None:
        """The server asked for less, or took very long: calls are made half as often for a while.

        What else was under way at that time says the same, and changes nothing.
        """
        if self._ceiling and self._unchanged_for(DEAF):
            self._change(max(self._per_second / 2, min(SLOWEST, self._ceiling)))

    def _unchanged_for(self, seconds: float) -> bool:
        return anyio.current_time() - self._changed_at >= seconds

    def _change(self, per_second: float) -> None:
        self._changed_at = anyio.current_time()
        if per_second != self._per_second:
            self._per_second = per_second
            self._rate = Rate(per_second)
            self._on_change(per_second)


async def unless(stop: anyio.Event, work: Callable[[], Awaitable[Result]]) -> Result | None:
    """What `work` comes to; it is cancelled, and comes to None, when `stop` is set before."""
    found: Result | None = None
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await stop.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        found = await work()
        tasks.cancel_scope.cancel()
    return found


def wait_before(error: BaseException | None, attempt: int) -> float:
    """Seconds to wait after the `attempt`th failure: what the server asked for, else growing.

    Refused credentials are asked about slowly: they pass only when a person acts.
    """
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_WAIT)
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    return (_slow if isinstance(error, CredentialsError) else _quick)(state)


async def persist(
    call: Callable[[], Awaitable[Result]],
    *,
    patience: float | None,
    on_wait: Callable[[TemporaryError, float], None],
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    give_up_on: tuple[type[Exception], ...] = (),
) -> Result:
    """Calls until it stops raising TemporaryError, or until the next wait would pass `patience`.

    `patience` is in seconds, None for ever; `on_wait(error, seconds)` is told of every wait before
    `sleep` waits. What is of a kind to `give_up_on` is raised at once.
    """
    began = time.monotonic()
    try:
        return await call()
    except TemporaryError as error:
        # Only from here on is there something to arrange: nearly every call ends above.
        failed = [error]

    async def attempt() -> Result:
        if failed:
            raise failed.pop()
        return await call()

    def stop(state: RetryCallState) -> bool:
        elapsed = time.monotonic() - began
        return patience is not None and elapsed + state.upcoming_sleep >= patience

    def wait(state: RetryCallState) -> float:
        return wait_before(
            state.outcome.exception() if state.outcome else None, state.attempt_number
        )

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TemporaryError):
            on_wait(error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, TemporaryError) and not isinstance(error, give_up_on)
        ),
        wait=wait,
        stop=stop,
        sleep=sleep,
        before_sleep=tell,
        reraise=True,
    )
    return await retrying(attempt)
