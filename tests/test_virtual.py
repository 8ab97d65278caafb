"""The virtual loop: time, connections, the disk, and how a process is killed on it."""

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import aiosqlite
import anyio
import anyio.to_thread
import in_process
import pytest
from aiohttp import web
from rig import START, make_rig, retailer
from virtual.death import until_killed
from virtual.disk import Disk
from virtual.loop import StandstillError, VirtualLoop
from virtual.surroundings import Machine, surroundings

from bridge import clock
from bridge.sandbox.server import serve

pytestmark = pytest.mark.anyio

SIZE = 900_000


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


def loop() -> VirtualLoop:
    """The loop that runs."""
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


@pytest.fixture
async def disk() -> Any:
    disk = Disk()
    with surroundings(Machine(loop(), lambda: 1000.0 + loop().time()), disk):
        yield disk


async def test_time_passes_in_order() -> None:
    """Whoever waits less comes first, and nobody waits in fact."""
    came: list[float] = []

    async def wait(seconds: float) -> None:
        await anyio.sleep(seconds)
        came.append(seconds)

    began = loop().time()
    async with anyio.create_task_group() as tasks:
        for seconds in (86_400.0, 3600.0, 0.001):
            tasks.start_soon(wait, seconds)
    assert came == [0.001, 3600.0, 86_400.0]
    assert loop().time() - began == pytest.approx(86_400.0, abs=0.1)


def test_a_standstill_is_an_error() -> None:
    """What waits for nothing is told, not waited for."""

    async def wait() -> None:
        await anyio.Event().wait()

    with pytest.raises(StandstillError):
        anyio.run(wait, backend_options={"loop_factory": VirtualLoop})


async def test_clocks_follow_the_loop(disk: Disk) -> None:
    """The service's clocks go on with it."""
    assert disk
    before = clock.wall_time(), clock.boot_time(), clock.monotonic()
    await anyio.sleep(7200)
    after = clock.wall_time(), clock.boot_time(), clock.monotonic()
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([7200] * 3, abs=1)


async def test_bodies_arrive_whole(disk: Disk) -> None:
    """Large ones both ways, in order, with a latency that differs from part to part."""
    assert disk
    rng = random.Random(1)
    body = rng.randbytes(SIZE)
    loop().network.latency = lambda: rng.random() / 10

    async def echo(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        async for part in request.content.iter_chunked(50_000):
            await answer.write(part)
        return answer

    app = web.Application(client_max_size=2 * SIZE)
    app.router.add_post("/", echo)
    async with serve(app) as address, aiohttp.ClientSession() as session:
        async with session.post(address, data=body) as answer:
            assert await answer.read() == body
        loop().network.cut()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(address, data=body)
        loop().network.is_down = False
        async with session.post(address, data=b"again") as answer:
            assert await answer.read() == b"again"


async def test_nobody_listens(disk: Disk) -> None:
    """An address without a server refuses connections."""
    assert disk
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://127.0.0.1:1/")


async def test_a_disk_with_faults(disk: Disk, tmp_path: Path) -> None:
    """It answers in order, later, or with an error; what was begun is done, whoever waits."""
    delays = iter((5.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    async with aiosqlite.connect(tmp_path / "some.db") as db:
        await db.execute("CREATE TABLE some (number INTEGER)")
        disk.latency = lambda: next(delays)
        began = loop().time()
        with anyio.move_on_after(1):
            await db.execute("INSERT INTO some VALUES (1)")
        assert list(await db.execute_fetchall("SELECT number FROM some")) == [(1,)]
        assert loop().time() - began == pytest.approx(5.0, abs=0.1)
        disk.fault = lambda _: fail("disk I/O error")
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            await db.execute("INSERT INTO some VALUES (2)")
        disk.fault = lambda _: None
    assert await anyio.to_thread.run_sync(sorted, [2, 1]) == [1, 2]


def fail(text: str) -> None:
    """Raises what SQLite does."""
    raise sqlite3.OperationalError(text)


async def test_what_a_killed_process_leaves(tmp_path: Path) -> None:
    """What was written before stays; neither its last words nor other files' changes are undone."""
    state, other = tmp_path / "bridge.db", tmp_path / "other"
    state.write_text("before")

    async def work() -> None:
        try:
            for turn in range(1000):
                state.write_text(f"turn {turn}")
                await anyio.lowlevel.checkpoint()
        finally:
            state.write_text("the end")
            (tmp_path / "bridge.db-wal").touch()
            other.touch()

    assert await until_killed(loop(), work, state, 100)
    assert state.read_text().startswith("turn ")
    assert not (tmp_path / "bridge.db-wal").exists()
    assert other.exists()
    assert not await until_killed(loop(), work, state, 10_000)
    assert state.read_text() == "the end"


@pytest.mark.parametrize("seed", range(2))
async def test_killed_again_and_again(swift_folder: Path, seed: int) -> None:
    """A catch-up that is killed wherever it stands: nothing is missing, doubled or wrong."""
    rng = random.Random(seed)
    async with make_rig(swift_folder, world=retailer(seed=seed), BRIDGE_SINCE="30d") as rig:
        for _death in range(15):
            assert await in_process.killed(rig, {}, int(2 ** rng.uniform(0, 12)))
        await in_process.caught_up(rig, {})
        assert rig.verdict(START.replace(month=5)).ok
        assert rig.adds_up()


async def test_the_same_seed_is_the_same_history(swift_folder: Path) -> None:
    """Requests, turns of the loop and what arrives are the same twice."""
    lives = []
    for number in range(2):
        random.seed(5)
        folder = swift_folder / str(number)
        folder.mkdir()
        async with make_rig(folder, world=retailer(), BRIDGE_SINCE="30d") as rig:
            before = loop().virtual.steps
            await in_process.caught_up(rig, {})
            lives.append(
                (loop().virtual.steps - before, rig.listrak.requests, list(rig.segment.received()))
            )
    assert lives[0] == lives[1]
