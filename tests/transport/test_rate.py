"""How fast."""

from typing import Any

import anyio
import pytest

from bridge.transport.priority import FAIRNESS_INTERVAL, Priority
from bridge.transport.rate import COOLDOWN, RECOVERY, SLOWEST, AdaptiveRate, Rate
from bridge.transport.retry import LONGEST_WAIT


@pytest.fixture
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return virtual_backend


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


# Adaptive rates


class Adapting:
    """An adaptive rate, with what it said and how many calls it lets pass."""

    def __init__(self, ceiling: float) -> None:
        self.said: list[float] = []
        self.rate = AdaptiveRate(ceiling, self.said.append)

    async def calls_within(self, seconds: float) -> int:
        """How many calls pass, one after the other."""
        number, end = 0, anyio.current_time() + seconds
        while anyio.current_time() < end:
            await self.rate.take()
            number += 1
        return number


@pytest.mark.anyio
async def test_a_rate_backs_off_and_recovers() -> None:
    """Strain halves it; what was under way at that time changes nothing; quiet doubles it."""
    adapting = Adapting(8)
    assert await adapting.calls_within(10) == pytest.approx(80, rel=0.1)
    for _ in range(5):
        adapting.rate.back_off()
    assert adapting.said == [4]
    assert await adapting.calls_within(10) == pytest.approx(40, rel=0.1)
    adapting.rate.back_off()
    assert adapting.said == [4, 2]
    assert await adapting.calls_within(RECOVERY - 1) == pytest.approx(58, rel=0.1)
    assert await adapting.calls_within(10) == pytest.approx(40, rel=0.2)
    await adapting.calls_within(2 * RECOVERY)
    assert adapting.said == [4, 2, 4, 8]
    assert await adapting.calls_within(10) == pytest.approx(80, rel=0.1)
    assert adapting.said == [4, 2, 4, 8]


@pytest.mark.anyio
async def test_a_rate_is_never_quite_zero() -> None:
    """However long the strain, somebody asks now and then whether it is over."""
    adapting = Adapting(1)
    for _ in range(40):
        adapting.rate.back_off()
        await anyio.sleep(COOLDOWN)
    assert min(adapting.said) == adapting.said[-1] == SLOWEST
    assert await adapting.calls_within(1 / SLOWEST + 1) >= 1


@pytest.mark.anyio
async def test_no_adaptive_rate() -> None:
    """0 a second means no limit, and none that strain could lower."""
    adapting = Adapting(0)
    adapting.rate.back_off()
    began = anyio.current_time()
    for _ in range(1000):
        await adapting.rate.take()
    assert anyio.current_time() - began < 5
    assert adapting.said == []


@pytest.mark.anyio
@pytest.mark.parametrize("scans", [4, 40])
async def test_urgent_calls_overtake_long_scans(scans: int) -> None:
    """A check in the middle of scans waits for a call or two, however many they are."""
    changes: list[float] = []
    rate = AdaptiveRate(5, changes.append)
    scanned: list[float] = []
    checked: list[float] = []

    async def scan() -> None:
        for _ in range(200 // scans):
            await rate.take(Priority.OLD)
            scanned.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for _ in range(scans):
            tasks.start_soon(scan)
        for _ in range(10):
            await anyio.sleep(2)
            began = anyio.current_time()
            await rate.take()
            checked.append(anyio.current_time() - began)
        assert max(checked) < 0.7
        assert len(scanned) > 80
    # 210 calls at 5 a second, but for the few that may come at once.
    assert scanned[-1] - scanned[0] == pytest.approx(42, abs=1)


@pytest.mark.anyio
async def test_who_gives_up_leaves_no_hole() -> None:
    """A call that is cancelled while it waits holds nobody up."""
    changes: list[float] = []
    rate = AdaptiveRate(1, changes.append)
    done: list[int] = []

    async def call(number: int) -> None:
        with anyio.move_on_after(2.5 if number % 2 else None):
            await rate.take(Priority(number % len(Priority)))
            done.append(number)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(call, number)
    assert {number for number in range(12) if number % 2 == 0} <= set(done)


@pytest.mark.anyio
async def test_who_gives_up_takes_no_call_along() -> None:
    """The budget is for those who still wait, however many others had waited before."""
    rate = AdaptiveRate(5, list[float]().append)
    made: list[float] = []

    async def hasty() -> None:
        while True:
            with anyio.move_on_after(0.15):
                await rate.take(Priority.OLD)
                await anyio.sleep_forever()

    async def patient() -> None:
        while True:
            await rate.take(Priority.BACKFILL)
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
    assert len(made) - alone >= 100 / FAIRNESS_INTERVAL - 2
    assert made[0] - began < 1


@pytest.mark.anyio
async def test_a_call_that_nobody_made_is_made_by_the_next() -> None:
    """Who gives up in the moment of being called passes its call on."""
    rate = AdaptiveRate(1, list[float]().append)
    await rate.take()
    scope = anyio.CancelScope()
    called: list[str] = []

    async def first() -> None:
        await rate.take(Priority.OLD)
        called.append("first")
        scope.cancel()

    async def second() -> None:
        with scope:
            await rate.take(Priority.OLD)
            called.append("second")

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(second)
    await rate.take()
    assert called == ["first"]
    assert anyio.current_time() - began == pytest.approx(2, abs=0.2)


@pytest.mark.anyio
@pytest.mark.parametrize("ceiling", [0, 5])
async def test_pause(ceiling: float) -> None:
    """Nobody calls before the server said so; afterwards they call at the rate, not all at once."""
    rate = AdaptiveRate(ceiling, list[float]().append)
    made: list[float] = []

    async def call() -> None:
        await rate.take()
        made.append(anyio.current_time())

    began = anyio.current_time()
    rate.pause(60)
    rate.pause(10)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)
    assert made[0] - began == pytest.approx(60, abs=0.3)
    assert made[-1] - made[0] == pytest.approx(19 / ceiling if ceiling else 0, abs=0.5)
    rate.pause(1e9)
    began = anyio.current_time()
    await rate.take()
    assert anyio.current_time() - began == pytest.approx(LONGEST_WAIT, abs=0.3)
