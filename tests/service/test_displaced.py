"""A state file that is taken away from under a running service: it ends soon, and says why."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from rig import Rig
from test_change import LIST, PEOPLE, account

pytestmark = pytest.mark.anyio


def all_deleted(state: Path) -> None:
    for one in state.parent.glob(f"{state.name}*"):
        one.unlink()


def folder_moved(state: Path) -> None:
    state.parent.rename(state.parent.with_name("elsewhere"))


def overwritten(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:8192])


def state_in_a_folder(rig: Rig) -> Path:
    """A state file in a folder of its own, which may be moved."""
    folder = rig.folder / "state"
    folder.mkdir()
    rig.environment["BRIDGE_STATE"] = str(folder / "bridge.db")
    return folder / "bridge.db"


HARM = {
    "deleted": (all_deleted, "was deleted or moved away"),
    "its folder moved": (folder_moved, "was deleted or moved away"),
    "overwritten": (overwritten, "was overwritten"),
}


@pytest.mark.parametrize("harm", HARM)
async def test_a_running_service(rig_of: Any, harm: str) -> None:
    """It ends with 73 by itself; what comes then isn't sent, and the next start is no first one."""
    done: Callable[[Path], None]
    done, words = HARM[harm]
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.2") as rig:
        state = state_in_a_folder(rig)
        process = await rig.start("run")
        await rig.segment.wait_for(len(PEOPLE), timeout=20)
        await rig.until(lambda: "bridge.ready" in rig.log())
        done(state)
        with anyio.fail_after(30):
            code = await process.wait()
        assert code == 73, rig.log()
        assert words in rig.log()
        assert "Traceback" not in rig.log()
        rig.world.subscribe(LIST, "later@example.com")
        number = rig.segment.requests[200]
        again = await rig.run("run", "--once")
        assert again.code == (73 if harm == "its folder moved" else 65), again.err
        assert rig.segment.requests[200] == number


async def test_a_command_that_holds_it(rig_of: Any) -> None:
    """What a command does in a process of its own ends as well."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        state = state_in_a_folder(rig)
        await rig.caught_up()
        rig.segment.faults.add("latency:seconds=0.5")
        process = await rig.start("identify", "--all", BRIDGE_BATCH_EVENTS="1")
        await rig.until(lambda: rig.segment.requests[200] > 2)
        shutil.rmtree(state.parent)
        with anyio.fail_after(30):
            assert await process.wait() == 73
        assert "was deleted or moved away" in rig.log()
        assert "Traceback" not in rig.log()
