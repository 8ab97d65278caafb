"""What breaks is built anew, after a pause; what a restart doesn't mend ends the program."""

from itertools import count, pairwise
from typing import Any

import anyio
import pytest

from bridge.errors import (
    BridgeError,
    ConfigurationError,
    CredentialsError,
    StateDamagedError,
    StateError,
    TemporaryError,
    cause,
)
from bridge.metrics import Metrics
from bridge.supervision.supervisor import CALM_AFTER, MOST_IN_VAIN, Supervisor

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return virtual_backend


class Pipeline:
    """Breaks with what is left of `faults`, each `after` seconds, and ends well afterwards."""

    def __init__(self, *faults: BaseException, after: float = 0) -> None:
        self.faults = list(faults)
        self.after = after
        self.story: list[str] = []
        self.starts: list[float] = []

    async def run(self) -> None:
        self.story.append("run")
        self.starts.append(anyio.current_time())
        await anyio.sleep(self.after)
        if self.faults:
            raise self.faults.pop(0)

    async def flush(self) -> None:
        self.story.append("flush")


async def supervise(pipeline: Pipeline, metrics: Metrics, *, in_vain: bool = False) -> Supervisor:
    """Runs a pipeline that accomplishes something each time, or nothing."""
    supervisor = Supervisor(metrics, (lambda: 7.0) if in_vain else count(1.0).__next__)
    await supervisor.run(pipeline.run, pipeline.flush)
    return supervisor


def restarts(metrics: Metrics) -> float:
    found = metrics.registry.get_sample_value("bridge_pipeline_restarts_total")
    assert found is not None
    return found


async def test_an_end() -> None:
    """A pipeline that ends by itself is not started again."""
    pipeline = Pipeline()
    await supervise(pipeline, Metrics())
    assert pipeline.story == ["run"]


@pytest.mark.parametrize(
    "fault",
    [
        TemporaryError("busy"),
        CredentialsError("SEGMENT_WRITE_KEY", "refused"),
        BridgeError("something"),
        ZeroDivisionError("a bug"),
        ExceptionGroup("actors", [TemporaryError("busy"), ZeroDivisionError()]),
    ],
)
async def test_a_fault(fault: Exception) -> None:
    """Whatever broke, what was finished is saved first, and then it starts again."""
    pipeline, metrics = Pipeline(fault, fault), Metrics()
    await supervise(pipeline, metrics)
    assert pipeline.story == ["run", "flush", "run", "flush", "run"]
    assert restarts(metrics) == 2


@pytest.mark.parametrize(
    "fault",
    [
        ConfigurationError("LISTRAK_LISTS", "gone"),
        StateError("not writable"),
        StateDamagedError("damaged"),
    ],
)
async def test_what_a_restart_does_not_mend(fault: Exception) -> None:
    """Configuration and the state file need a person: the error comes out, alone."""
    nested = ExceptionGroup("a", [TemporaryError("x"), ExceptionGroup("b", [fault, ValueError()])])
    for raised in (fault, nested):
        pipeline, metrics = Pipeline(raised), Metrics()
        with pytest.raises(type(fault)) as caught:
            await supervise(pipeline, metrics)
        assert caught.value is fault
        assert pipeline.story == ["run"]
        assert restarts(metrics) == 0


async def test_pauses_grow() -> None:
    """One fault after the other: the pauses between the starts grow, up to half a minute."""
    pipeline = Pipeline(*(TemporaryError("busy") for _ in range(10)))
    await supervise(pipeline, Metrics())
    pauses = [b - a for a, b in pairwise(pipeline.starts)]
    assert pauses[0] == pytest.approx(0.75, abs=0.5)
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert pauses[-1] == pytest.approx(30, abs=0.5)


async def test_calm() -> None:
    """After a long time without a fault the next one counts as the first."""
    pipeline = Pipeline(*(TemporaryError("busy") for _ in range(10)), after=CALM_AFTER + 10)
    await supervise(pipeline, Metrics())
    pauses = [b - a - pipeline.after for a, b in pairwise(pipeline.starts)]
    assert max(pauses) < 2


async def test_a_stop_during_a_pause() -> None:
    """A cancellation ends it at once, and is no fault."""
    pipeline, metrics = Pipeline(TemporaryError("busy", retry_after=300)), Metrics()
    with anyio.move_on_after(10) as scope:
        await supervise(pipeline, metrics)
    assert scope.cancelled_caught
    assert pipeline.story == ["run", "flush"]
    assert restarts(metrics) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(ZeroDivisionError("a bug"), TemporaryError), (BridgeError("ours"), BridgeError)],
)
async def test_restarts_in_vain(fault: Exception, kind: type[Exception]) -> None:
    """A fault that comes back with nothing accomplished in between ends the run, with its code."""
    pipeline, metrics = Pipeline(*[fault] * 100), Metrics()
    with pytest.raises(kind, match=str(fault)):
        await supervise(pipeline, metrics, in_vain=True)
    assert pipeline.story == ["run", "flush"] * MOST_IN_VAIN
    assert restarts(metrics) == MOST_IN_VAIN - 1


async def test_rare_faults_are_never_in_vain() -> None:
    """Where nothing happens for long, there may be nothing to accomplish."""
    pipeline = Pipeline(*[ZeroDivisionError()] * 20, after=CALM_AFTER + 10)
    await supervise(pipeline, Metrics(), in_vain=True)
    assert not pipeline.faults


async def test_faults_in_a_row_are_told() -> None:
    """The second fault in a row is a problem that is named, until a time of calm."""
    pipeline = Pipeline(*[ZeroDivisionError("a bug")] * 2, after=1)
    supervisor = await supervise(pipeline, Metrics())
    assert supervisor.problem() == "restarted after 2 faults in a row: a bug"
    await anyio.sleep(CALM_AFTER)
    assert supervisor.problem() is None
    pipeline = Pipeline(ZeroDivisionError("a bug"))
    assert (await supervise(pipeline, Metrics())).problem() is None


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ([ValueError("bug"), TemporaryError("busy")], 1),
        ([TemporaryError("busy"), StateError("locked")], 1),
        ([ConfigurationError("X", "y"), StateError("locked")], 0),
        ([ValueError("bug"), KeyError("bug")], 0),
    ],
)
def test_cause(errors: list[Exception], chosen: int) -> None:
    """Of several errors the one that ends the program counts, else ours, else the first."""
    group = ExceptionGroup("outer", [ExceptionGroup("inner", errors)])
    assert cause(group) is errors[chosen]
    assert cause(errors[0]) is errors[0]
