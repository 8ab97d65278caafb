"""A machine with systemd to try the unit on: Debian in a container, what it writes forgotten."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

PROJECT = Path(__file__).parents[2]
UNIT = "listrak-bridge.service"
TOOLS = ("systemd-nspawn", "nsenter", "setpriv")


class Machine:
    """A booted container, by the process id of its systemd; commands are run inside, as root."""

    def __init__(self, leader: int) -> None:
        self._enter = ["nsenter", f"--target={leader}", "--mount", "--uts", "--ipc", "--pid", "--"]

    async def run(self, *command: str, text: str = "", check: bool = True) -> str:
        """What a command prints, given `text` to read."""
        done = await anyio.run_process(
            [*self._enter, *command],
            input=text.encode(),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER": "cat"},
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode()
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}: {said}")
        return said

    async def write(self, path: str, text: str) -> None:
        """Writes a file for root only, with the folders above it."""
        script = 'umask 077; mkdir -p "$(dirname "$0")" && cat >"$0"'
        await self.run("sh", "-c", script, path, text=text)

    async def show(self) -> dict[str, str]:
        """All properties of the unit."""
        lines = (await self.run("systemctl", "show", UNIT)).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    async def wait_until(
        self, goal: Callable[[dict[str, str]], bool], seconds: float = 30
    ) -> dict[str, str]:
        """The unit's properties as soon as they are as wanted."""
        shown: dict[str, str] = {}
        with anyio.move_on_after(seconds):
            while True:
                shown = await self.show()
                if goal(shown):
                    return shown
                await anyio.sleep(0.1)
        raise AssertionError(f"never came: {shown}\n{await self.run('journalctl', '-u', UNIT)}")

    async def journal(self) -> list[dict[str, Any]]:
        """Everything that the unit's processes, and systemd about it, wrote so far."""
        await self.run("journalctl", "--sync")
        lines = (await self.run("journalctl", "-u", UNIT, "-o", "json")).splitlines()
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def booted(tree: Path, folder: Path) -> AsyncIterator[Machine]:
    """Boots the tree, with this checkout's package and unit file installed as a person would."""
    wheel = await _wheel(folder)
    command = [
        # Ends with this process, whatever becomes of that.
        *("setpriv", "--pdeathsig", "KILL"),
        *("systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--console=pipe"),
        *(f"--directory={tree}", f"--machine=bridge-test-{os.getpid()}", "--volatile=overlay"),
        f"--bind-ro={wheel}:/opt/{wheel.name}",
        f"--bind-ro={PROJECT / 'scripts' / UNIT}:/etc/systemd/system/{UNIT}",
        "--boot",
    ]
    log = folder / "boot.log"
    with log.open("wb") as stream:
        nspawn = await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    leader: int | None = None
    try:
        with anyio.fail_after(60):
            leader = await _leader(nspawn, log)
            machine = Machine(leader)
            state = ""
            while state not in ("running", "degraded"):
                await anyio.sleep(0.1)
                # Fails until systemd listens, and while it boots.
                state = (await machine.run("systemctl", "is-system-running", check=False)).strip()
            await machine.run(
                *("/opt/listrak-bridge/bin/pip", "install", "--quiet", "--no-index", "--no-deps"),
                *("--force-reinstall", "--root-user-action=ignore", f"/opt/{wheel.name}"),
            )
        yield machine
    finally:
        with anyio.CancelScope(shield=True):
            # Its first process takes all others of the container along; systemd-nspawn would not.
            with contextlib.suppress(ProcessLookupError):
                if leader is not None:
                    os.kill(leader, signal.SIGKILL)
                elif nspawn.returncode is None:
                    nspawn.send_signal(signal.SIGKILL)
            await nspawn.aclose()


async def _wheel(folder: Path) -> Path:
    build = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    await anyio.run_process([sys.executable, "-m", *build, f"-w{folder}", str(PROJECT)])
    wheels = [path async for path in anyio.Path(folder).glob("*.whl")]
    return Path(wheels[0])


async def _leader(nspawn: anyio.abc.Process, log: Path) -> int:
    """The container's systemd: the one child of systemd-nspawn that came to boot."""
    while nspawn.returncode is None:
        if found := _children_named("systemd", of=nspawn.pid):
            return found[0]
        await anyio.sleep(0.05)
    raise AssertionError(f"systemd-nspawn ended: {await anyio.Path(log).read_text()}")


def _children_named(name: str, *, of: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{of}/task/{of}/children").read_text().split()
        return [int(c) for c in children if Path(f"/proc/{c}/comm").read_text().strip() == name]
    return []
