"""What can't be made again is written down before it is sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from flow_parts import event_of

from bridge.flow.acks.journal import Journal, journaled_events
from bridge.flow.ledger import Ledger
from bridge.flow.mapping.mapped_page import EventSet
from bridge.metrics import Metrics
from bridge.state.records import DeadLetter
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "bridge.db") as store:
        yield store


async def write(
    store: Store, page: EventSet, metrics: Metrics, *, already_fetched: bool = False
) -> int | None:
    """Journals a page with one effect, by a ledger at work."""
    ledger = Ledger(store, metrics)

    async def effect(store: Store) -> None:
        await store.meta.set("effect", "there")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        outbox_id = await Journal(ledger, metrics).write(
            7, page, effect, already_fetched=already_fetched
        )
        tasks.cancel_scope.cancel()
    return outbox_id


async def test_events_and_effects_together(store: Store) -> None:
    """The events are in the outbox, byte for byte, when their effects are on disk."""
    events = [event_of(1, email_subject="Grüße 🎉"), event_of(2)]
    metrics = Metrics()
    outbox_id = await write(store, EventSet(events=list(events)), metrics)
    ((stored_id, list_id, body),) = await store.outbox.pages()
    assert (stored_id, list_id) == (outbox_id, 7)
    assert journaled_events(body) == (events, {"Email Sent": 2})
    assert await store.meta.get("effect") == "there"
    assert await store.counters.all() == {"fetched": 2, "in_flight": 2}
    assert metrics.registry.get_sample_value("bridge_events_in_flight") == 2


async def test_nothing_to_be_sent(store: Store) -> None:
    """Where there are only effects, or only what can't be sent, the outbox stays empty."""
    letter = DeadLetter("Email Sent", "id", "no address", b"{}")
    assert await write(store, EventSet(dead=[letter]), Metrics()) is None
    assert await store.outbox.pages() == []
    assert await store.dead_letters.count() == 1
    assert await store.meta.get("effect") == "there"
    assert await store.counters.all() == {"fetched": 1, "dead_lettered": 1, "in_flight": 0}


async def test_counted_before(store: Store) -> None:
    """What was counted as fetched when it was noted is not counted again."""
    await write(store, EventSet(events=[event_of(1)]), Metrics(), already_fetched=True)
    assert await store.counters.all() == {"in_flight": 1}
