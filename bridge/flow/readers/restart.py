"""What to do when a page cursor isn't accepted any more."""

from collections.abc import Awaitable, Callable
from typing import Final

from bridge.errors import CursorError, TemporaryError
from bridge.state.records import Position
from bridge.telemetry import log

MOST_RESTARTS: Final = 3
"""Refused cursors in one reading after which it is left for later."""


async def read_from(
    position: Position, read: Callable[[Position], Awaitable[None]], resource: str
) -> None:
    """Reads from a position on; from the start where a cursor on the way is refused.

    Raises TemporaryError when that happens again and again.
    """
    for restart in range(MOST_RESTARTS + 1):
        try:
            await read(position)
            return
        except CursorError as error:
            log.warning("scan.restarted", resource=resource, reason=str(error))
            if restart == MOST_RESTARTS:
                raise TemporaryError(str(error)) from error
            position = []
