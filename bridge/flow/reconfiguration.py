"""Takes over another configuration: the one place that acts on what has changed since last time."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from bridge.flow.configuration import Change, Configuration, changes
from bridge.flow.ledger import Ledger
from bridge.flow.source import KnownList, SourceList
from bridge.listrak import times
from bridge.listrak.times import Instant, Zone
from bridge.output.logs import log
from bridge.state.store import Store

CONFIGURATION = "configuration"
"""The name under which the state file keeps the configuration that it was last run with."""

SWEPT: Final = ("profile_field", "ignored_user_ids")
"""Kinds of changes after which all contacts of a list are swept: their userIds may be others."""


async def remembered_lists(store: Store) -> dict[int, KnownList]:
    """The lists as they were last read, by id."""
    text = await store.meta.get(CONFIGURATION)
    if text is None:
        return {}
    before = msgspec.json.decode(text, type=Configuration)
    names = {state.list_id: state.list_name for state in await store.lists.all()}
    return {
        list_id: KnownList(names.get(list_id) or "", field_id, before.fields.get(list_id))
        for list_id, field_id in (before.resting | before.lists).items()
    }


async def pending_changes(
    store: Store, present: Configuration, degraded: Collection[int]
) -> list[Change]:
    """The changes that a start with the present configuration would make; only reads.

    degraded: ids of configured lists that can't be read for now: of them nothing changes.
    """
    return (await _compare(store, present, degraded)).found


async def take_over(
    ledger: Ledger,
    present: Configuration,
    sources: Sequence[SourceList],
    at: Instant,
    degraded: Collection[int],
) -> Configuration:
    """Acts on what has changed, logs a sentence for each change, remembers the configuration.

    sources: with the start horizon of those that are read the first time.
    at: the present by Listrak's clock.
    degraded: ids of configured lists that can't be read for now: of them nothing changes.

    Returns the configuration that holds from now on.
    """
    compared = await _compare(ledger.store, present, degraded)
    present = compared.present

    async def work(store: Store) -> None:
        for source in sources:
            await store.lists.begin(source.list_id, source.name, source.horizon, present.zone)
        await _act(compared, at, store)
        await store.meta.set(CONFIGURATION, msgspec.json.encode(present).decode())

    await ledger.commit(work)
    for change in compared.found:
        log.warning(
            "configuration.changed", kind=change.kind, list=change.list_id, text=change.sentence
        )
    return present


async def _act(compared: "_Comparison", at: Instant, store: Store) -> None:
    """Does what changes call for; all others only hold from now on."""
    before, present, found = compared
    for change in found:
        if change.kind in SWEPT and change.list_id is not None:
            # A poll that is open has read a part of the contacts in the other way.
            await store.contact_polls.request_sweep(change.list_id)
        elif change.kind == "write_key":
            # Whom `identify --all` has told so far isn't known to the other source.
            await store.identify_runs.begin_anew(times.seconds(at))
        elif change.kind == "zone" and before is not None:
            # Dates that were read stand for Listrak's own texts.
            zone, other = Zone(ZoneInfo(present.zone)), before.zone
            await store.messages.move_dates(partial(zone.moved, other=other))


class _Comparison(NamedTuple):
    """The configuration of last time, None for none; the present one; how they differ."""

    before: Configuration | None
    present: Configuration
    found: list[Change]


async def _compare(store: Store, present: Configuration, degraded: Collection[int]) -> _Comparison:
    known = await _horizons(store)
    before = await _remembered(store, present, known)
    if before is None:
        return _Comparison(None, present, [])
    known_by_then = before.lists.keys() & set(degraded)
    unchanged = {list_id: before.lists[list_id] for list_id in known_by_then}
    lists, fields = present.lists | unchanged, before.fields | present.fields
    read_once = before.resting | before.lists
    resting = {each: field for each, field in read_once.items() if each not in lists}
    present = msgspec.structs.replace(present, lists=lists, resting=resting, fields=fields)
    return _Comparison(before, present, changes(before, present, known))


async def _horizons(store: Store) -> dict[int, Instant]:
    return {state.list_id: state.horizon for state in await store.lists.all() if state.horizon}


async def _remembered(
    store: Store, present: Configuration, known: Mapping[int, Instant]
) -> Configuration | None:
    """The configuration of last time; None where there was none.

    An older version remembered only which lists it had read: the rest counts as unchanged.
    """
    text = await store.meta.get(CONFIGURATION)
    if text is not None:
        return msgspec.json.decode(text, type=Configuration)
    if not known:
        return None
    lists = {list_id: present.lists.get(list_id) for list_id in known}
    return msgspec.structs.replace(present, lists=lists)
