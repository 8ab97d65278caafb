"""Delivers parcels in batches; a parcel is told when Segment has taken its events."""

import time
from collections import deque
from typing import Final

import anyio
from anyio.abc import ObjectReceiveStream

from bridge.errors import CredentialsError, TemporaryError
from bridge.flow.batch import Batch, Batcher
from bridge.flow.page import Parcel
from bridge.http import Answer
from bridge.pacing import Rate, persist
from bridge.segment import wire
from bridge.segment.client import Segment
from bridge.segment.wire import Verdict
from bridge.telemetry import Metrics, log

MOST_BLIND_POSTS: Final = 255
"""Parts of a refused batch to try before it is taken for granted that everything is refused."""

PROBE_FOR: Final = 12 * 3600.0
"""Seconds an accepted event may be sent once more: well inside Segment's dedup of 24 hours."""


class Sender:
    """Knows neither pages nor the state file. `patience`: seconds of retries, None: ever."""

    def __init__(
        self,
        segment: Segment,
        metrics: Metrics,
        *,
        batch_events: int,
        batch_bytes: int,
        flush_interval: float,
        concurrency: int,
        events_per_second: float,
        patience: float | None,
    ) -> None:
        self._segment = segment
        self._metrics = metrics
        self._batcher = Batcher(most_events=batch_events, most_bytes=batch_bytes)
        self._flush_interval = flush_interval
        self._slots = anyio.Semaphore(concurrency)
        self._rate = Rate(events_per_second, burst=batch_events)
        self._patience = patience
        self._accepted: tuple[float, bytes] | None = None
        self._well = anyio.Event()

    async def run(self, parcels: ObjectReceiveStream[Parcel]) -> None:
        """Sends until there are no more parcels and all is answered."""
        async with parcels, anyio.create_task_group() as posts:
            flush_at = 0.0
            while True:
                wait = max(0.0, flush_at - time.monotonic()) if self._batcher else None
                parcel: Parcel | None = None
                with anyio.move_on_after(wait):
                    try:
                        parcel = await parcels.receive()
                    except anyio.EndOfStream:
                        break
                if parcel is None or parcel.flush:
                    if self._batcher:
                        await self._start(posts, self._batcher.take())
                    continue
                if not self._batcher:
                    flush_at = time.monotonic() + self._flush_interval
                for batch in self._batcher.add(parcel):
                    await self._start(posts, batch)
                    flush_at = time.monotonic() + self._flush_interval
            if self._batcher:
                await self._start(posts, self._batcher.take())

    async def _start(self, posts: anyio.abc.TaskGroup, batch: Batch) -> None:
        # No slot, no further parcel: that is how a slow Segment slows the poller down.
        await self._slots.acquire()
        posts.start_soon(self._deliver, batch)

    async def _deliver(self, batch: Batch) -> None:
        try:
            await self._rate.take(len(batch.events))
            rest = _Rest(batch)
            asked_to_wait = False

            def on_wait(error: TemporaryError, seconds: float) -> None:
                nonlocal asked_to_wait
                asked_to_wait = error.retry_after is not None
                self._metrics.retries.labels("segment").inc()
                self._metrics.blocked.labels("segment").set(1)
                log.warning(
                    "segment.waiting",
                    events=len(rest.events),
                    seconds=round(seconds, 1),
                    reason=str(error),
                )

            async def sleep(seconds: float) -> None:
                # As soon as another batch is taken, Segment is well again; but not all at once.
                with anyio.move_on_after(seconds):
                    await anyio.sleep(1)
                    await (anyio.sleep_forever() if asked_to_wait else self._well.wait())

            try:
                await persist(
                    lambda: self._attempt(rest),
                    patience=self._patience,
                    on_wait=on_wait,
                    sleep=sleep,
                )
            except CredentialsError as error:
                # Patience has ended; what was not taken is as safe as after any other failure.
                raise TemporaryError(str(error)) from error
            self._metrics.blocked.labels("segment").set(0)
        finally:
            self._slots.release()

    async def _attempt(self, rest: "_Rest") -> None:
        """Delivers what is left of a batch. Raises TemporaryError while some of it is left."""
        verdict, answer = await self._post(rest.events)
        if verdict is Verdict.ACCEPTED:
            rest.accept_all()
        else:
            await self._find_refused(rest, answer)

    async def _find_refused(self, rest: "_Rest", answer: Answer) -> None:
        """Halves a refused batch until each refused event stands alone.

        Only once Segment is seen to take other events, it is the event that is wrong, and it
        becomes a dead letter; until then everything waits.
        """
        healthy = await self._probe()
        if healthy is False:
            raise TemporaryError(_refuses_all(answer))
        gone: list[tuple[int, int]] = []
        try:
            refused = await self._halve(rest, answer, gone, healthy=bool(healthy))
            if (not gone and not healthy) or not await self._probe():
                raise TemporaryError(_refuses_all(answer))
            for number, refusal in refused:
                rest.refuse(number, _reason(refusal))
                gone.append((number, number + 1))
        finally:
            rest.drop(gone)

    async def _halve(
        self, rest: "_Rest", answer: Answer, taken: list[tuple[int, int]], *, healthy: bool
    ) -> list[tuple[int, Answer]]:
        """Posts ever smaller parts; returns the events refused alone, notes the parts `taken`."""
        refused: list[tuple[int, Answer]] = []
        # Widest parts first, so that health shows early.
        todo = deque([(0, len(rest.events), answer)])
        posts = 0
        while todo and (healthy or taken or posts <= MOST_BLIND_POSTS):
            start, stop, refusal = todo.popleft()
            if stop - start == 1:
                refused.append((start, refusal))
                continue
            middle = (start + stop) // 2
            for part in ((start, middle), (middle, stop)):
                posts += 1
                verdict, said = await self._post(rest.events[slice(*part)])
                if verdict is Verdict.ACCEPTED:
                    rest.accept(*part)
                    taken.append(part)
                else:
                    todo.append((*part, said))
        return refused

    async def _post(self, events: list[bytes]) -> tuple[Verdict, Answer]:
        verdict, answer = await self._segment.post(wire.body(events))
        if verdict is Verdict.ACCEPTED:
            self._accepted = (time.monotonic(), events[-1])
            self._well.set()
            self._well = anyio.Event()
        elif verdict is Verdict.DENIED:
            raise CredentialsError("SEGMENT_WRITE_KEY, SEGMENT_API_URL", _reason(answer))
        return verdict, answer

    async def _probe(self) -> bool | None:
        """Whether Segment takes once more what it took before; None if there is nothing to ask."""
        if self._accepted is None or time.monotonic() - self._accepted[0] > PROBE_FOR:
            return None
        verdict, _ = await self._segment.post(wire.body([self._accepted[1]]))
        return verdict is Verdict.ACCEPTED


class _Rest:
    """What is left of a batch: each event with its parcel."""

    def __init__(self, batch: Batch) -> None:
        self.events = batch.events
        self._shares = batch.shares

    def accept_all(self) -> None:
        """All were taken."""
        for owner, count in self._shares:
            owner.accept(count)

    def accept(self, start: int, stop: int) -> None:
        """These were taken."""
        for owner in self._owners()[start:stop]:
            owner.accept(1)

    def refuse(self, number: int, reason: str) -> None:
        """This one can't be sent."""
        self._owners()[number].refuse(self.events[number], reason)

    def drop(self, parts: list[tuple[int, int]]) -> None:
        """These parts are done with."""
        gone = {number for part in parts for number in range(*part)}
        left = [number for number in range(len(self.events)) if number not in gone]
        owners = self._owners()
        self.events = [self.events[number] for number in left]
        self._shares = [(owners[number], 1) for number in left]

    def _owners(self) -> list[Parcel]:
        """The parcel of each event."""
        return [owner for owner, count in self._shares for _ in range(count)]


def _reason(answer: Answer) -> str:
    text = answer.body[:200].decode(errors="replace").strip()
    return f"Segment answered {answer.status}" + (f": {text}" if text else "")


def _refuses_all(answer: Answer) -> str:
    return f"{_reason(answer)}, and takes no other event either; nothing is dropped"
