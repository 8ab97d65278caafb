"""Failures of pages that were read, and can't be turned into events."""

from bridge.errors import PageError


class PageFailure:
    """The failure of a poll, as one of its pages can't be turned into events.

    Nothing of that page is acknowledged, nor mapped of later ones: the poll is made again, from
    what is saved.

    error: what happened, unexpectedly; None as long as nothing did.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None

    def note(self, error: Exception) -> None:
        """Notes it; the first counts."""
        if self.error is None:
            self.error = error

    def check(self) -> None:
        """Raises PageError if there was one."""
        if self.error is not None:
            raise PageError("a page can't be turned into events") from self.error
