"""How fast and how patiently."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CredentialsError, RefusedError, TemporaryError
from bridge.pacing import (
    DEAF,
    EVERY_OTHER,
    LONGEST_WAIT,
    RECOVERY,
    SLOWEST,
    Pace,
    Rate,
    Turns,
    Urgency,
    persist,
    wait_before,
)


@pytest.fixture
def anyio_backend(leaping_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return leaping_backend


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


# Rates


@pytest.mark.anyio
@pytest.mark.parametrize(("per_second", "burst"), [(5, 1), (0.5, 1), (1000, 2500), (3, 10)])
async def test_rate(per_second: float, burst: float) -> None:
    """After a burst units pass at the rate, neither faster nor slower."""
    rate = Rate(per_second, burst)
    began = anyio.current_time()
    spent = max(per_second / 5, burst)
    await rate.take(spent)
    assert anyio.current_time() - began < 0.5
    for _ in range(10):
        await rate.take(min(burst, spent))
    passed = anyio.current_time() - began
    assert passed == pytest.approx(10 * min(burst, spent) / per_second, rel=0.05, abs=0.5)


@pytest.mark.anyio
async def test_no_rate() -> None:
    """0 a second means no limit."""
    rate = Rate(0, burst=1)
    began = anyio.current_time()
    for _ in range(1000):
        await rate.take(10_000)
    assert anyio.current_time() - began < 5


# A pace


class Paced:
    """A pace, with what it said and how many calls it lets pass."""

    def __init__(self, ceiling: float) -> None:
        self.said: list[float] = []
        self.pace = Pace(ceiling, self.said.append)

    async def calls_within(self, seconds: float) -> int:
        """How many calls pass, one after the other."""
        number, end = 0, anyio.current_time() + seconds
        while anyio.current_time() < end:
            await self.pace.take()
            number += 1
        return number


@pytest.mark.anyio
async def test_a_pace_gives_way_and_recovers() -> None:
    """Strain halves it; what was under way at that time changes nothing; quiet doubles it."""
    paced = Paced(8)
    assert await paced.calls_within(10) == pytest.approx(80, rel=0.1)
    for _ in range(5):
        paced.pace.strained()
    assert paced.said == [4]
    assert await paced.calls_within(10) == pytest.approx(40, rel=0.1)
    paced.pace.strained()
    assert paced.said == [4, 2]
    assert await paced.calls_within(RECOVERY - 1) == pytest.approx(58, rel=0.1)
    assert await paced.calls_within(10) == pytest.approx(40, rel=0.2)
    await paced.calls_within(2 * RECOVERY)
    assert paced.said == [4, 2, 4, 8]
    assert await paced.calls_within(10) == pytest.approx(80, rel=0.1)
    assert paced.said == [4, 2, 4, 8]


@pytest.mark.anyio
async def test_a_pace_is_never_quite_zero() -> None:
    """However long the strain, somebody asks now and then whether it is over."""
    paced = Paced(1)
    for _ in range(40):
        paced.pace.strained()
        await anyio.sleep(DEAF)
    assert min(paced.said) == paced.said[-1] == SLOWEST
    assert await paced.calls_within(1 / SLOWEST + 1) >= 1


@pytest.mark.anyio
async def test_no_pace() -> None:
    """0 a second means no limit, and none that strain could lower."""
    paced = Paced(0)
    paced.pace.strained()
    began = anyio.current_time()
    for _ in range(1000):
        await paced.pace.take()
    assert anyio.current_time() - began < 5
    assert paced.said == []


# Turns


@given(st.lists(st.sampled_from(Urgency), max_size=60), st.integers(0, 5))
def test_turns(urgencies: list[Urgency], taken: int) -> None:
    """The most urgent first, in order within a class; who waits longest every few turns."""
    turns: Turns[tuple[Urgency, int]] = Turns()
    for _ in range(taken):
        turns.put(Urgency.FRESH, (Urgency.FRESH, -1))
        turns.take()
    waiting = [(urgency, number) for number, urgency in enumerate(urgencies)]
    for item in waiting:
        turns.put(item[0], item)
    while waiting:
        taken += 1
        due = min(waiting, key=lambda one: one[1]) if taken % EVERY_OTHER == 0 else min(waiting)
        assert turns.take() == due
        waiting.remove(due)
    assert len(turns) == 0


def test_nobody_starves() -> None:
    """However many urgent ones keep coming, the least urgent has its turn."""
    turns: Turns[str] = Turns()
    turns.put(Urgency.HISTORY, "old")
    for _ in range(EVERY_OTHER - 1):
        turns.put(Urgency.FRESH, "new")
        assert turns.take() == "new"
    turns.put(Urgency.FRESH, "new")
    assert turns.take() == "old"


@pytest.mark.anyio
@pytest.mark.parametrize("scans", [4, 40])
async def test_urgent_calls_overtake_long_scans(scans: int) -> None:
    """A check in the middle of scans waits for a call or two, however many they are."""
    rates: list[float] = []
    pace = Pace(5, rates.append)
    scanned: list[float] = []
    checked: list[float] = []

    async def scan() -> None:
        for _ in range(200 // scans):
            await pace.take(Urgency.WHOLE)
            scanned.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for _ in range(scans):
            tasks.start_soon(scan)
        for _ in range(10):
            await anyio.sleep(2)
            began = anyio.current_time()
            await pace.take()
            checked.append(anyio.current_time() - began)
        assert max(checked) < 0.7
        assert len(scanned) > 80
    # 210 calls at 5 a second, but for the few that may come at once.
    assert scanned[-1] - scanned[0] == pytest.approx(42, abs=1)


@pytest.mark.anyio
async def test_who_gives_up_leaves_no_hole() -> None:
    """A call that is cancelled while it waits holds nobody up."""
    rates: list[float] = []
    pace = Pace(1, rates.append)
    done: list[int] = []

    async def call(number: int) -> None:
        with anyio.move_on_after(2.5 if number % 2 else None):
            await pace.take(Urgency(number % 3))
            done.append(number)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(call, number)
    assert {number for number in range(12) if number % 2 == 0} <= set(done)


@pytest.mark.anyio
async def test_who_gives_up_takes_no_call_along() -> None:
    """The budget is for those who still wait, however many others had waited before."""
    pace = Pace(5, list[float]().append)
    made: list[float] = []

    async def hasty() -> None:
        while True:
            with anyio.move_on_after(0.15):
                await pace.take(Urgency.WHOLE)
                await anyio.sleep_forever()

    async def patient() -> None:
        while True:
            await pace.take(Urgency.HISTORY)
            made.append(anyio.current_time())

    began = anyio.current_time()
    with anyio.move_on_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient)
            await anyio.sleep(10)
            alone = len(made)
            for _ in range(20):
                tasks.start_soon(hasty)
    assert alone == pytest.approx(50, abs=2)
    # At least every fourth turn, as hasty as the others may be.
    assert len(made) - alone >= 100 / EVERY_OTHER - 2
    assert made[0] - began < 1


@pytest.mark.anyio
async def test_a_call_that_nobody_made_is_made_by_the_next() -> None:
    """Who gives up in the moment of being called passes its call on."""
    pace = Pace(1, list[float]().append)
    await pace.take()
    scope = anyio.CancelScope()
    called: list[str] = []

    async def first() -> None:
        await pace.take(Urgency.WHOLE)
        called.append("first")
        scope.cancel()

    async def second() -> None:
        with scope:
            await pace.take(Urgency.WHOLE)
            called.append("second")

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(second)
    await pace.take()
    assert called == ["first"]
    assert anyio.current_time() - began == pytest.approx(2, abs=0.2)


@pytest.mark.anyio
@pytest.mark.parametrize("ceiling", [0, 5])
async def test_silence(ceiling: float) -> None:
    """Nobody calls before the server said so; afterwards they call at the pace, not all at once."""
    pace = Pace(ceiling, list[float]().append)
    made: list[float] = []

    async def call() -> None:
        await pace.take()
        made.append(anyio.current_time())

    began = anyio.current_time()
    pace.silent(60)
    pace.silent(10)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)
    assert made[0] - began == pytest.approx(60, abs=0.3)
    assert made[-1] - made[0] == pytest.approx(19 / ceiling if ceiling else 0, abs=0.5)
    pace.silent(1e9)
    began = anyio.current_time()
    await pace.take()
    assert anyio.current_time() - began == pytest.approx(LONGEST_WAIT, abs=0.3)


# Waits


@given(st.integers(1, 100_000))
def test_waits_grow_and_are_bounded(attempt: int) -> None:
    """What may pass is tried again after half a second at first, after half a minute at most."""
    seconds = wait_before(TemporaryError("busy"), attempt)
    assert min(0.5 * 2 ** min(attempt - 1, 20), 30) <= seconds <= 30


@given(st.integers(1, 100_000))
def test_refused_credentials_are_asked_about_slowly(attempt: int) -> None:
    """They pass only when a person acts: from two seconds up to five minutes."""
    seconds = wait_before(CredentialsError("NAME", "refused"), attempt)
    assert min(2 * 2 ** min(attempt - 1, 20), LONGEST_WAIT) <= seconds <= LONGEST_WAIT


@given(st.floats(0, 1e9), st.integers(1, 100))
def test_retry_after(seconds: float, attempt: int) -> None:
    """What the server asked for is kept to, up to five minutes, whichever attempt it is."""
    found = wait_before(TemporaryError("busy", retry_after=seconds), attempt)
    assert found == min(seconds, LONGEST_WAIT)


def test_any_error_has_a_wait() -> None:
    """A fault that isn't ours, and none at all, waits like one that may pass."""
    assert 0.5 <= wait_before(ZeroDivisionError(), 1) <= 1
    assert 0.5 <= wait_before(None, 1) <= 1


# Persistence


@pytest.mark.anyio
async def test_persists() -> None:
    """What may pass is tried until it passes; every wait is told beforehand."""
    errors = [TemporaryError("busy", 7.0), TemporaryError("busy"), CredentialsError("X", "no")]
    server = Server(*errors)
    began = anyio.current_time()
    assert await persist(server, patience=None, on_wait=server.note) == "answer"
    assert server.calls == 4
    assert [error for error, _ in server.waits] == errors
    assert server.waits[0][1] == 7.0
    total = sum(seconds for _, seconds in server.waits)
    assert anyio.current_time() - began == pytest.approx(total, abs=0.5)


@pytest.mark.anyio
async def test_persists_for_ever() -> None:
    """Without a limit a day's outage is sat out."""
    server = Server(*(TemporaryError("busy") for _ in range(3000)))
    began = anyio.current_time()
    assert await persist(server, patience=None, on_wait=server.note) == "answer"
    assert anyio.current_time() - began > 86400 * 0.9


@pytest.mark.anyio
async def test_patience() -> None:
    """It gives up rather than begin a wait that would pass its patience."""
    server = Server(TemporaryError("busy", 1.0), TemporaryError("busy still", 61.0))
    with pytest.raises(TemporaryError, match="still"):
        await persist(server, patience=60, on_wait=server.note)
    assert server.calls == 2
    assert [seconds for _, seconds in server.waits] == [1.0]


@pytest.mark.anyio
async def test_no_patience() -> None:
    """With no patience there is one call and no wait."""
    server = Server(TemporaryError("busy"))
    with pytest.raises(TemporaryError, match="busy"):
        await persist(server, patience=0, on_wait=server.note)
    assert (server.calls, server.waits) == (1, [])


@pytest.mark.anyio
@pytest.mark.parametrize("error", [RefusedError("no", 400), ZeroDivisionError("oops")])
async def test_what_does_not_pass(error: Exception) -> None:
    """Anything else comes through at once, as it is."""
    server = Server(error)
    with pytest.raises(type(error)) as caught:
        await persist(server, patience=None, on_wait=server.note)
    assert caught.value is error
    assert server.calls == 1


@pytest.mark.anyio
async def test_gives_up_on_some() -> None:
    """What the caller won't wait for comes out at once; other errors are waited for as ever."""
    server = Server(TemporaryError("busy"), CredentialsError("NAME", "refused"))
    with pytest.raises(CredentialsError, match="refused"):
        await persist(server, patience=None, on_wait=server.note, give_up_on=(CredentialsError,))
    assert (server.calls, len(server.waits)) == (2, 1)


@pytest.mark.anyio
async def test_another_way_to_wait() -> None:
    """A caller can wait in its own way, told how long."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    server = Server(TemporaryError("busy", 200.0), TemporaryError("busy", 100.0))
    began = anyio.current_time()
    await persist(server, patience=None, on_wait=server.note, sleep=sleep)
    assert slept == [200.0, 100.0]
    assert anyio.current_time() - began < 5


@pytest.mark.anyio
async def test_a_wait_can_be_cancelled() -> None:
    """A stop doesn't wait for a retry."""
    server = Server(TemporaryError("busy", 300))
    with anyio.move_on_after(10) as scope:
        await persist(server, patience=None, on_wait=server.note)
    assert scope.cancelled_caught
    assert server.calls == 1
