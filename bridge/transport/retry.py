"""Retries of temporary failures, after growing waits, until a deadline."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential_jitter, wait_random

from bridge import clock
from bridge.errors import CredentialsError, TemporaryError

Result = TypeVar("Result")

LONGEST_WAIT: Final = 300.0
"""Seconds of the longest wait; a longer Retry-After is cut (bridge/segment/FACTS.md: Answers)."""

SHORTEST_WAIT: Final = 1.0
"""Seconds of the shortest wait that a server may ask for: 0 would be a storm of requests."""

# The jitter of these is the only randomness of the bridge.
_quick = wait_exponential_jitter(multiplier=0.5, max=30, jitter=0.5)
_more = wait_random(0, 0.1)
_slow = wait_exponential_jitter(multiplier=2, max=LONGEST_WAIT, jitter=1)


def backoff(error: BaseException | None, attempt: int) -> float:
    """Seconds to wait after a failure: what the server said and up to a tenth more, else growing.

    error: the failure. Refused credentials wait longer, as only a person can mend them.
    attempt: number of failures in a row, this one included.
    """
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        return min(max(error.retry_after, SHORTEST_WAIT) * (1 + _more(_state(1))), LONGEST_WAIT)
    return (_slow if isinstance(error, CredentialsError) else _quick)(_state(attempt))


def _state(attempt: int) -> RetryCallState:
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    return state


async def retry(
    call: Callable[[], Awaitable[Result]],
    *,
    deadline: float | Callable[[], float | None] | None,
    on_wait: Callable[[TemporaryError, float], None],
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    give_up_on: tuple[type[Exception], ...] = (),
) -> Result:
    """Calls until no TemporaryError is raised, or until the next wait would pass the deadline.

    call: makes one attempt.
    deadline: seconds from the first failure, None for no end; a function is asked each time.
    on_wait: called before each wait with the error and its seconds.
    sleep: waits for so many seconds.
    give_up_on: kinds of errors that are raised at once.
    """
    try:
        return await call()
    except TemporaryError as error:
        # Nearly every call has succeeded above: the machinery is set up only after a failure.
        failed = [error]
    began = clock.monotonic()

    async def attempt() -> Result:
        if failed:
            raise failed.pop()
        return await call()

    def is_over(state: RetryCallState) -> bool:
        elapsed = clock.monotonic() - began
        seconds = deadline() if callable(deadline) else deadline
        return seconds is not None and elapsed + state.upcoming_sleep >= seconds

    def report(state: RetryCallState) -> None:
        error = _error_of(state)
        if isinstance(error, TemporaryError):
            on_wait(error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, TemporaryError) and not isinstance(error, give_up_on)
        ),
        wait=lambda state: backoff(_error_of(state), state.attempt_number),
        stop=is_over,
        sleep=sleep,
        before_sleep=report,
        reraise=True,
    )
    return await retrying(attempt)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
