"""The service with a stopwatch at all that remembers: comparing, checkpoints, acknowledgement.

At its end it leaves the CPU seconds of that, as text, in a file of its working folder. Arguments
are the command's.

    python -m bench.stopwatch run --once
"""

import functools
import inspect
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import SPENT
from bridge.__main__ import main
from bridge.flow.acks.page_acks import PollPageAck
from bridge.flow.delivery import Delivery
from bridge.flow.ledger import Ledger
from bridge.flow.mapper import Mapper
from bridge.flow.readers.messages import MessageReader
from bridge.state import keys
from bridge.state.keys import SeenKeys

PLACES: tuple[tuple[Any, str], ...] = (
    # Comparing: what was seen of a message, and of a page's keys those that were not.
    (MessageReader, "_begin"),
    (keys, "heads"),
    (SeenKeys, "unseen"),
    # Checkpoints: made of a page, and committed in groups.
    (Mapper, "_poll_page"),
    (Ledger, "enqueue"),
    (Ledger, "_transact"),
    # Acknowledgement: of events, and of the pages they are from.
    (Delivery, "accept"),
    (PollPageAck, "done"),
)
"""What there would be none of if nothing were remembered; what happens inside counts as well."""


class Stopwatch:
    """CPU seconds of this thread spent in some functions; one inside another counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = False

    def put_at(self, owner: Any, name: str) -> None:
        """Measures a function from now on. AttributeError if there is none: follow the bridge."""
        measured = getattr(owner, name)

        @functools.wraps(measured)
        def step(*args: Any, **options: Any) -> Any:
            with self._on():
                return measured(*args, **options)

        @functools.wraps(measured)
        async def steps(*args: Any, **options: Any) -> Any:
            return await self._through(measured(*args, **options))

        setattr(owner, name, steps if inspect.iscoroutinefunction(measured) else step)

    @types.coroutine
    def _through(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Measures a coroutine while it runs, and not while it waits."""
        resume: Callable[[], Any] = functools.partial(work.send, None)
        while True:
            try:
                with self._on():
                    waits_for = resume()
            except StopIteration as end:
                return end.value
            try:
                resume = functools.partial(work.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001  (it is the coroutine's own business)
                resume = functools.partial(work.throw, error)

    @contextmanager
    def _on(self) -> Iterator[None]:
        if self._running:
            yield
            return
        self._running, began = True, time.thread_time()
        try:
            yield
        finally:
            self._running = False
            self.seconds += time.thread_time() - began


if __name__ == "__main__":
    stopwatch = Stopwatch()
    for place in PLACES:
        stopwatch.put_at(*place)
    try:
        main()
    finally:
        # All other threads work for the state file.
        others = time.process_time() - time.thread_time()
        Path(SPENT).write_text(f"{stopwatch.seconds + others}\n")
