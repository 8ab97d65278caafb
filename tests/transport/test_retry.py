"""How often, and how long, what may pass is tried again."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CredentialsError, RefusedError, TemporaryError
from bridge.transport.retry import LONGEST_WAIT, backoff, retry


@pytest.fixture
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return virtual_backend


class Server:
    """Raises what is left of `errors`, one a call, and answers afterwards."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.waits: list[tuple[TemporaryError, float]] = []

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def note(self, error: TemporaryError, seconds: float) -> None:
        self.waits.append((error, seconds))


# Backoff


@given(st.integers(1, 100_000))
def test_waits_grow_and_are_bounded(attempt: int) -> None:
    """What may pass is tried again after half a second at first, after half a minute at most."""
    seconds = backoff(TemporaryError("busy"), attempt)
    assert min(0.5 * 2 ** min(attempt - 1, 20), 30) <= seconds <= 30


@given(st.integers(1, 100_000))
def test_refused_credentials_are_asked_about_slowly(attempt: int) -> None:
    """They pass only when a person acts: from two seconds up to five minutes."""
    seconds = backoff(CredentialsError("NAME", "refused"), attempt)
    assert min(2 * 2 ** min(attempt - 1, 20), LONGEST_WAIT) <= seconds <= LONGEST_WAIT


@given(st.floats(0, 1e9), st.integers(1, 100))
def test_retry_after(seconds: float, attempt: int) -> None:
    """What the server asked for is kept to, up to five minutes, whichever attempt it is."""
    found = backoff(TemporaryError("busy", retry_after=seconds), attempt)
    assert min(max(seconds, 1), LONGEST_WAIT) <= found <= LONGEST_WAIT
    assert found <= max(seconds, 1) * 1.1


def test_no_storm() -> None:
    """Waits that a server asks for are a second at least, and not all the same."""
    waits = {backoff(TemporaryError("busy", retry_after=0), 1) for _ in range(50)}
    assert len(waits) > 1
    assert min(waits) >= 1


def test_any_error_has_a_wait() -> None:
    """A fault that isn't ours, and none at all, waits like one that may pass."""
    assert 0.5 <= backoff(ZeroDivisionError(), 1) <= 1
    assert 0.5 <= backoff(None, 1) <= 1


# Retries


@pytest.mark.anyio
async def test_retries() -> None:
    """What may pass is tried until it passes; every wait is told beforehand."""
    errors = [TemporaryError("busy", 7.0), TemporaryError("busy"), CredentialsError("X", "no")]
    server = Server(*errors)
    began = anyio.current_time()
    assert await retry(server, deadline=None, on_wait=server.note) == "answer"
    assert server.calls == 4
    assert [error for error, _ in server.waits] == errors
    assert 7 <= server.waits[0][1] <= 7.7
    total = sum(seconds for _, seconds in server.waits)
    assert anyio.current_time() - began == pytest.approx(total, abs=0.5)


@pytest.mark.anyio
async def test_retries_for_ever() -> None:
    """Without a limit a day's outage is sat out."""
    server = Server(*(TemporaryError("busy") for _ in range(3000)))
    began = anyio.current_time()
    assert await retry(server, deadline=None, on_wait=server.note) == "answer"
    assert anyio.current_time() - began > 86400 * 0.9


@pytest.mark.anyio
async def test_deadline() -> None:
    """It gives up rather than begin a wait that would pass the deadline."""
    server = Server(TemporaryError("busy", 1.0), TemporaryError("busy still", 61.0))
    with pytest.raises(TemporaryError, match="still"):
        await retry(server, deadline=60, on_wait=server.note)
    assert server.calls == 2
    assert len(server.waits) == 1


@pytest.mark.anyio
async def test_a_slow_server() -> None:
    """How long it took until the first failure came doesn't count."""
    calls = 0

    async def slowly() -> str:
        nonlocal calls
        calls += 1
        await anyio.sleep(25)
        if calls == 1:
            raise TemporaryError("busy")
        return "answer"

    assert await retry(slowly, deadline=15, on_wait=lambda _error, _seconds: None) == "answer"


@pytest.mark.anyio
async def test_no_deadline() -> None:
    """With a deadline of 0 there is one call and no wait."""
    server = Server(TemporaryError("busy"))
    with pytest.raises(TemporaryError, match="busy"):
        await retry(server, deadline=0, on_wait=server.note)
    assert (server.calls, server.waits) == (1, [])


@pytest.mark.anyio
@pytest.mark.parametrize("error", [RefusedError("no", 400), ZeroDivisionError("oops")])
async def test_what_does_not_pass(error: Exception) -> None:
    """Anything else comes through at once, as it is."""
    server = Server(error)
    with pytest.raises(type(error)) as caught:
        await retry(server, deadline=None, on_wait=server.note)
    assert caught.value is error
    assert server.calls == 1


@pytest.mark.anyio
async def test_gives_up_on_some() -> None:
    """What the caller won't wait for comes out at once; other errors are waited for as ever."""
    server = Server(TemporaryError("busy"), CredentialsError("NAME", "refused"))
    with pytest.raises(CredentialsError, match="refused"):
        await retry(server, deadline=None, on_wait=server.note, give_up_on=(CredentialsError,))
    assert (server.calls, len(server.waits)) == (2, 1)


@pytest.mark.anyio
async def test_another_way_to_wait() -> None:
    """A caller can wait in its own way, told how long."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    server = Server(TemporaryError("busy", 200.0), TemporaryError("busy", 100.0))
    began = anyio.current_time()
    await retry(server, deadline=None, on_wait=server.note, sleep=sleep)
    assert slept == [seconds for _, seconds in server.waits]
    assert 200 <= slept[0] <= 220 > 110 >= slept[1] >= 100
    assert anyio.current_time() - began < 5


@pytest.mark.anyio
async def test_a_wait_can_be_cancelled() -> None:
    """A stop doesn't wait for a retry."""
    server = Server(TemporaryError("busy", 300))
    with anyio.move_on_after(10) as scope:
        await retry(server, deadline=None, on_wait=server.note)
    assert scope.cancelled_caught
    assert server.calls == 1
