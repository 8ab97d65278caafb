"""What Segment fails on by itself, and what it refuses of one channel: the rest goes on."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ObjectSendStream
from flow_parts import Mailroom, event_of

from bridge.flow.delivery import Delivery
from bridge.flow.delivery import flush as flush_delivery
from bridge.flow.sending import sender as sender_module
from bridge.flow.sending.sender import Sender, SendLimits
from bridge.metrics import Metrics
from bridge.sandbox.bad_answers import Poison
from bridge.sandbox.fault import Garbage, Status
from bridge.sandbox.faults import Faults
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.segment.client import Segment as Client
from bridge.transport import retry
from bridge.transport.http import Http

pytestmark = pytest.mark.anyio

KEY = "a-write-key"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are almost nothing here."""
    monkeypatch.setattr(retry, "_quick", lambda _state: 0.005)
    monkeypatch.setattr(retry, "_slow", lambda _state: 0.005)


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with Segment(tmp_path / "segment.db", write_key=KEY, faults=Faults(seed=1)) as segment:
        yield segment


@asynccontextmanager
async def channels(
    segment: Segment, number: int = 1, *, batch_events: int = 100, concurrency: int = 2
) -> AsyncIterator[Sequence[ObjectSendStream[Delivery]]]:
    """Channels of a sender at work; a way that is still open is cut when they are left."""
    metrics = Metrics()
    limits = SendLimits(batch_events, 475_000, 0.01, concurrency, 0, None)
    async with serve(segment.app) as url, Http() as http, anyio.create_task_group() as tasks:
        sender = Sender(Client(http, metrics, base=f"{url}/v1", write_key=KEY), metrics, limits)
        into = []
        for _ in range(number):
            stream, out = anyio.create_memory_object_stream[Delivery](1000)
            into.append(stream)
            tasks.start_soon(sender.run, out)
        with anyio.fail_after(30):
            yield into
        for stream in into:
            stream.close()
        tasks.cancel_scope.cancel()


async def acknowledged(mailroom: Mailroom, number: int) -> None:
    """Until so many deliveries are acknowledged."""
    while len(mailroom.acknowledged) < number:  # noqa: ASYNC110 - the mailroom tells nobody
        await anyio.sleep(0.002)


def ids(segment: Segment) -> Counter[str]:
    return Counter(event["messageId"] for event in segment.received(unique=True))


def aside(*deliveries: Delivery) -> list[str]:
    return sorted(json.loads(e)["messageId"] for one in deliveries for e in one.aside)


@pytest.mark.parametrize(
    ("code", "bad"),
    [(500, [0]), (503, [3, 4, 90]), (403, [37]), (408, [99]), (200, [50]), (302, [98, 99])],
)
async def test_what_fails_by_itself_is_set_aside(
    segment: Segment, code: int, bad: list[int]
) -> None:
    """Whatever is answered to a batch that holds it: it is isolated, and all others arrive."""
    mailroom = Mailroom()
    # One goes first: Segment is seen to take events.
    first = mailroom.delivery_of(1)
    numbers = [f"listrak-{number + 1:032x}" for number in bad]
    for number in numbers:
        segment.faults.add(Poison(number, code))
    async with channels(segment) as (stream,):
        await stream.send(first)
        await stream.send(flush_delivery())
        await acknowledged(mailroom, 1)
        rest = [mailroom.delivery_of(20) for _ in range(5)]
        for delivery in rest:
            await stream.send(delivery)
        await acknowledged(mailroom, 6)
    assert aside(*rest) == sorted(numbers)
    assert len(ids(segment)) == 101 - len(bad)
    assert not any(delivery.refused for delivery in rest), "a 5xx is no reason to give an event up"


async def test_at_a_first_start_half_a_batch_shows_that_segment_works(segment: Segment) -> None:
    """Nothing was accepted so far: what isn't at fault is found by halves."""
    mailroom = Mailroom()
    segment.faults.add(Poison("listrak-" + "0" * 30 + "07", 500))
    delivery = mailroom.delivery_of(50)
    async with channels(segment) as (stream,):
        await stream.send(delivery)
        await acknowledged(mailroom, 1)
    assert aside(delivery) == ["listrak-" + "0" * 30 + "07"]
    assert len(ids(segment)) == 49


async def test_a_batch_that_is_too_large_for_its_way_goes_in_halves(segment: Segment) -> None:
    """Three failures, and each half is accepted: nothing of it is left, and nothing is at fault."""
    mailroom = Mailroom()
    segment.faults.add(Status(503, times=3))
    delivery = mailroom.delivery_of(50)
    async with channels(segment) as (stream,):
        await stream.send(delivery)
        await acknowledged(mailroom, 1)
    assert (delivery.aside, delivery.refused) == ([], [])
    assert segment.requests == {503: 3, 200: 2}
    assert len(ids(segment)) == 50


async def test_what_was_set_aside_goes_by_itself(segment: Segment) -> None:
    """It shares no batch with others: they aren't held up again, and it arrives once it may."""
    mailroom = Mailroom()
    poison = segment.faults.add(Poison("listrak-" + "0" * 31 + "5", 500))
    again = mailroom.delivery(*(event_of(number) for number in range(4, 7)))
    again.was_set_aside = True
    async with channels(segment) as (stream,):
        await stream.send(mailroom.delivery(event_of(1)))
        await stream.send(flush_delivery())
        await acknowledged(mailroom, 1)
        await stream.send(again)
        await acknowledged(mailroom, 2)
        assert aside(again) == ["listrak-" + "0" * 31 + "5"]
        hits = poison.hits
        assert hits <= 4
        segment.faults.clear()
        once_more = mailroom.delivery(*again.aside)
        once_more.was_set_aside = True
        await stream.send(once_more)
        await acknowledged(mailroom, 3)
    assert len(ids(segment)) == 4
    assert not once_more.aside


@pytest.mark.parametrize("fault", [Status(503), Garbage(), Status(401)], ids=str)
async def test_in_an_outage_nothing_is_set_aside(segment: Segment, fault: object) -> None:
    """While Segment takes nothing, everything waits; afterwards it arrives."""
    mailroom = Mailroom()
    async with channels(segment) as (stream,):
        await stream.send(mailroom.delivery_of(3))
        await acknowledged(mailroom, 1)
        down = segment.faults.add(fault)  # type: ignore[arg-type]
        delivery = mailroom.delivery_of(40)
        await stream.send(delivery)
        while down.hits < 20:  # noqa: ASYNC110 - faults tell nobody
            await anyio.sleep(0.002)
        assert delivery.unacked == 40
        segment.faults.clear()
        await acknowledged(mailroom, 2)
    assert (delivery.aside, delivery.refused) == ([], [])
    assert len(ids(segment)) == 43


@pytest.mark.parametrize("code", [400, 500, 401, 200])
@pytest.mark.parametrize("first", [False, True])
async def test_a_channel_that_is_refused_holds_up_no_other(
    segment: Segment, code: int, first: bool
) -> None:
    """Identifies refused as a whole wait, undropped, while tracks arrive; then they arrive too."""
    mailroom = Mailroom()
    identifies = [
        mailroom.delivery(event_of(number).replace(b'"track"', b'"identify"'))
        for number in range(1000, 1020)
    ]
    async with channels(segment, 2, batch_events=1) as (ways, tracks):
        if first:
            await ways.send(identifies.pop())
            await acknowledged(mailroom, 1)
        begun = len(mailroom.acknowledged)
        segment.faults.add(Poison('"identify"', code))
        for delivery in identifies:
            await ways.send(delivery)
        for _ in range(10):
            await tracks.send(mailroom.delivery_of(3))
        await acknowledged(mailroom, begun + 10)
        assert all(one.unacked and not one.refused and not one.aside for one in identifies)
        segment.faults.clear()
        await acknowledged(mailroom, 30)
    assert not any(one.refused or one.aside for one in identifies)


async def test_no_more_is_set_aside_than_single_events(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of them it isn't single events that fail: the channel waits."""
    monkeypatch.setattr(sender_module, "MOST_SET_ASIDE", 2)
    mailroom = Mailroom()
    poison = segment.faults.add(Poison("bad", 500))
    bad = [mailroom.delivery(event_of(number, email_subject="bad")) for number in range(50, 56)]
    async with channels(segment, batch_events=1, concurrency=4) as (stream,):
        await stream.send(mailroom.delivery_of(1))
        await acknowledged(mailroom, 1)
        for delivery in bad:
            await stream.send(delivery)
        await acknowledged(mailroom, 3)
        hits = poison.hits
        while poison.hits < hits + 20:  # noqa: ASYNC110 - faults tell nobody
            await anyio.sleep(0.002)
        assert len(mailroom.acknowledged) == 3
        segment.faults.clear()
        await acknowledged(mailroom, 7)
