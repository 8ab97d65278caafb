"""Isolation of what fails unexpectedly: a fault of one piece of work doesn't end the others."""

from collections import Counter

from bridge.errors import BridgeError, cause
from bridge.logs import log
from bridge.metrics import Metrics


class Isolation:
    """The pieces of work that fail with an error that isn't one of ours, most likely a mistake.

    A piece has a list, a kind of task, and a subject: the list itself, or the row of a message.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._failing: dict[tuple[str, int, int], Counter[str]] = {}
        # A pipeline before this one may have noted the same pieces.
        metrics.failing.clear()

    def note(self, piece: tuple[str, int, int], error: Exception) -> int:
        """Logs a failure, with its traceback for the first time; returns how many came in a row.

        Raises it where it is one of ours that nobody here expects: it ends the pipeline.
        """
        fault = cause(error)
        if isinstance(fault, BridgeError):
            raise error
        name, list_id, subject = piece
        reasons = self._failing.setdefault(piece, Counter())
        reason = f"{type(fault).__name__}: {fault}"
        reasons[reason] += 1
        failures = reasons.total()
        if failures == 1:
            self._metrics.failing.labels(str(list_id), name).inc()
        log.error(
            "task.failed",
            task=name,
            list=list_id,
            **({"message": subject} if name == "message" else {}),
            reason=reason,
            failures=failures,
            note="it is set aside and tried again, the rest goes on",
            exc_info=fault if reasons[reason] == 1 else None,
        )
        return failures

    def passed(self, piece: tuple[str, int, int]) -> None:
        """Notes that a piece was done."""
        if self._failing.pop(piece, None):
            name, list_id, _ = piece
            self._metrics.failing.labels(str(list_id), name).dec()
            log.info("task.mended", task=name, list=list_id)
