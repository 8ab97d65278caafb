"""Explanations of an id: of an email of Listrak, or of an event of ours."""

from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.clock import DAY
from bridge.commands.comparison import lines_of
from bridge.commands.explanation.contact_ids import event_of_contact
from bridge.commands.explanation.person import kept_events
from bridge.environment.settings import Settings
from bridge.errors import RefusedError, TemporaryError, is_isolated
from bridge.event_types import CONVERTED, IDENTIFY, UNSUBSCRIBED
from bridge.flow.findings.finding import Outcome
from bridge.flow.planner.watermarks import read_watermarks
from bridge.flow.scheduling import schedule
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.output import texts
from bridge.segment.events import Fingerprint
from bridge.state.keys import SeenKeys, heads
from bridge.state.records import Message
from bridge.state.seen_events import EARLY, SENT, UNWANTED
from bridge.state.store import Store

OUTCOMES = {
    SENT: Outcome("sent"),
    EARLY: Outcome(
        "withheld", "before the start horizon of its list, unless a backfill has sent it"
    ),
    UNWANTED: Outcome("withheld", "not in BRIDGE_EVENTS when it was seen"),
}
"""The outcome of an event whose key is known, by what the key is kept as."""

NOT_REMEMBERED = (
    f"Of {CONVERTED} and of clicks that are only counted no key is kept, nor of what is no longer "
    f"tracked; of {UNSUBSCRIBED} only the latest of a contact is known, of {IDENTIFY} none with a "
    "userId that it no longer has: such an id can't be found once it is sent."
)


async def explain_email(
    settings: Settings, store: Store, listrak: Listrak, number: int
) -> list[dict[str, Any]]:
    """The emails with an id, with all that is known of them; several kinds may have the same."""
    return [
        await _email(settings, store, listrak, message)
        for state in await store.lists.all()
        for message in await store.messages.all_of(state.list_id)
        if message.message_id == number
    ]


async def _email(
    settings: Settings, store: Store, listrak: Listrak, message: Message
) -> dict[str, Any]:
    until = "while it goes on sending, each send for BRIDGE_TRACK_DAYS"
    if message.kind == "broadcast":
        until = times.from_seconds(schedule.sent_at(message) + settings.track_days * DAY)
    watermarks = read_watermarks(message.watermarks)
    return {
        "list_id": message.list_id,
        "kind": message.kind,
        "message": message.path,
        "subject": message.subject,
        "sent_at": message.sent_at or None,
        "discovered_at": times.from_seconds(message.discovered_at),
        "tracked_until": None if message.untracked else until,
        "polled_at": _instant(message.polled_at),
        "changed_at": _instant(message.changed_at),
        "complete_until": {
            event: _instant(mark.complete_until or None)
            for event, mark in watermarks.by_event.items()
        },
        "events": [] if message.untracked else await _numbers(settings, store, listrak, message),
    }


async def _numbers(
    settings: Settings, store: Store, listrak: Listrak, message: Message
) -> list[dict[str, Any]]:
    """Numbers by event: what was seen, sent and withheld, beside Listrak's own."""
    lines, unread = {}, ""
    if any(one.list_id == message.list_id for one in settings.lists):
        try:
            lines = {line.event: line for line in await lines_of(store, listrak, message)}
        except (TemporaryError, RefusedError) as error:
            if not is_isolated(error):
                raise
            unread = f"Listrak's counters can't be read now: {error}"
    counts = await store.event_counts.of(message.id)
    numbers = []
    for event in [*counts, *(name for name in lines if name not in counts)]:
        count, line = counts.get(event), lines.get(event)
        numbers.append(
            {
                "event": event,
                "listrak": None if line is None else line.figures.listrak,
                "seen": count.seen if count else line.figures.seen if line else 0,
                "withheld": count.unsent if count else 0,
                "dead": count.dead if count else 0,
                "reason": unread if line is None else line.reason,
            }
        )
    return numbers


async def explain_event(
    store: Store, zone: Zone, message_id: str, fingerprint: Fingerprint
) -> dict[str, Any]:
    """An event by its messageId, as far as it is known; `fingerprint`: what that is made of."""
    # Keys first: what is acknowledged meanwhile is sent, and not in flight.
    found = await _key(store, fingerprint) or await _of_contact(store, zone, fingerprint)
    kept = await kept_events(store)
    if (outcome := kept.outcome_of(message_id)) is not None:
        found |= outcome._asdict()
    return {"message_id": message_id, **found}


async def _of_contact(store: Store, zone: Zone, fingerprint: Fingerprint) -> dict[str, Any]:
    """The event of a contact that has a fingerprint."""
    outcome = await event_of_contact(store, zone, fingerprint)
    if outcome is None:
        return {"status": "not found", "reason": NOT_REMEMBERED}
    return outcome._asdict()


async def _key(store: Store, fingerprint: Fingerprint) -> dict[str, Any]:
    """The place of an event's key among those seen; empty where it isn't."""
    key = heads([fingerprint])
    for state in await store.lists.all():
        for message in await store.messages.all_of(state.list_id):
            for withheld, outcome in OUTCOMES.items():
                runs = await store.seen_events.runs(message.id, withheld=withheld)
                if not len(SeenKeys.unmerged(runs).unseen(key)):
                    return {**outcome._asdict(), "message": message.path}
    return {}


def show_emails(emails: list[dict[str, Any]], console: Console) -> None:
    """Prints what is known of emails."""
    for email in emails:
        subject = texts.without_addresses(email["subject"] or "")
        console.print(f"List {email['list_id']}, {email['kind']} {email['message']}: {subject}")
        for name, words, without in (
            ("sent_at", "sent", "not known"),
            ("discovered_at", "discovered", ""),
            ("tracked_until", "tracked until", "no longer tracked: its numbers are forgotten"),
            ("polled_at", "read to its end last", "never"),
            ("changed_at", "anything new last", "never"),
        ):
            console.print(f"  {words}: {email[name] or without}")
        table = Table("event", "Listrak", "seen", "withheld", "dead", "complete until", "")
        for line in email["events"]:
            table.add_row(
                line["event"],
                "" if line["listrak"] is None else f"{line['listrak']:,g}",
                f"{line['seen']:,g}",
                f"{line['withheld']:,}",
                f"{line['dead']:,}",
                email["complete_until"].get(line["event"]) or "",
                line["reason"],
            )
        if table.row_count:
            console.print(table)


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else times.from_seconds(seconds)
