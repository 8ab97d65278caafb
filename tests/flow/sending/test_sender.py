"""Delivery to Segment, against an emulated one on loopback."""

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ObjectSendStream
from flow_parts import Mailroom, event_of

from bridge.errors import TemporaryError, cause
from bridge.flow.acks.page_acks import dead_letters_of
from bridge.flow.delivery import Delivery
from bridge.flow.delivery import flush as flush_delivery
from bridge.flow.sending.sender import MOST_BLIND_POSTS, Sender, SendLimits
from bridge.metrics import Metrics
from bridge.sandbox.bad_answers import Throttle
from bridge.sandbox.fault import Fault, Garbage, Latency, Lost, Reset, Status, Torn
from bridge.sandbox.faults import Faults
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.segment.client import Segment as Client
from bridge.transport.http import Http

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_shortest_wait")]


KEY = "a-write-key"
Refuse = Callable[[Mapping[str, Any]], bool]


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with Segment(tmp_path / "segment.db", write_key=KEY, faults=Faults(seed=1)) as segment:
        yield segment


@asynccontextmanager
async def sending(
    segment: Segment,
    *,
    batch_events: int = 100,
    batch_bytes: int = 475_000,
    flush_interval: float = 0.01,
    concurrency: int = 4,
    events_per_second: float = 0,
    deadline: float | None = 0,
    metrics: Metrics | None = None,
) -> AsyncIterator[ObjectSendStream[Delivery]]:
    """A sender at work; all is answered when it is left. Raises the error that ended it."""
    into, out = anyio.create_memory_object_stream[Delivery](8)
    metrics = metrics or Metrics()
    async with serve(segment.app) as url, Http() as http:
        limits = SendLimits(
            batch_events=batch_events,
            batch_bytes=batch_bytes,
            flush_interval=flush_interval,
            concurrency=concurrency,
            events_per_second=events_per_second,
            deadline=deadline,
        )
        client = Client(http, metrics, base=f"{url}/v1", write_key=KEY)
        sender = Sender(client, metrics, limits)
        try:
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks, into:
                    tasks.start_soon(sender.run, out)
                    yield into
        except BaseExceptionGroup as group:
            raise cause(group) from None


async def deliver(segment: Segment, *deliveries: Delivery, **options: Any) -> None:
    """Sends deliveries and waits until all is answered."""
    async with sending(segment, **options) as stream:
        for delivery in deliveries:
            await stream.send(delivery)


def is_one_of(*numbers: int) -> Refuse:
    """Refuses those events of a mailroom."""
    ids = {f"listrak-{number:032x}" for number in numbers}
    return lambda event: event["messageId"] in ids


def arrived(segment: Segment) -> list[int]:
    """Numbers of the events that Segment has, repeats left out."""
    found = [event["messageId"] for event in segment.received(unique=True)]
    return sorted(int(one.removeprefix("listrak-"), 16) for one in found)


def dead(deliveries: list[Delivery]) -> list[int]:
    letters = [letter for delivery in deliveries for letter in dead_letters_of(delivery.refused)]
    return sorted(int(letter.message_id.removeprefix("listrak-"), 16) for letter in letters)


# All is well


async def test_delivers(segment: Segment) -> None:
    """Events of many deliveries share batches; each is acknowledged once, when all of it is in."""
    mailroom = Mailroom()
    deliveries = [mailroom.delivery_of(number) for number in (1, 250, 3, 99, 1, 146)]
    await deliver(segment, *deliveries, flush_interval=60)
    assert arrived(segment) == list(range(500))
    assert Counter(map(id, mailroom.acknowledged)) == Counter(map(id, deliveries))
    assert segment.requests == {200: 5}
    assert not segment.dropped
    assert segment.duplicates == 0
    assert dead(deliveries) == []


async def test_limits(segment: Segment) -> None:
    """No batch is larger than configured, in events or bytes."""
    mailroom = Mailroom()
    await deliver(segment, mailroom.delivery_of(50), batch_events=7, flush_interval=60)
    assert segment.requests == {200: math.ceil(50 / 7)}
    events = [event_of(1000 + n, email_subject="x" * 20_000) for n in range(10)]
    delivery = mailroom.delivery(*events)
    await deliver(segment, delivery, batch_bytes=45_000, flush_interval=60)
    assert segment.requests == {200: math.ceil(50 / 7) + 5}


async def test_flushes_by_time(segment: Segment) -> None:
    """A batch that isn't full goes out after the flush interval, while the way stays open."""
    mailroom = Mailroom()
    async with sending(segment, flush_interval=0.02) as stream:
        await stream.send(mailroom.delivery_of(3))
        await segment.wait_for(3, timeout=10)
        await stream.send(mailroom.delivery_of(2))
        await segment.wait_for(5, timeout=10)
    assert len(mailroom.acknowledged) == 2


async def test_does_not_flush_early(segment: Segment) -> None:
    """Until then it waits to be filled; the end of the way sends what there is."""
    mailroom = Mailroom()
    async with sending(segment, flush_interval=60) as stream:
        for _ in range(3):
            await stream.send(mailroom.delivery_of(3))
            await anyio.wait_all_tasks_blocked()
        assert not segment.requests
    assert segment.requests == {200: 1}


async def test_flushes_on_demand(segment: Segment) -> None:
    """Where somebody waits for it, a batch goes out at once, and an empty one doesn't."""
    mailroom = Mailroom()
    flush = flush_delivery()
    async with sending(segment, flush_interval=60) as stream:
        await stream.send(flush)
        await stream.send(mailroom.delivery_of(3))
        await stream.send(flush)
        await segment.wait_for(3, timeout=10)
    assert segment.requests == {200: 1}


async def test_concurrency(segment: Segment) -> None:
    """So many batches are on their way at once, no more: the next deliveries have to wait."""
    mailroom, metrics = Mailroom(), Metrics()
    segment.faults.add(Latency(3600))
    async with sending(segment, batch_events=1, concurrency=3, metrics=metrics) as stream:
        await stream.send(mailroom.delivery_of(10))
        await segment.wait_for(lambda segment: segment.in_flight == 3, timeout=10)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert metrics.registry.get_sample_value("bridge_segment_posts_open") == 3
        segment.faults.clear()
    assert segment.max_concurrency == 3
    assert segment.accepted == 10


async def test_a_slow_segment_fills_the_queue(segment: Segment) -> None:
    """While all batches are on their way no further delivery is taken: memory stays bounded."""
    mailroom = Mailroom()
    segment.faults.add(Latency(3600))
    async with sending(segment, batch_events=1, concurrency=1) as stream:
        await stream.send(mailroom.delivery_of(1))
        await segment.wait_for(lambda segment: segment.in_flight == 1, timeout=10)
        # One is taken and waits for its turn, eight fit into the queue.
        for _ in range(9):
            with anyio.fail_after(5):
                await stream.send(mailroom.delivery_of(1))
        with anyio.move_on_after(0.05) as scope:
            await stream.send(mailroom.delivery_of(1))
        assert scope.cancelled_caught
        segment.faults.clear()
    assert segment.accepted == 10


async def test_a_200_without_sense(segment: Segment) -> None:
    """A 200 that isn't Segment's proves nothing: the events are sent again, and it says so."""
    mailroom = Mailroom()
    segment.faults.add(Garbage(times=1))
    with pytest.raises(TemporaryError, match="did not come from Segment"):
        await deliver(segment, mailroom.delivery_of(3))
    assert mailroom.acknowledged == []
    segment.faults.add(Garbage(times=1))
    await deliver(segment, mailroom.delivery_of(3), deadline=30)
    assert len(mailroom.acknowledged) == 1
    assert arrived(segment) == [3, 4, 5]


# What may pass


@pytest.mark.parametrize("code", [408, 410, 429, 460, 500, 502, 503, 504])
async def test_retries(segment: Segment, code: int) -> None:
    """What may pass is sent again, as soon as Segment said, and nothing is lost or repeated."""
    mailroom, metrics = Mailroom(), Metrics()
    segment.faults.add(Status(code, retry_after="0", times=2))
    await deliver(segment, mailroom.delivery_of(20), deadline=30, metrics=metrics)
    assert arrived(segment) == list(range(20))
    assert segment.duplicates == 0
    assert len(mailroom.acknowledged) == 1
    value = metrics.registry.get_sample_value
    assert value("bridge_retries_total", {"api": "segment"}) == 2
    assert value("bridge_blocked", {"by": "segment"}) == 0
    assert value("bridge_segment_batches_total", {"answer": str(code)}) == 2


@pytest.mark.parametrize("fault", [Reset(times=1), Lost(times=1), Torn(times=1)], ids=str)
async def test_broken_connections(segment: Segment, fault: Fault) -> None:
    """A batch without a complete answer is sent again, with the same ids."""
    mailroom = Mailroom()
    segment.faults.add(fault)
    await deliver(segment, mailroom.delivery_of(20), deadline=30)
    assert arrived(segment) == list(range(20))
    assert segment.duplicates == (0 if isinstance(fault, Reset) else 20)
    assert len(mailroom.acknowledged) == 1


@pytest.mark.parametrize(
    "fault", [Status(503), Status(429, retry_after="300"), Reset(), Status(500)], ids=str
)
async def test_the_deadline_passes(segment: Segment, fault: Fault) -> None:
    """Once its deadline has passed it gives up; what wasn't taken is not acknowledged."""
    mailroom = Mailroom()
    delivery = mailroom.delivery_of(5)
    segment.faults.add(fault)
    with pytest.raises(TemporaryError):
        await deliver(segment, delivery)
    assert (mailroom.acknowledged, delivery.unacked, delivery.refused) == ([], 5, [])


async def test_patience() -> None:
    """Where Segment is there, and only asks for later, there is more time; without an end none."""
    limits = SendLimits(100, 475_000, 1, 4, 0, deadline=15, patience=900)
    throttled = TemporaryError("429")
    throttled.throttled = True
    assert limits.deadline_after(throttled) == 900
    assert limits.deadline_after(TemporaryError("503", retry_after=300)) == 900
    assert limits.deadline_after(TemporaryError("503")) == limits.deadline_after(None) == 15
    assert replace(limits, deadline=None).deadline_after(throttled) is None


async def test_put_off_too_long(segment: Segment) -> None:
    """When that is over as well, it says so."""
    segment.faults.add(Throttle("300"))
    with pytest.raises(TemporaryError, match="answered 429 and asks to come later"):
        await deliver(segment, Mailroom().delivery_of(5), deadline=15)


@pytest.mark.parametrize("code", [301, 302, 307])
async def test_redirects(segment: Segment, code: int) -> None:
    """A redirect accepts nothing, whatever its body says."""
    mailroom = Mailroom()
    segment.faults.add(Status(code, body='{"success": true}', times=1))
    with pytest.raises(TemporaryError, match="is SEGMENT_API_URL right"):
        await deliver(segment, mailroom.delivery_of(3))
    assert mailroom.acknowledged == []


@pytest.mark.parametrize("code", [401, 403, 404, 501])
async def test_refused_credentials(segment: Segment, code: int) -> None:
    """Who is refused, or at a wrong address, waits and says what to look at; nothing is lost."""
    mailroom, metrics = Mailroom(), Metrics()
    delivery = mailroom.delivery_of(5)
    events = delivery.events
    segment.faults.add(Status(code, times=1))
    with pytest.raises(TemporaryError, match=str(code)) as caught:
        await deliver(segment, delivery, metrics=metrics)
    assert "SEGMENT_WRITE_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.exit_code in (75, 78)
    assert (mailroom.acknowledged, delivery.unacked, delivery.refused) == ([], 5, [])
    again = mailroom.delivery(*events)
    await deliver(segment, again)
    assert arrived(segment) == list(range(5))
    assert mailroom.acknowledged == [again]


async def test_waits_for_ever(segment: Segment) -> None:
    """Without a deadline it is there as long as the outage; a stop is a stop."""
    mailroom, metrics = Mailroom(), Metrics()
    segment.faults.add(Status(401))
    delivery = mailroom.delivery_of(5)
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            await deliver(segment, delivery, deadline=None, metrics=metrics)

        tasks.start_soon(send)
        with anyio.fail_after(10):
            value = metrics.registry.get_sample_value
            while value("bridge_blocked", {"by": "segment"}) != 1:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert (mailroom.acknowledged, delivery.unacked) == ([], 5)


# Events that are refused


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_refused_batch_is_split(segment: Segment, code: int) -> None:
    """A batch that is refused as a whole is halved until its parts are taken."""
    mailroom = Mailroom()
    segment.faults.add(Status(code, times=3))
    deliveries = [mailroom.delivery_of(3), mailroom.delivery_of(5)]
    await deliver(segment, *deliveries, flush_interval=60)
    assert arrived(segment) == list(range(8))
    assert segment.duplicates <= 1, "one may have been asked about again"
    assert dead(deliveries) == []
    assert len(mailroom.acknowledged) == 2


@pytest.mark.parametrize("bad", [[0], [37], [99], [10, 11, 12], [0, 50, 99], [*range(20, 40)]])
async def test_bad_events(segment: Segment, bad: list[int]) -> None:
    """Each bad event becomes a dead letter with Segment's reason; the others arrive."""
    mailroom = Mailroom()
    segment.refuse = is_one_of(*bad)
    deliveries = [mailroom.delivery_of(20) for _ in range(5)]
    await deliver(segment, *deliveries, flush_interval=60)
    assert dead(deliveries) == bad
    assert arrived(segment) == [number for number in range(100) if number not in bad]
    assert Counter(map(id, mailroom.acknowledged)) == Counter(map(id, deliveries))
    for letter in (one for each in deliveries for one in dead_letters_of(each.refused)):
        assert letter.event == "Email Sent"
        assert "400" in letter.reason
        assert letter.body == event_of(int(letter.message_id.removeprefix("listrak-"), 16))


@pytest.mark.parametrize("events", [1, 7, 600])
async def test_everything_is_refused(segment: Segment, events: int) -> None:
    """As long as Segment takes no event at all, none is dropped: something else is wrong."""
    mailroom = Mailroom()
    segment.refuse = lambda _: True
    deliveries = [mailroom.delivery_of(events)]
    with pytest.raises(TemporaryError, match="nothing is dropped"):
        await deliver(segment, *deliveries, batch_events=600)
    assert (dead(deliveries), mailroom.acknowledged, arrived(segment)) == ([], [], [])
    assert sum(segment.requests.values()) <= MOST_BLIND_POSTS + 5


async def test_everything_is_refused_from_now_on(segment: Segment) -> None:
    """Nor where it took events before."""
    mailroom = Mailroom()
    second = mailroom.delivery_of(20)

    async def send() -> None:
        async with sending(segment) as stream:
            await stream.send(mailroom.delivery_of(3))
            await segment.wait_for(3, timeout=10)
            segment.refuse = lambda _: True
            await stream.send(second)

    with pytest.raises(TemporaryError, match="nothing is dropped"):
        await send()
    assert (dead([second]), second.unacked) == ([], 20)
    assert len(mailroom.acknowledged) == 1


async def test_a_bad_event_alone(segment: Segment) -> None:
    """A bad event by itself is known for one once Segment is seen to take others."""
    mailroom = Mailroom()
    segment.refuse = is_one_of(1)
    deliveries = [mailroom.delivery_of(1) for _ in range(3)]
    await deliver(segment, *deliveries, batch_events=1, concurrency=1)
    assert (dead(deliveries), arrived(segment)) == ([1], [0, 2])
    assert len(mailroom.acknowledged) == 3


@pytest.mark.parametrize("seed", range(4))
async def test_bad_events_and_a_bad_day(segment: Segment, seed: int) -> None:
    """With outages in the midst of the search, still every event arrives or is a dead letter.

    Every delivery is acknowledged once, and no good event is dropped.
    """
    bad = [3, 44, 45, 120]
    mailroom = Mailroom()
    segment.refuse = is_one_of(*bad)
    faults = Faults(seed=seed)
    for code in (503, 429):
        faults.add(Status(code, retry_after="0", probability=0.25))
    segment.faults = faults
    deliveries = [mailroom.delivery_of(number) for number in (1, 60, 2, 40, 47)]
    await deliver(segment, *deliveries, batch_events=40, deadline=None)
    assert dead(deliveries) == bad
    assert arrived(segment) == [number for number in range(150) if number not in bad]
    assert Counter(map(id, mailroom.acknowledged)) == Counter(map(id, deliveries))
    assert all(delivery.unacked == 0 for delivery in deliveries)
