"""A process killed between two turns of its loop: what it has written stays, and no more."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from virtual.loop import VirtualLoop

Work = Callable[[], Awaitable[object]]


async def until_killed(
    loop: VirtualLoop, work: Work, state: Path, turns: int, *, first: Work | None = None
) -> bool:
    """Does some work until the loop has made so many turns; tells whether it was killed there.

    Files of the state file are left as they were at that moment: what the work does at its end, as
    a process that is killed can't, reaches neither them nor a server.

    first: what is waited for before they are counted.
    """
    left: dict[Path, bytes] | None = None

    def kill() -> None:
        nonlocal left
        left = {path: path.read_bytes() for path in _files(state)}
        loop.network.cut()
        tasks.cancel_scope.cancel()

    async def count() -> None:
        if first is not None:
            await first()
        loop.virtual.at_step(loop.virtual.steps + turns, kill)

    async with anyio.create_task_group() as tasks:
        if first is None:
            await count()
        else:
            tasks.start_soon(count)
        try:
            await work()
        finally:
            loop.virtual.forget(kill)
            loop.network.is_down = False
            tasks.cancel_scope.cancel()
    if left is None:
        return False
    for path in _files(state):
        if path not in left:
            path.unlink()
    for path, content in left.items():
        # The same file, as whoever comes next knows it by more than its name.
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(content)
            file.truncate()
    return True


def _files(state: Path) -> list[Path]:
    """The state file and those beside it, but for the index that SQLite makes anew."""
    found = state.parent.glob(f"{state.name}*")
    return [path for path in found if path.is_file() and not path.name.endswith("-shm")]
