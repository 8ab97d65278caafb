"""The pages of one collection: notices those that never end."""

from typing import Any, Final

from bridge.errors import CursorError, EndlessError
from bridge.listrak.pages import PageOf

MOST_EMPTY_PAGES: Final = 100
"""Empty pages in a row after which a collection counts as endless: after one or some there may be
rows (FACTS.md: Paging)."""


class Trail:
    """The cursors of one reading so far.

    resource: what is read, for the error's message.
    cursor: where the reading begins.
    """

    def __init__(self, resource: str, cursor: str) -> None:
        self._resource = resource
        # Hashes: a long reading has tens of thousands.
        self._seen = {hash(cursor)}
        self._empty = 0

    def after(self, page: PageOf[Any]) -> str | None:
        """The cursor after a page, None on the last. Raises CursorError where it leads nowhere."""
        cursor = page.next_cursor
        if cursor is None:
            return None
        self._empty = 0 if page.rows else self._empty + 1
        if self._empty == MOST_EMPTY_PAGES:
            raise EndlessError(
                f"Listrak sends {MOST_EMPTY_PAGES} empty pages in a row of {self._resource}", 200
            )
        if hash(cursor) in self._seen:
            raise CursorError(f"Listrak's pages of {self._resource} go round in a circle", 200)
        self._seen.add(hash(cursor))
        return cursor
