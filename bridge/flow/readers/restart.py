"""Restarts of scans whose page cursor isn't accepted any more."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from bridge.errors import CursorError, EndlessError, TemporaryError
from bridge.output.logs import log

Cursor = TypeVar("Cursor")

MOST_RESTARTS: Final = 3
"""Number of refused cursors in one reading after which it is left for later."""


async def read_from(
    cursor: Cursor, first: Cursor, read: Callable[[Cursor], Awaitable[None]], resource: str
) -> None:
    """Reads from a cursor on; from the `first` one where a cursor on the way is refused.

    Raises TemporaryError when that happens again and again, or where pages never end.
    """
    for restart in range(MOST_RESTARTS + 1):
        try:
            await read(cursor)
            return
        except CursorError as error:
            log.warning("scan.restarted", resource=resource, reason=str(error))
            endless = isinstance(error, EndlessError) and cursor == first
            if restart == MOST_RESTARTS or endless:
                raise TemporaryError(str(error), isolated=True) from error
            cursor = first
