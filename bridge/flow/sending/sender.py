"""Sends deliveries in batches; each is acknowledged when Segment has accepted its events."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import ObjectReceiveStream

from bridge import clock
from bridge.clock import HOUR
from bridge.errors import CredentialsError, TemporaryError
from bridge.flow.delivery import Delivery
from bridge.flow.sending.batch import Batch, Batcher
from bridge.flow.sending.unacked import Unacked
from bridge.http import Answer
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.rate import Rate
from bridge.retry import retry
from bridge.segment import wire
from bridge.segment.client import Segment
from bridge.segment.wire import Verdict
from bridge.texts import line_of

MOST_BLIND_POSTS: Final = 255
"""Posts of parts of a refused batch, all refused, after which everything counts as refused."""

PROBE_FOR: Final = 12 * HOUR
"""Seconds that an accepted event may be sent again: well inside Segment's dedup of 24 hours
(bridge/segment/FACTS.md: Dedup)."""


@dataclass(frozen=True)
class SendLimits:
    """The limits of sending.

    batch_events: most events in a batch.
    batch_bytes: most bytes in a batch, before compression.
    flush_interval: seconds that a batch waits to be filled.
    concurrency: batches on their way at once.
    events_per_second: ceiling; 0 for none.
    deadline: seconds of retries for a batch, None for no end.
    """

    batch_events: int
    batch_bytes: int
    flush_interval: float
    concurrency: int
    events_per_second: float
    deadline: float | None


class Sender:
    """Knows neither pages nor the state file: an event is sent, refused, or waits."""

    def __init__(self, segment: Segment, metrics: Metrics, limits: SendLimits) -> None:
        self._segment = segment
        self._metrics = metrics
        self._limits = limits
        self._batcher = Batcher(most_events=limits.batch_events, most_bytes=limits.batch_bytes)
        self._slots = anyio.Semaphore(limits.concurrency)
        self._rate = Rate(limits.events_per_second, burst=limits.batch_events)
        self._accepted: tuple[float, bytes] | None = None
        self._accepting = anyio.Event()
        self._under_way = 0
        metrics.outstanding.labels("sending").set_function(
            lambda: self._under_way + bool(self._batcher)
        )

    async def run(self, deliveries: ObjectReceiveStream[Delivery]) -> None:
        """Sends until there are no more deliveries and all is answered."""
        async with deliveries, anyio.create_task_group() as posts:
            flush_at = 0.0
            while True:
                wait = max(0.0, flush_at - clock.monotonic()) if self._batcher else None
                delivery: Delivery | None = None
                with anyio.move_on_after(wait):
                    try:
                        delivery = await deliveries.receive()
                    except anyio.EndOfStream:
                        break
                if delivery is None or delivery.is_flush:
                    if self._batcher:
                        await self._start(posts, self._batcher.take())
                    continue
                if not self._batcher:
                    flush_at = clock.monotonic() + self._limits.flush_interval
                for batch in self._batcher.add(delivery):
                    await self._start(posts, batch)
                    flush_at = clock.monotonic() + self._limits.flush_interval
            if self._batcher:
                await self._start(posts, self._batcher.take())

    async def _start(self, posts: anyio.abc.TaskGroup, batch: Batch) -> None:
        # Without a free slot no further delivery is received: a slow Segment slows the poller down.
        await self._slots.acquire()
        self._under_way += 1
        posts.start_soon(self._deliver, batch)

    async def _deliver(self, batch: Batch) -> None:
        try:
            with self._metrics.throttled.labels("segment").track_inprogress():
                await self._rate.take(len(batch.events))
            unacked = Unacked(batch)
            asked_to_wait = False

            def on_wait(error: TemporaryError, seconds: float) -> None:
                nonlocal asked_to_wait
                asked_to_wait = error.retry_after is not None
                self._metrics.retries.labels("segment").inc()
                self._metrics.blocked.labels("segment").set(1)
                log.warning(
                    "segment.waiting",
                    events=len(unacked.events),
                    seconds=round(seconds, 1),
                    reason=str(error),
                )

            async def sleep(seconds: float) -> None:
                # Once another batch is accepted, Segment works again: the wait ends, after a second
                # at least.
                with anyio.move_on_after(seconds):
                    await anyio.sleep(1)
                    await (anyio.sleep_forever() if asked_to_wait else self._accepting.wait())

            try:
                await retry(
                    lambda: self._attempt(unacked),
                    deadline=self._limits.deadline,
                    on_wait=on_wait,
                    sleep=sleep,
                )
            except CredentialsError as error:
                # The deadline has passed: what was not accepted waits as after any other failure.
                raise TemporaryError(str(error)) from error
            self._metrics.blocked.labels("segment").set(0)
        finally:
            self._under_way -= 1
            self._slots.release()

    async def _attempt(self, unacked: Unacked) -> None:
        """Delivers what is left of a batch. Raises TemporaryError while some of it is left."""
        verdict, answer = await self._post(unacked.events)
        if verdict is Verdict.ACCEPTED:
            unacked.accept_all()
        else:
            await self._find_refused(unacked, answer)

    async def _find_refused(self, unacked: Unacked, answer: Answer) -> None:
        """Halves a refused batch until each refused event stands alone.

        Only once Segment is seen to accept other events, it is the event that is wrong, and it
        becomes a dead letter; until then everything waits.
        """
        healthy = await self._probe()
        if healthy is False:
            raise TemporaryError(_refuses_all(answer))
        done: list[tuple[int, int]] = []
        try:
            refused = await self._halve(unacked, answer, done, healthy=bool(healthy))
            if (not done and not healthy) or not await self._probe():
                raise TemporaryError(_refuses_all(answer))
            for number, refusal in refused:
                unacked.refuse(number, _reason(refusal))
                done.append((number, number + 1))
        finally:
            unacked.drop(done)

    async def _halve(
        self, unacked: Unacked, answer: Answer, accepted: list[tuple[int, int]], *, healthy: bool
    ) -> list[tuple[int, Answer]]:
        """Posts ever smaller parts; returns events refused alone, notes the parts `accepted`."""
        refused: list[tuple[int, Answer]] = []
        # Widest parts first, so that health shows early.
        todo = deque([(0, len(unacked.events), answer)])
        posts = 0
        while todo and (healthy or accepted or posts <= MOST_BLIND_POSTS):
            start, stop, refusal = todo.popleft()
            if stop - start == 1:
                refused.append((start, refusal))
                continue
            middle = (start + stop) // 2
            for part in ((start, middle), (middle, stop)):
                posts += 1
                verdict, said = await self._post(unacked.events[slice(*part)])
                if verdict is Verdict.ACCEPTED:
                    unacked.accept(*part)
                    accepted.append(part)
                else:
                    todo.append((*part, said))
        return refused

    async def _post(self, events: list[bytes]) -> tuple[Verdict, Answer]:
        verdict, answer = await self._segment.post(wire.body(events))
        if verdict is Verdict.ACCEPTED:
            self._accepted = (clock.monotonic(), events[-1])
            self._accepting.set()
            self._accepting = anyio.Event()
        elif verdict is Verdict.DENIED:
            raise CredentialsError("SEGMENT_WRITE_KEY, SEGMENT_API_URL", _reason(answer))
        return verdict, answer

    async def _probe(self) -> bool | None:
        """Tells whether Segment accepts an event once more; None if it accepted none lately."""
        if self._accepted is None or clock.monotonic() - self._accepted[0] > PROBE_FOR:
            return None
        verdict, _ = await self._segment.post(wire.body([self._accepted[1]]))
        return verdict is Verdict.ACCEPTED


def _reason(answer: Answer) -> str:
    text = line_of(answer.body[:2000].decode(errors="replace"))
    return f"Segment answered {answer.status}" + (f": {text}" if text else "")


def _refuses_all(answer: Answer) -> str:
    return f"{_reason(answer)}, and takes no other event either; nothing is dropped"
