"""What is set aside: told once, kept in the state file, taken back when it is read."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from bridge.errors import RefusedError, StateDamagedError, StateError, TemporaryError
from bridge.flow.ledger import Ledger
from bridge.flow.scheduling.schedule import MOST_INTERVALS_SET_ASIDE, set_aside_delay
from bridge.flow.set_aside import SetAside
from bridge.metrics import Metrics
from bridge.state.set_aside import Part
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

TALK, MAIL = Part(5, "conversation", "9"), Part(5, "message", "List/5/Message/7")
LINK = Part(5, "link", "List/5/Message/7/Link/1")
REFUSED = RefusedError("Listrak answered 400 to summary: no", 400)


class Parts:
    """Parts of a store that is opened again and again."""

    def __init__(self, store: Store) -> None:
        self.metrics = Metrics()
        self.ledger = Ledger(store, self.metrics)
        self.now = 1000.0
        self.set_aside = SetAside(self.ledger, self.metrics, lambda: self.now, interval=60)

    def gauge(self, kind: str) -> float | None:
        labels = {"list": "5", "what": kind}
        return self.metrics.registry.get_sample_value("bridge_set_aside", labels)

    async def again(self, *lists: int) -> "Parts":
        await self.ledger.flush()
        other = Parts(self.ledger.store)
        await other.set_aside.load(lists)
        return other


def told(logs: Any) -> list[str]:
    return [line["event"] for line in logs]


async def test_a_part_is_told_once(tmp_path: Path) -> None:
    """When it begins, when its reason changes, when it is over; and counted meanwhile."""
    async with open_store(tmp_path / "bridge.db") as store:
        parts = Parts(store)
        with capture_logs() as logs:
            delays = [parts.set_aside.failed(TALK, REFUSED) for _ in range(8)]
            parts.set_aside.failed(TALK, TemporaryError("a@example.com: no answer"))
        assert told(logs) == ["set_aside.begun", "set_aside.changed"]
        assert "example.com" not in logs[1]["reason"]
        assert delays[:3] == [60, 120, 240]
        assert delays[-1] == 60 * MOST_INTERVALS_SET_ASIDE
        assert TALK in parts.set_aside
        assert not parts.set_aside.is_due(TALK)
        assert parts.set_aside.is_due(MAIL)
        assert parts.gauge("conversation") == 1
        with capture_logs() as logs:
            parts.set_aside.recovered(TALK)
            parts.set_aside.recovered(TALK)
        assert told(logs) == ["set_aside.ended"]
        assert parts.gauge("conversation") is None
        assert (await parts.again(5)).set_aside.records() == []


async def test_a_mistake_of_ours(tmp_path: Path) -> None:
    """It is told in other words, by its type alone; its traceback stands in each run's log once."""

    def reading() -> Any:
        raise KeyError("a@example.com")

    async with open_store(tmp_path / "bridge.db") as store:
        parts = Parts(store)
        for again in (False, True):
            with capture_logs() as logs:
                for _ in range(3):
                    try:
                        reading()
                    except KeyError as error:
                        parts.set_aside.failed(TALK, error)
                parts.set_aside.failed(MAIL, REFUSED)
            events = ["set_aside.again"] if again else ["set_aside.begun", "set_aside.begun"]
            assert told(logs) == events
            assert logs[0]["log_level"] == "error"
            assert isinstance(logs[0]["exc_info"], KeyError)
            reason = parts.set_aside.reason(TALK)
            assert "KeyError" in reason
            assert "mistake of this program" in reason
            assert "example.com" not in reason
            assert "mistake" not in parts.set_aside.reason(MAIL)
            parts = await parts.again(5)


@pytest.mark.parametrize(
    "error",
    [
        StateDamagedError("damaged"),
        StateError("locked"),
        TemporaryError("Listrak is away"),
        ExceptionGroup("two", [ZeroDivisionError(), StateDamagedError("damaged")]),
        anyio.BrokenResourceError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_no_parts_own(tmp_path: Path, error: Exception) -> None:
    """What ends the run, or is of all parts, is raised on, and sets nothing aside."""

    async def reading() -> None:
        raise error

    async with open_store(tmp_path / "bridge.db") as store:
        parts = Parts(store)
        with pytest.raises(type(error)):
            await parts.set_aside.attempt(TALK, reading)
        assert not parts.set_aside.records()


async def test_it_outlives_a_restart(tmp_path: Path) -> None:
    """Since when, why, and until when it was complete; it is due at once then."""
    async with open_store(tmp_path / "bridge.db") as store:
        parts = Parts(store)
        parts.set_aside.failed(TALK, REFUSED, 77.0)
        parts.now = 2000.0
        parts.set_aside.failed(TALK, TemporaryError("silent"), 99.0)
        again = await parts.again(5)
        (record,) = again.set_aside.records()
        assert (record.since, record.reason) == (1000.0, "silent")
        assert again.set_aside.complete_until(TALK, 99.0) == 77.0
        assert again.set_aside.complete_until(MAIL, 99.0) == 99.0
        assert again.set_aside.is_due(TALK)
        assert again.set_aside.is_listing_due(5)
        again.now = 2500.0
        assert again.set_aside.seconds(TALK) == 1500
        assert (await parts.again(6)).set_aside.records() == [], "another list's"


async def test_what_is_gone(tmp_path: Path) -> None:
    """What Listrak has no longer, or what is no longer tracked, is no longer set aside."""
    async with open_store(tmp_path / "bridge.db") as store:
        parts = Parts(store)
        for part in (TALK, MAIL, LINK):
            parts.set_aside.failed(part, REFUSED)
        assert parts.set_aside.is_unread(5, MAIL.subject)
        assert not parts.set_aside.is_unread(5, "List/5/Message/70")
        parts.set_aside.keep_only(5, "conversation", {"8"})
        parts.set_aside.forget_message(5, "List/5/Message/70")
        assert [one.part for one in parts.set_aside.records()] == [MAIL, LINK]
        parts.set_aside.forget_message(5, MAIL.subject)
        assert (await parts.again(5)).set_aside.records() == []


async def test_what_listrak_does_not_have(tmp_path: Path) -> None:
    """It is nothing to be told of, but goes on from where it was should it come back."""
    async with open_store(tmp_path / "bridge.db") as store:
        parts, tests = Parts(store), Part(5, "split tests")
        with capture_logs() as logs:
            parts.set_aside.miss(tests, 77.0)
            parts.set_aside.miss(tests, 99.0)
        again = await parts.again(5)
        assert not logs
        assert again.set_aside.records() == []
        assert tests not in again.set_aside
        assert again.set_aside.complete_until(tests, 99.0) == 77.0
        again.set_aside.failed(tests, REFUSED, 99.0)
        assert again.set_aside.complete_until(tests, 99.0) == 77.0
        again.set_aside.recovered(tests)
        assert (await again.again(5)).set_aside.complete_until(tests, 99.0) == 99.0


def test_delays_grow_to_a_limit() -> None:
    """Each is twice the one before, half an hour at most where polls are a minute apart."""
    assert [set_aside_delay(number, 60) for number in (1, 2, 3)] == [60, 120, 240]
    assert set_aside_delay(1000, 60) == 1800
