"""The log never stops the data: nobody reads it, it can't be written, or it is closed."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from rig import Rig, retailer

pytestmark = pytest.mark.anyio

QUIET = subprocess.DEVNULL


@contextmanager
def full(kind: Callable[[], tuple[int, int]] = os.pipe) -> Iterator[tuple[int, int]]:
    """A pipe or a terminal that nobody reads, and into which nothing fits any more."""
    reading, writing = kind()
    other = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        while True:
            os.write(other, b"-" * 4096)
    except BlockingIOError:
        pass
    os.close(other)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


async def shell(rig: Rig, line: str, *, err: int = QUIET) -> int:
    """The exit code of a line of shell."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            ["bash", "-c", line], env=rig.environment, check=False, stdout=QUIET, stderr=err
        )
    return done.returncode


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2> >(true)", ">&- 2>&- <&-"])
async def test_a_log_that_cannot_be_written(rig_of: Any, where: str) -> None:
    """Closed, full, or broken: everything is delivered, and the exit code is that of the data."""
    world = retailer(contacts=10)
    async with rig_of(world=world, BRIDGE_SINCE="30d", BRIDGE_LOG_LEVEL="debug") as rig:
        command = " ".join(rig.command("run", "--once"))
        assert await shell(rig, f"{command} {where}") == 0
        assert rig.verdict(world.now.replace(year=2025)).ok
        assert rig.adds_up()
        # A failing command can say so nowhere, but by its exit code.
        assert await shell(rig, f"LISTRAK_LISTS=x {command} {where}") == 78


async def test_a_log_that_nobody_reads(rig_of: Any) -> None:
    """A service delivers, and stops in time."""
    world = retailer(contacts=10)
    async with rig_of(world=world, BRIDGE_SINCE="30d", BRIDGE_POLL_INTERVAL="0.1") as rig:
        with full() as (_, writing):
            process = await anyio.open_process(
                rig.command("run"), env=rig.environment, stdout=QUIET, stderr=writing
            )
            rig.processes.append(process)
            await rig.until(lambda: rig.verdict(world.now.replace(year=2025)).ok)
            process.send_signal(signal.SIGTERM)
            with anyio.fail_after(20):
                assert await process.wait() == 0
        assert rig.adds_up()


async def test_a_command_whose_words_nobody_reads(rig_of: Any) -> None:
    """It ends as it would, with its last line unsaid."""
    async with rig_of() as rig:
        with full() as (_, writing):
            command = " ".join(rig.command("check"))
            assert await shell(rig, f"LISTRAK_LISTS=x {command}", err=writing) == 78
            command = " ".join(rig.command("no-such-command"))
            assert await shell(rig, command, err=writing) == 64


async def test_standard_streams_that_are_closed(rig_of: Any) -> None:
    """What is opened later never becomes one of them: nothing is printed into the state file."""
    async with rig_of() as rig:
        command = " ".join(rig.command("run", "--once"))
        assert await shell(rig, f"{command} <&- >&- 2>&-") == 0
        assert rig.state.read_bytes().startswith(b"SQLite format 3\0")
        command = " ".join(rig.command("lists"))
        assert await shell(rig, f"{command} >&-") == 75


async def test_a_terminal_that_stands_still(rig_of: Any) -> None:
    """A bar of progress isn't waited for, nor are the lines above it."""
    async with rig_of(world=retailer(contacts=10), BRIDGE_SINCE="30d") as rig:
        await rig.caught_up()
        with full(pty.openpty) as (_, terminal):
            command = " ".join(rig.command("reconcile"))
            assert await shell(rig, command, err=terminal) == 0
