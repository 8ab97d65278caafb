"""A disk that is full: what has to end says so in time, what may wait waits, nothing is lost."""

import lzma
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from in_process import caught_up
from rig import Rig, retailer
from small_disk import fill, small_disk

from bridge import service
from bridge.errors import TemporaryError
from bridge.state.store import open_store

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parent / "recorded" / "format-3-catch-up.db.xz"
SINCE = retailer().now - timedelta(days=4)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catch-up gives up soon."""
    monkeypatch.setattr(service, "RETRY_DEADLINE_ONCE", 0.3)


def is_complete(rig: Rig) -> bool:
    return rig.verdict(SINCE).ok and not rig.complaints()


async def test_a_disk_that_is_hardly_larger_than_the_file(rig_of: Any, tmp_path: Path) -> None:
    """The -wal is brought into the file before it fills the disk."""
    with small_disk(tmp_path / "disk", 600) as disk:
        async with rig_of(
            world=retailer(contacts=60, days=3, seed=5),
            BRIDGE_SINCE=SINCE.isoformat(),
            BRIDGE_STATE=str(disk / "bridge.db"),
        ) as rig:
            assert "state.waiting" not in await caught_up(rig, {})
            assert is_complete(rig)


async def test_full_at_the_start(rig_of: Any, tmp_path: Path) -> None:
    """A first start, and a later one, end with 75 at once, and take up no room."""
    with small_disk(tmp_path / "disk", 600) as disk:
        async with rig_of(
            BRIDGE_SINCE=SINCE.isoformat(), BRIDGE_STATE=str(disk / "bridge.db")
        ) as rig:
            for _start in ("first", "second"):
                filler = fill(disk)
                with pytest.raises(TemporaryError, match=r"BRIDGE_STATE: can't write .*bridge\.db"):
                    await caught_up(rig, {})
                filler.unlink()
                assert not [*disk.glob("*.new")]
                await caught_up(rig, {})
            assert is_complete(rig)


@pytest.mark.usefixtures("hasty")
async def test_full_at_work(rig_of: Any, tmp_path: Path) -> None:
    """A catch-up gives up within its deadline; the next one goes on, and nothing is lost."""
    with small_disk(tmp_path / "disk", 600) as disk:
        async with rig_of(
            world=retailer(contacts=60, days=3, seed=5),
            BRIDGE_SINCE=SINCE.isoformat(),
            BRIDGE_STATE=str(disk / "bridge.db"),
        ) as rig:
            fillers: list[Path] = []
            rig.segment.faults.add("latency:seconds=0.3")

            async def fill_it() -> None:
                await rig.segment.wait_for(lambda segment: segment.accepted > 0, timeout=30)
                fillers.append(fill(disk))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fill_it)
                with anyio.fail_after(30), pytest.raises(TemporaryError, match="full"):
                    await caught_up(rig, {"BRIDGE_BATCH_EVENTS": "20"})
            rig.segment.faults.clear()
            fillers[0].unlink()
            await caught_up(rig, {})
            assert is_complete(rig)


async def test_a_service_waits_for_room(rig_of: Any, tmp_path: Path) -> None:
    """It says what it waits for, a stop ends it in time, and with room it goes on."""
    with small_disk(tmp_path / "disk", 600) as disk:
        async with rig_of(
            world=retailer(contacts=60, days=3, seed=5),
            BRIDGE_SINCE=SINCE.isoformat(),
            BRIDGE_STATE=str(disk / "bridge.db"),
            BRIDGE_BATCH_EVENTS="20",
            BRIDGE_DRAIN_TIMEOUT="3",
        ) as rig:
            rig.segment.faults.add("latency:seconds=0.3")
            process = await rig.start("run")
            await rig.segment.wait_for(lambda segment: segment.accepted > 0, timeout=30)
            filler = fill(disk)
            rig.segment.faults.clear()
            await rig.until(lambda: "state.waiting" in rig.log())
            sent = rig.segment.accepted
            filler.unlink()
            await rig.segment.wait_for(lambda segment: segment.accepted > sent + 100, timeout=30)
            process.terminate()
            assert await process.wait() == 0
            await caught_up(rig, {})
            assert is_complete(rig)


async def test_errands_on_a_full_disk(rig_of: Any, tmp_path: Path) -> None:
    """Nothing can be asked for, which may pass (75): no half request is left, none hangs."""
    with small_disk(tmp_path / "disk", 600) as disk:
        async with rig_of(
            world=retailer(contacts=10, days=1, seed=5), BRIDGE_STATE=str(disk / "bridge.db")
        ) as rig:
            await caught_up(rig, {})
            filler = fill(disk)
            errands = (
                ["erase", "a@example.com"],
                ["identify", "--all"],
                ["backfill", "--since=3d"],
            )
            for arguments in errands:
                done = await rig.run(*arguments)
                assert done.code == 75, (arguments, done.err)
                assert "BRIDGE_STATE: can't" in done.err
            assert not [*disk.glob("*.request-*")]
            filler.unlink()
            for arguments in errands:
                assert (await rig.run(*arguments)).code == 0


async def test_full_while_a_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """A file of an older format stays as it was, and is brought up to date once there is room."""
    older = lzma.decompress(RECORDED.read_bytes())
    with small_disk(tmp_path / "disk", 6 * len(older) // 1024 + 400) as disk:
        path = disk / "bridge.db"
        path.write_bytes(older)
        filler = fill(disk)
        with pytest.raises(TemporaryError):
            async with open_store(path):
                raise AssertionError("it can't have been brought up to date")
        # But for the two bytes that say that it is used with a -wal.
        assert path.read_bytes()[20:] == older[20:]
        filler.unlink()
        async with open_store(path):
            pass
