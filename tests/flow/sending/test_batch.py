"""How batches fill."""

import gzip
from itertools import pairwise

from flow_parts import Mailroom
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.delivery import Delivery
from bridge.flow.sending.batch import Batch, Batcher
from bridge.segment import wire

MOST_BYTES = 1000
EVENTS = st.binary(min_size=1, max_size=MOST_BYTES - wire.size(0, 0) - 1)
DELIVERIES = st.lists(st.lists(EVENTS, max_size=12), max_size=8)


def fill(batcher: Batcher, deliveries: list[Delivery]) -> list[Batch]:
    batches = [batch for delivery in deliveries for batch in batcher.add(delivery)]
    if batcher:
        batches.append(batcher.take())
    return batches


@given(DELIVERIES, st.integers(1, 15))
def test_nothing_is_lost(contents: list[list[bytes]], most_events: int) -> None:
    """Of deliveries of any sizes every event is in one batch, once, and in order."""
    mailroom = Mailroom()
    deliveries = [mailroom.delivery(*events) for events in contents]
    batches = fill(Batcher(most_events=most_events, most_bytes=MOST_BYTES), deliveries)
    sent = [event for batch in batches for event in batch.events]
    assert sent == [event for events in contents for event in events]


@given(DELIVERIES, st.integers(1, 15))
def test_limits(contents: list[list[bytes]], most_events: int) -> None:
    """No batch has more events or bytes than allowed, none is empty, and its size is reckoned."""
    mailroom = Mailroom()
    batcher = Batcher(most_events=most_events, most_bytes=MOST_BYTES)
    for batch in fill(batcher, [mailroom.delivery(*events) for events in contents]):
        assert 1 <= len(batch.events) <= most_events
        assert batch.event_bytes == sum(map(len, batch.events))
        body = gzip.decompress(wire.body(batch.events))
        assert len(body) == wire.size(len(batch.events), batch.event_bytes) <= MOST_BYTES


@given(DELIVERIES, st.integers(1, 15))
def test_shares(contents: list[list[bytes]], most_events: int) -> None:
    """Each event's delivery is known, so that one is acknowledged once all its events are."""
    mailroom = Mailroom()
    deliveries = [mailroom.delivery(*events) for events in contents]
    left = {id(delivery): list(delivery.events) for delivery in deliveries}
    batches = fill(Batcher(most_events=most_events, most_bytes=MOST_BYTES), deliveries)
    filled = {owner for owner, events in left.items() if events}
    for batch in batches:
        assert sum(count for _, count in batch.parts) == len(batch.events)
        assert all(count > 0 for _, count in batch.parts)
        start = 0
        for delivery, count in batch.parts:
            for event in batch.events[start : start + count]:
                assert left[id(delivery)].pop(0) == event
            start += count
            delivery.accept(count)
    assert not any(left.values())
    assert {*map(id, mailroom.acknowledged)} == filled
    assert len(mailroom.acknowledged) == len({*map(id, mailroom.acknowledged)})


@given(DELIVERIES)
def test_batches_are_full(contents: list[list[bytes]]) -> None:
    """A batch is closed early only where the next event didn't fit."""
    mailroom = Mailroom()
    batcher = Batcher(most_events=7, most_bytes=MOST_BYTES)
    batches = fill(batcher, [mailroom.delivery(*events) for events in contents])
    for batch, following in pairwise(batches):
        wider = wire.size(len(batch.events) + 1, batch.event_bytes + len(following.events[0]) + 1)
        assert len(batch.events) == 7 or wider > MOST_BYTES


def test_a_full_batch_does_not_wait() -> None:
    """A batch with as many events as allowed goes out at once, not with the next delivery."""
    batcher = Batcher(most_events=3, most_bytes=MOST_BYTES)
    assert batcher.add(Mailroom().delivery(b"a", b"b")) == []
    assert batcher
    (batch,) = batcher.add(Mailroom().delivery(b"c"))
    assert batch.events == [b"a", b"b", b"c"]
    assert not batcher


def test_the_largest_event_and_the_smallest_batch() -> None:
    """The largest event that is sent fits into the smallest batch that can be configured."""
    batcher = Batcher(most_events=1, most_bytes=33_000)
    (batch,) = batcher.add(Mailroom().delivery(b"x" * 32_000))
    assert len(batch.events) == 1
