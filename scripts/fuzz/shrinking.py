"""Smaller inputs that show the same."""

import json
from collections.abc import Awaitable, Callable, Iterator
from copy import deepcopy
from typing import Any, Final

MOST_TRIES: Final = 400
"""Inputs that are tried to make one smaller."""


async def shrunk(
    data: bytes,
    smaller: Callable[[bytes], Iterator[bytes]],
    shows_it: Callable[[bytes], Awaitable[bool]],
) -> bytes:
    """The smallest input found that shows what this one does, after some hundred tries at most."""
    tries, goes_on = 0, True
    while goes_on:
        goes_on = False
        for one in smaller(data):
            if len(one) >= len(data) or tries == MOST_TRIES:
                continue
            tries += 1
            if await shows_it(one):
                data, goes_on = one, True
                break
    return data


def smaller_bytes(data: bytes) -> Iterator[bytes]:
    """The bytes without a part, large ones first."""
    size = len(data) // 2
    while size:
        for at in range(0, len(data), size):
            yield data[:at] + data[at + size :]
        size //= 2


def smaller_json(body: bytes) -> Iterator[bytes]:
    """JSON without one of its values, or with less of its texts; of what is none, its bytes."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        yield from smaller_bytes(body)
        return
    for way in _ways(whole):
        other = deepcopy(whole)
        holder = other
        for key in way[:-1]:
            holder = holder[key]
        del holder[way[-1]]
        yield json.dumps(other, separators=(",", ":")).encode()
    yield from smaller_bytes(body)


def _ways(value: Any) -> Iterator[list[Any]]:
    """The ways to all values within a value, from the outermost ones on."""
    keys = [*value] if isinstance(value, dict) else range(len(value) if _is_list(value) else 0)
    for key in keys:
        yield [key]
    for key in keys:
        for way in _ways(value[key]):
            yield [key, *way]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
