"""Interruptions: work is cut short at any instant, and begins anew afterwards."""

import anyio
import anyio.lowlevel
import pytest

from bridge.flow.interruptions import Interruptions

pytestmark = pytest.mark.anyio


async def test_work_to_its_end() -> None:
    """Without an interruption it is done once; what it raises goes through."""
    interruptions, done = Interruptions(), []

    async def work() -> None:
        done.append("once")
        await anyio.lowlevel.checkpoint()

    await interruptions.run(work)
    assert done == ["once"]

    async def fail() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        await interruptions.run(fail)
    async with interruptions.interrupted():
        done.append("nothing runs")


@pytest.mark.parametrize("turns_before", range(6))
async def test_nothing_of_it_goes_on_meanwhile(turns_before: int) -> None:
    """Whether it has begun or is about to: it is over before, and begins anew after."""
    interruptions, log = Interruptions(), list[str]()
    finish = anyio.Event()

    async def work() -> None:
        log.append("begun")
        try:
            await finish.wait()
            log.append("finished")
        finally:
            log.append("over")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(interruptions.run, work)
        for _ in range(turns_before):
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            async with interruptions.interrupted():
                log.append("interrupted")
                finish.set()
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                log.append("let go")
    begun_before = ["begun", "over"] if log[0] == "begun" else []
    assert log == [*begun_before, "interrupted", "let go", "begun", "finished", "over"]


async def test_a_stop_ends_it_for_good() -> None:
    """A cancellation from outside is no interruption."""
    interruptions, begun = Interruptions(), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await anyio.sleep_forever()

    with anyio.move_on_after(0.01):
        await interruptions.run(work)
    assert begun == 1
