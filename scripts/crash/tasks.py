"""Tasks for some processes side by side: a world each, or some damaged files."""

import inspect
from collections.abc import Callable
from typing import Any

import anyio

Task = tuple[Callable[..., Any], tuple[Any, ...]]


def worlds(lived: Callable[..., Any], seed: int, number: int, most: int) -> list[Task]:
    """Worlds of seeds from this one on, in which together so many things are done."""
    return [
        (lived, (seed + place, min(most, number - first)))
        for place, first in enumerate(range(0, number, most))
    ]


def done(task: Task) -> Any:
    """What comes of a task, be it one to await."""
    doing, arguments = task
    return anyio.run(doing, *arguments) if inspect.iscoroutinefunction(doing) else doing(*arguments)
