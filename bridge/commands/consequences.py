"""The consequences of changed settings, as `check` shows them before a start."""

from collections.abc import Sequence

from bridge.commands.contact_count import count_subscribed
from bridge.environment.settings import Settings
from bridge.flow.configuration import Change
from bridge.flow.reconfiguration import SWEPT, pending_changes
from bridge.flow.source import SourceList
from bridge.listrak.client import Listrak
from bridge.present import configuration_of, horizon_from
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.store import Store


async def consequences(
    store: Store, settings: Settings, found: Sequence[SourceList], listrak: Listrak
) -> list[str]:
    """A sentence for each consequence, with numbers where the state file or Listrak has them.

    found: the configured lists that can be read; of the others nothing is told.
    """
    if await store.version() < SCHEMA_VERSION:
        return ["the state file is of an older version: the first start brings it up to date"]
    degraded = {setting.list_id for setting in settings.lists} - {one.list_id for one in found}
    present = configuration_of(settings, found)
    changes = await pending_changes(store, present, degraded)
    return [await _sentence(change, store, settings, listrak) for change in changes]


async def _sentence(change: Change, store: Store, settings: Settings, listrak: Listrak) -> str:
    where = f"list {change.list_id} " if change.list_id is not None else ""
    number = ""
    if change.kind == "list_added" and change.list_id is not None:
        number = await _subscribed(listrak, change.list_id, settings)
        number += f". Started now, it begins at {horizon_from(settings, listrak.clock.now())}"
    elif change.kind == "list_begun" and change.list_id is not None:
        number = await _subscribed(listrak, change.list_id, settings)
    elif change.kind in SWEPT and change.list_id is not None:
        number = _known(await store.contacts.count(change.list_id), settings)
    elif change.kind == "write_key":
        lists = [await store.contacts.count(each.list_id) for each in settings.lists]
        number = _known(sum(lists), settings)
    elif change.kind == "events_widened":
        number = await _withheld(store, settings)
    return f"{where}{change.sentence}{number}"


async def _subscribed(listrak: Listrak, list_id: int, settings: Settings) -> str:
    contacts = await count_subscribed(listrak, list_id)
    return f", {contacts} by now{_minutes(contacts.number, settings)}"


async def _withheld(store: Store, settings: Settings) -> str:
    lists = [each.list_id for each in settings.lists]
    emails = [len(await store.seen_events.with_unwanted(list_id)) for list_id in lists]
    left = [await store.unsubscribes.count_withheld(list_id) for list_id in lists]
    return (
        f". Withheld by now, of whatever kind: events of {sum(emails):,} emails and "
        f"{sum(left):,} unsubscribes"
    )


def _known(contacts: int, settings: Settings) -> str:
    return f". {contacts:,} contacts are known{_minutes(contacts, settings)}"


def _minutes(events: int, settings: Settings) -> str:
    rate = settings.events_per_second
    if not rate:
        return ""
    return f": about {max(1, round(events / rate / 60)):,} min at {rate:,.0f} events/s"
