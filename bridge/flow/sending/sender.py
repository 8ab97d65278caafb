"""Sends deliveries in batches; each is acknowledged when Segment has accepted its events."""

import copy
from collections import deque
from contextlib import suppress
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
from bridge.flow.sending.waits import Waits
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.output.texts import line_of_answer
from bridge.segment import wire
from bridge.segment.client import Segment
from bridge.segment.events import envelope
from bridge.segment.wire import Verdict
from bridge.transport.http import Answer
from bridge.transport.rate import Rate
from bridge.transport.retry import retry

MOST_BLIND_POSTS: Final = 255
"""Posts of parts of a refused batch, all refused, after which everything counts as refused."""

BLAMED_AFTER: Final = 3
"""Failures of a batch after which, if Segment takes others meanwhile, the batch is at fault."""

MOST_SET_ASIDE: Final = 1000
"""Events of a channel that are set aside at most: where there are more it isn't single ones."""

PROBE_FOR: Final = 12 * HOUR
"""Seconds that an accepted event may be sent again: well inside Segment's dedup of 24 hours
(bridge/segment/FACTS.md: Dedup)."""


def _is_put_off(error: TemporaryError) -> bool:
    """Tells whether Segment is there, and only asks for later."""
    return error.throttled or error.retry_after is not None


@dataclass(frozen=True)
class SendLimits:
    """The limits of sending.

    batch_events: most events in a batch.
    batch_bytes: most bytes in a batch, before compression.
    flush_interval: seconds that a batch waits to be filled.
    concurrency: batches on their way at once.
    events_per_second: ceiling; 0 for none.
    deadline: seconds of retries for a batch, None for no end.
    patience: the same while Segment only puts it off (429, or a Retry-After), where that is more.
    """

    batch_events: int
    batch_bytes: int
    flush_interval: float
    concurrency: int
    events_per_second: float
    deadline: float | None
    patience: float = 0.0

    def deadline_after(self, error: TemporaryError | None) -> float | None:
        """Seconds of retries for a batch that failed so."""
        if self.deadline is None or error is None or not _is_put_off(error):
            return self.deadline
        return max(self.deadline, self.patience)


class Sender:
    """Knows neither pages nor the state file: an event is sent, refused, set aside, or waits.

    Each channel has batches of its own, as many as may be posted at once, and takes Segment for
    healthy by what it accepts of that channel alone. They share the posts and the rate.
    """

    def __init__(self, segment: Segment, metrics: Metrics, limits: SendLimits) -> None:
        self._segment = segment
        self._metrics = metrics
        self._limits = limits
        # A free place is taken at once, without a turn of the others.
        self._posts = anyio.Semaphore(limits.concurrency, fast_acquire=True)
        self._rate = Rate(limits.events_per_second, burst=limits.batch_events)
        self._throttled = metrics.throttled.labels("segment")
        self._outstanding = metrics.outstanding.labels("sending")
        # What waits to be tried again, of all channels.
        self._waiting: set[Waits] = set()
        self._begin()

    def _begin(self) -> None:
        """Begins a channel: no other one shares this."""
        limits = self._limits
        self._batcher = Batcher(most_events=limits.batch_events, most_bytes=limits.batch_bytes)
        self._slots = anyio.Semaphore(limits.concurrency)
        self._accepted: tuple[float, bytes] | None = None
        self._accepting = anyio.Event()
        self._set_aside = 0

    async def run(self, deliveries: ObjectReceiveStream[Delivery]) -> None:
        """Sends a channel until there are no more deliveries and all is answered."""
        of_channel = copy.copy(self)
        of_channel._begin()
        await of_channel._run(deliveries)

    async def _run(self, deliveries: ObjectReceiveStream[Delivery]) -> None:
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
                if delivery.was_set_aside:
                    for batch in self._batcher.of_its_own(delivery):
                        await self._start(posts, batch)
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
        posts.start_soon(self._deliver, batch)

    async def _deliver(self, batch: Batch) -> None:
        try:
            with self._throttled.track_inprogress():
                await self._rate.take(len(batch.events))
            with self._outstanding.track_inprogress():
                await self._send(Unacked(batch))
        finally:
            self._slots.release()

    async def _send(self, unacked: Unacked) -> None:
        """Sends a batch, with retries until the deadline.

        One that keeps failing while Segment takes others is sent in halves, and they in theirs:
        what it is that fails, and no more, is set aside.
        """
        began, failures = clock.monotonic(), 0
        blame: TemporaryError | None = None
        latest: TemporaryError | None = None
        waits = Waits(len(unacked.events), lambda: self._accepting, self._metrics)

        async def attempt() -> None:
            nonlocal failures, blame, latest
            try:
                await self._attempt(unacked)
            except TemporaryError as error:
                failures, latest = failures + 1, error
                if not unacked.was_set_aside and (
                    failures % BLAMED_AFTER
                    or not await self._takes_others(unacked, began)
                    or not self._can_isolate(unacked, error)
                ):
                    raise
                blame = error

        try:
            with waits.counted(self._waiting):
                await retry(
                    attempt,
                    deadline=lambda: self._limits.deadline_after(latest),
                    on_wait=waits.report,
                    sleep=waits.sleep,
                )
        except TemporaryError as error:
            # The deadline has passed: what was not accepted waits, also after a refusal of who
            # asks.
            also = " and asks to come later: run this again then" if _is_put_off(error) else ""
            unacked.give_up(TemporaryError(f"{error}{also}"))
        if blame is not None:
            await self._isolate(unacked, blame)

    def _can_isolate(self, unacked: Unacked, error: TemporaryError) -> bool:
        """Tells whether a batch that failed can be halved, or its one event set aside."""
        if len(unacked.events) > 1:
            return True
        # Who is asked to come later comes later.
        return error.retry_after is None and self._set_aside < MOST_SET_ASIDE

    async def _takes_others(self, unacked: Unacked, since: float) -> bool:
        """Tells whether Segment has accepted anything but this batch since it began to fail."""
        events = len(unacked.events)
        # Before one event is set aside, Segment is asked at this moment.
        if events > 1 and self._accepted is not None and self._accepted[0] > since:
            return True
        with suppress(TemporaryError):
            healthy = await self._probe()
            return healthy or (healthy is None and await self._takes_half(unacked))
        return False

    async def _takes_half(self, unacked: Unacked) -> bool:
        """Tells whether Segment accepts half of a batch, which is left out of it then."""
        accepted: list[tuple[int, int]] = []
        middle, end = len(unacked.events) // 2, len(unacked.events)
        for part in ((0, middle), (middle, end)) if middle else ():
            with suppress(TemporaryError):
                verdict, _ = await self._post(unacked.events[slice(*part)])
                if verdict is Verdict.ACCEPTED:
                    unacked.accept(*part)
                    accepted.append(part)
        unacked.drop(accepted)
        return bool(accepted)

    async def _isolate(self, unacked: Unacked, blame: TemporaryError) -> None:
        """Sends a batch at fault in halves; sets an event at fault aside.

        What was set aside before stays so where Segment takes nothing else either.
        """
        known = unacked.was_set_aside and not await self._takes_others(unacked, clock.monotonic())
        if len(unacked.events) > 1 and not known:
            for half in unacked.halves():
                await self._send(half)
            return
        if not unacked.events:
            return
        if not unacked.was_set_aside:
            self._set_aside += 1
            # It may have failed just before Segment worked again.
            try:
                await self._attempt(unacked)
            except TemporaryError as error:
                blame = error
            else:
                self._set_aside -= 1
                return
        told = envelope(unacked.events[0])
        log.warning(
            "event.set_aside", event_name=told.name, message_id=told.message_id, reason=str(blame)
        )
        unacked.set_aside()

    async def _attempt(self, unacked: Unacked) -> None:
        """Delivers what is left of a batch. Raises TemporaryError while some of it is left."""
        if not unacked.events:
            return
        verdict, answer = await self._post(unacked.events)
        if verdict is Verdict.ACCEPTED:
            unacked.accept_all()
            if unacked.was_set_aside:
                self._set_aside = max(0, self._set_aside - len(unacked.events))
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
        if healthy and len(unacked.events) == 1:
            # It may have been refused just before Segment took events again.
            verdict, answer = await self._post(unacked.events)
            if verdict is Verdict.ACCEPTED:
                unacked.accept_all()
                return
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
        # Once is enough: later tries would find the same, at the same expense.
        most_blind, unacked.is_searched = 2 if unacked.is_searched else MOST_BLIND_POSTS, True
        while todo and (healthy or accepted or posts <= most_blind):
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
        async with self._posts:
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
        async with self._posts:
            verdict, _ = await self._segment.post(wire.body([self._accepted[1]]))
        return verdict is Verdict.ACCEPTED


def _reason(answer: Answer) -> str:
    text = line_of_answer(answer.body)
    return f"Segment answered {answer.status}" + (f": {text}" if text else "")


def _refuses_all(answer: Answer) -> str:
    return f"{_reason(answer)}, and takes no other event either; nothing is dropped"
