"""What hangs doesn't keep a command from its end: a signal ends it in time, and nothing is lost."""

import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from rig import retailer

pytestmark = pytest.mark.anyio

DRAIN = 4.0
HUNG_DISK = """
import pathlib, sqlite3, time
here, connect = pathlib.Path(__file__).parent, sqlite3.connect
class Hanging:
    def execute(self, statement, *values):
        if statement == "COMMIT" and (here / "hang").exists():
            (here / "hung").touch()
            time.sleep(600)
        return super().execute(statement, *values)
def hanging(*place, factory=sqlite3.Connection, **options):
    return connect(*place, **options, factory=type("Hung", (Hanging, factory), {}))
sqlite3.connect = hanging
"""
HUNG_READ = """
import os, pathlib, time
here, opened = pathlib.Path(__file__).parent, os.open
def open_to_hang(path, *flags, **options):
    if ".request-" in os.fsdecode(path):
        (here / "hung").touch()
        time.sleep(600)
    return opened(path, *flags, **options)
os.open = open_to_hang
"""
HUNG_OPEN = """
import ctypes, pathlib, sqlite3
here, lock = pathlib.Path(__file__).parent, ctypes.CDLL(None).pthread_mutex_lock
def hanging(*_, **__):
    # As a disk does: no signal ends the waiting.
    (here / "hung").touch()
    mutex = ctypes.create_string_buffer(64)
    lock(mutex)
    lock(mutex)
if (here / "hang").exists():
    sqlite3.connect = hanging
"""
HUNG_NAMES = """
import socket, time
socket.getaddrinfo = lambda *_, **__: time.sleep(600)
"""
SINCE = retailer().now - timedelta(days=4)


async def ends(process: anyio.abc.Process, number: signal.Signals, within: float) -> int:
    """The exit code of a command that is told to end, in time."""
    began = time.monotonic()
    process.send_signal(number)
    with anyio.fail_after(within + 20):
        code = await process.wait()
    assert time.monotonic() - began < within
    return code


@pytest.mark.parametrize(("arguments", "again"), [(["run"], False), (["run", "--once"], True)])
async def test_a_hung_disk(
    rig_of: Any, tmp_path: Path, arguments: list[str], *, again: bool
) -> None:
    """75 within the drain timeout, whether it is told once or twice; the next start goes on."""
    (tmp_path / "sitecustomize.py").write_text(HUNG_DISK)
    async with rig_of(
        world=retailer(contacts=30, seed=5),
        BRIDGE_SINCE=SINCE.isoformat(),
        BRIDGE_DRAIN_TIMEOUT=str(DRAIN),
        BRIDGE_BATCH_EVENTS="30",
    ) as rig:
        process = await rig.start(*arguments, PYTHONPATH=str(tmp_path))
        await rig.until(lambda: rig.segment.accepted > 0)
        (tmp_path / "hang").touch()
        await rig.until((tmp_path / "hung").exists)
        if again:
            process.terminate()
            await rig.until(lambda: "bridge.draining" in rig.log())
        assert await ends(process, signal.SIGINT, DRAIN) == 75
        assert "bridge.cut_off" in rig.log()
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        assert rig.verdict(SINCE).ok


@pytest.mark.parametrize(
    ("arguments", "number", "code"),
    [
        (["run"], signal.SIGTERM, 0),
        (["run", "--once"], signal.SIGTERM, 75),
        (["check"], signal.SIGINT, 130),
    ],
)
async def test_a_look_up_that_hangs(
    rig_of: Any, tmp_path: Path, arguments: list[str], number: signal.Signals, code: int
) -> None:
    """Its thread can't be cancelled, and isn't waited for."""
    (tmp_path / "sitecustomize.py").write_text(HUNG_NAMES)
    async with rig_of(
        PYTHONPATH=str(tmp_path),
        LISTRAK_TOKEN_URL="https://nowhere.example/token",
        BRIDGE_DRAIN_TIMEOUT=str(DRAIN),
    ) as rig:
        process = await rig.start(*arguments)
        await rig.until(lambda: "getaddrinfo" in threads(process.pid))
        assert await ends(process, number, DRAIN) == code
        assert "Traceback" not in rig.log()


def threads(pid: int) -> str:
    """Says so once there is a thread that looks up a name."""
    names = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return "getaddrinfo" if len(names) > 1 else ""


async def test_a_blocked_event_loop(rig_of: Any, tmp_path: Path) -> None:
    """Even where nothing in the process gets a turn any more, a signal ends it in time."""
    (tmp_path / "sitecustomize.py").write_text(HUNG_READ)
    async with rig_of(PYTHONPATH=str(tmp_path), BRIDGE_DRAIN_TIMEOUT=str(DRAIN)) as rig:
        process = await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        rig.state.with_name(f"{rig.state.name}.request-1").write_text("{}")
        await rig.until((tmp_path / "hung").exists)
        assert await ends(process, signal.SIGTERM, DRAIN) == 75
        assert "bridge.cut_off" in rig.log()


@pytest.mark.parametrize(
    ("arguments", "number", "code"),
    [(["check"], signal.SIGINT, 130), (["state", "verify"], signal.SIGTERM, 75)],
)
async def test_a_state_file_that_hangs(
    rig_of: Any, tmp_path: Path, arguments: list[str], number: signal.Signals, code: int
) -> None:
    """Who only looks at it isn't held up by it."""
    (tmp_path / "sitecustomize.py").write_text(HUNG_OPEN)
    async with rig_of(PYTHONPATH=str(tmp_path)) as rig:
        await rig.caught_up()
        (tmp_path / "hang").touch()
        process = await rig.start(*arguments)
        await rig.until((tmp_path / "hung").exists)
        assert await ends(process, number, DRAIN) == code
