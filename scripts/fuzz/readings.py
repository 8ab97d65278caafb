"""All that the service reads of a state file, as one text."""

from collections.abc import Sequence
from typing import Any

from bridge.flow.acks.journal import journaled_events
from bridge.listrak import times
from bridge.state.store import Store

NAMES = ("since", "first_start", "trust", "configuration", "clock", "waiting", "namespace")
"""Names of single values in the file."""


async def readings(store: Store, lists: Sequence[int]) -> str:
    """Reads a file; returns what it holds.

    lists: ids of its lists.
    """
    read: list[Any] = [await store.counters.all(), await store.lists.all()]
    read += [await store.meta.get(name) for name in NAMES]
    read += [await _outbox(store), await store.dead_letters.all(), await store.set_aside.all()]
    read += [await store.reversals.latest(), await store.erasures.unfinished()]
    read += [await store.unsubscribes.latest_noted()]
    for list_id in lists:
        read.append(await _of_list(store, list_id))
    return repr(read)


async def _outbox(store: Store) -> list[Any]:
    pages = await store.outbox.pages()
    return [journaled_events(body) for _, _, body in pages] + [await store.outbox.set_aside()]


async def _of_list(store: Store, list_id: int) -> list[Any]:
    read: list[Any] = [await store.contacts.following(list_id, "", 10_000)]
    read += [await store.contacts.twins(list_id), await store.contact_polls.open_one(list_id)]
    read += [await store.contact_polls.seen_in_sweep(list_id)]
    read += [await store.identify_runs.of(list_id)]
    read += [await store.identify_runs.told(list_id), await store.lists.tracked_from(list_id)]
    read += [await store.unsubscribes.kept(list_id)]
    read += [await store.unsubscribes.has_old_attributions(list_id)]
    for kind in ("history", "events"):
        backfill = await store.backfills.of(list_id, kind)
        read.append(backfill)
        if backfill is not None:
            read.append(await store.backfills.next(backfill))
            _require_instants(backfill.since, backfill.before)
    for message in await store.messages.all_of(list_id):
        read += [message, await store.polls.open_one(message.id)]
        read += [await store.seen_events.runs(message.id)]
        read += [await store.seen_events.totals(message.id)]
        read += [await store.event_counts.of(message.id)]
        _require_instants(message.sent_at)
    return read


def _require_instants(*instants: str) -> None:
    """Reads instants, as who goes by them does."""
    for instant in instants:
        if instant:
            times.seconds(instant)
