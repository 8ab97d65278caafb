"""Nothing looks healthy that isn't: faults that come back, work that stands still, disks that hang.

In this process, as deadlines are made short; each fault is put into one place of the real code.
"""

import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from in_process import caught_up, running
from rig import Rig, retailer

from bridge import service
from bridge.errors import TemporaryError
from bridge.flow.acks.checkpoint import PageCheckpoint
from bridge.flow.mapper import Mapper
from bridge.flow.readers.contacts import ContactReader
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.outbox import OutboxReader
from bridge.state.database import Database
from bridge.supervision import lifecycle, progress

pytestmark = pytest.mark.anyio

PATIENCE = 0.5
SINCE = retailer().now - timedelta(days=4)


@pytest.fixture
async def rig(rig_of: Any) -> AsyncIterator[Rig]:
    async with rig_of(
        world=retailer(contacts=20, seed=5),
        BRIDGE_SINCE=SINCE.isoformat(),
        BRIDGE_POLL_INTERVAL="0.2",
    ) as made:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standstill, and a slow disk, are told soon."""
    monkeypatch.setattr(progress, "SLOW_AFTER", 0.2)
    monkeypatch.setattr(service, "STANDSTILL_AFTER", PATIENCE)
    monkeypatch.setattr(lifecycle, "LONGEST_INTERVAL", 0.1)


@pytest.fixture
def watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """What the service manager was told since the last time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def heard() -> list[str]:
            told: list[str] = []
            with suppress(BlockingIOError):
                while True:
                    told.append(channel.recv(4096).decode())
            return told

        yield heard


class Bug:
    """Replaces a method by one that fails where `hits` says so."""

    def __init__(self, hits: Callable[..., bool]) -> None:
        self.hits = hits
        self.count = 0

    def put(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> "Bug":
        """Puts it there."""
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def method(this: Any, *values: Any, **more: Any) -> Any:
            if self.hits(*values):
                self.count += 1
                raise ZeroDivisionError("a bug")
            return await original(this, *values, **more)

        monkeypatch.setattr(owner, name, method)
        return self


def lines(log: StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


async def test_a_fault_of_one_message(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catch-up does all the rest, and ends with 75; the next one brings what was missing."""
    bug = Bug(lambda message, *_: message.id == 1).put(monkeypatch, MessageReader, "plan")
    with pytest.raises(TemporaryError, match=r"nothing is lost.*unexpected error \(ZeroDiv"):
        await caught_up(rig, {})
    assert bug.count == 1
    sent = rig.segment.accepted
    assert sent > 100
    monkeypatch.undo()
    await caught_up(rig, {})
    assert rig.segment.accepted > sent
    assert rig.verdict(SINCE).ok


async def test_a_fault_of_one_list(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service goes on with the others, says so, and tries it again; then all is well."""
    bug = Bug(lambda source, *_: source.list_id == 12345).put(monkeypatch, ContactReader, "read")
    async with running(rig) as (health, log):
        await rig.until(lambda: bug.count > 1)
        assert not health.report()["ready"]
        assert health.problems()["reading"].endswith("contacts of list 12345")
        await rig.until(lambda: rig.segment.accepted > 100)
        (told,) = lines(log, "set_aside.begun")
        assert "a bug" in told["exception"]
        assert "a bug" not in told["reason"]
        assert not lines(log, "pipeline.restarting")
        bug.hits = lambda *_: False
        await rig.until(lambda: health.report()["ready"], within=10)
        assert lines(log, "set_aside.ended")


async def test_a_page_that_cant_be_mapped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message is set aside, all others arrive; nothing of it is lost once it can be mapped."""

    def of_first(page: Any, *_: Any) -> bool:
        return bool(page.poll.message.id == 1)

    bug = Bug(of_first).put(monkeypatch, Mapper, "_poll_page")
    async with running(rig) as (health, log):
        await rig.until(lambda: bug.count > 1, within=20)
        await rig.until(lambda: rig.segment.accepted > 100)
        assert not lines(log, "pipeline.restarting")
        (told,) = lines(log, "set_aside.begun")
        assert "(ZeroDivisionError), most likely a mistake" in told["reason"]
        assert "a bug" in told["exception"]
        assert health.report()["ready"], "of one email"
    with pytest.raises(TemporaryError, match=r"nothing is lost: message .*unexpected"):
        await caught_up(rig, {})
    sent = rig.segment.accepted
    monkeypatch.undo()
    await caught_up(rig, {})
    assert rig.segment.accepted > sent
    assert rig.verdict(SINCE).ok
    assert rig.adds_up()


@pytest.mark.parametrize("name", ["_contact_page", "_unsubscribe_page"])
async def test_contacts_that_cant_be_mapped(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Those of one list are set aside, at each of its pages; then all is as it is to be."""
    left = iter(range(3))
    bug = Bug(lambda *_: next(left, None) is not None).put(monkeypatch, Mapper, name)
    with suppress(TemporaryError):
        await caught_up(rig, {})
    for _ in range(3):
        with suppress(TemporaryError):
            await caught_up(rig, {})
    assert bug.count == 3
    assert rig.verdict(SINCE).ok
    assert rig.adds_up()


@pytest.mark.parametrize(
    ("owner", "name", "times", "end"),
    [
        (OutboxReader, "replay", 5, (TemporaryError, "a fault has come back.*a bug")),
        # What can't be saved is kept by nobody else: it ends at once.
        (PageCheckpoint, "save", 1, (ZeroDivisionError, "a bug")),
    ],
    ids=["outbox", "ledger"],
)
async def test_a_fault_that_comes_back(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    times: int,
    end: tuple[type[Exception], str],
) -> None:
    """Where a restart doesn't mend it, the service ends with 75, and says what it was."""
    bug = Bug(lambda *_: True).put(monkeypatch, owner, name)
    monkeypatch.setattr("bridge.supervision.supervisor.backoff", lambda *_: 0.0)
    with pytest.raises(end[0], match=end[1]):
        async with running(rig):
            await anyio.sleep(30)
    assert bug.count >= times
    monkeypatch.undo()
    await caught_up(rig, {})
    assert rig.verdict(SINCE).ok


@asynccontextmanager
async def hung_disk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[threading.Event]:
    """A disk that doesn't answer from now on, until it is left."""
    there, back = threading.Event(), threading.Event()
    original = Database._turn_mark

    async def hang(this: Database) -> Any:
        there.set()
        connection: Any = this._db
        await connection._execute(back.wait)
        return await original(this)

    monkeypatch.setattr(Database, "_turn_mark", hang)
    try:
        yield there
    finally:
        monkeypatch.setattr(Database, "_turn_mark", original)
        back.set()


@pytest.mark.usefixtures("hasty")
async def test_a_disk_that_hangs(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, watchdog: Callable[[], list[str]]
) -> None:
    """Logged and not ready while it lasts; if it lasts, the watchdog isn't fed; then it goes on."""
    async with running(rig) as (health, log):
        await rig.until(lambda: rig.segment.accepted > 0)
        await rig.until(lambda: "WATCHDOG=1" in "".join(watchdog()))
        async with hung_disk(monkeypatch):
            await rig.until(lambda: "standstill" in health.report()["problems"])
            report = health.report()
            assert "state" in report["problems"]
            assert not report["ready"]
            assert "wait for the state file" in health.sentence()
            assert lines(log, "state.slow")
            assert lines(log, "progress.standstill")
            watchdog()
            told: list[str] = []
            while len(told) < 3:
                told += watchdog()
                await anyio.sleep(0.05)
            assert "WATCHDOG=1" not in "".join(told)
        await rig.until(lambda: health.report()["ready"])
        await rig.until(lambda: "WATCHDOG=1" in "".join(watchdog()))


@pytest.mark.usefixtures("hasty")
async def test_an_outage_of_segment(rig: Rig, watchdog: Callable[[], list[str]]) -> None:
    """Not ready, as nothing arrives; but no standstill: a restart wouldn't mend it."""
    rig.segment.faults.add("status:code=503")
    async with running(rig) as (health, log):
        await rig.until(lambda: health.report()["waiting_for"] == ["segment"])
        assert not health.report()["ready"]
        watchdog()
        await anyio.sleep(4 * PATIENCE)
        assert "WATCHDOG=1" in "".join(watchdog())
        assert not lines(log, "progress.standstill")
