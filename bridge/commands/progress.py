"""The progress of many like things that are done side by side."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
from rich.progress import Progress

from bridge.commands.terminal import terminal

Item = TypeVar("Item")


async def side_by_side(
    title: str, items: Sequence[Item], work: Callable[[Item], Awaitable[None]], *, at_once: int
) -> None:
    """Does the work for each item, for so many at once, and shows a bar meanwhile."""
    slots = anyio.Semaphore(at_once)
    with Progress(console=terminal(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=len(items))

        async def one(item: Item) -> None:
            async with slots:
                await work(item)
            progress.advance(task)

        async with anyio.create_task_group() as tasks:
            for item in items:
                tasks.start_soon(one, item)
