"""What is known of messages between two polls."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from planner_parts import message_of

from bridge.event_types import OPENED, SENT
from bridge.flow.ledger import Ledger
from bridge.flow.message_cache import FILTER_SUPPORT, MessageCache
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.watermarks import Watermarks
from bridge.metrics import Metrics
from bridge.state.records import EventCount
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

NOW = 1_778_500_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "bridge.db") as store:
        yield store


async def test_polls_at_once_share_what_they_learn(store: Store) -> None:
    """However many ask for it first at the same time: what the account supports is one thing."""
    cache = MessageCache(Ledger(store, Metrics()))
    given: list[FilterSupport] = []

    async def ask() -> None:
        given.append(await cache.filters())

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(ask)
    assert len(given) == 4
    assert len({id(one) for one in given}) == 1
    given[0].record_filter_refusal("open", NOW)
    assert not (await cache.filters()).accepts("open", NOW)


async def test_what_an_earlier_run_learned(store: Store) -> None:
    """A later process goes on with what the state file keeps."""
    filters = FilterSupport()
    filters.record_filter_refusal("open", NOW)
    async with store.transaction():
        await store.meta.set(FILTER_SUPPORT, filters.text())
    cache = MessageCache(Ledger(store, Metrics()))
    assert not (await cache.filters()).accepts("open", NOW)
    assert (await cache.filters()).accepts("bounce", NOW)


async def test_numbers_are_read_anew_once_forgotten(store: Store) -> None:
    """Numbers are asked for once, until pages of the message were saved."""
    cache, message = MessageCache(Ledger(store, Metrics())), message_of()
    assert await cache.counts_of(message) == {}
    async with store.transaction():
        await store.event_counts.add(message.id, {SENT: EventCount(3)})
    assert await cache.counts_of(message) == {}
    cache.forget_counts(message)
    assert (await cache.counts_of(message))[SENT].seen == 3


async def test_watermarks(store: Store) -> None:
    """They come from the state file, follow each poll, and go with the message."""
    watermarks = Watermarks()
    watermarks.of(OPENED).reconciled_at = NOW
    message = message_of(watermarks=watermarks.text())
    cache = MessageCache(Ledger(store, Metrics()))
    assert cache.reconciled_at(message.id, OPENED) is None, "nothing is known before it is polled"
    assert cache.watermarks_of(message).of(OPENED).reconciled_at == NOW
    later = watermarks.copy()
    later.of(OPENED).reconciled_at = NOW + 60
    cache.set_watermarks(message, later)
    assert cache.reconciled_at(message.id, OPENED) == NOW + 60
    cache.forget(message)
    assert cache.reconciled_at(message.id, OPENED) is None
