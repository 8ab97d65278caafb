"""What was read of Listrak, as events: by the rules of the service, in a poll like its first."""

import json
from typing import Any, Final
from zoneinfo import ZoneInfo

from bridge.event_types import EXTRA_PROPERTIES, TRACKS
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.page import ActivityPage, ClickPage, ContactPage, ContactPoll
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.pages import PageOf
from bridge.listrak.times import Zone
from bridge.segment.events import LARGEST_EVENT
from bridge.state.cursors import ContactCursor, PollCursor
from bridge.state.keys import SeenKeys
from bridge.state.records import Contact, DeadLetter, MessageRef
from bridge.state.store import Store
from fuzz.target import ADDRESS, FlawError

ZONE: Final = Zone(ZoneInfo("America/New_York"))
ACTIVITY: Final = ActivityRules(ZONE, frozenset(TRACKS), frozenset(EXTRA_PROPERTIES))
CONTACTS: Final = ContactRules(ZONE, frozenset(TRACKS))
HORIZON: Final = "2026-05-01T00:00:00.000Z"
SENT_AT: Final = "2026-05-10T12:00:00.000Z"
NOW: Final = 1_778_500_000.0
PROPERTIES: Final = json.dumps({"email_id": "7", "email_subject": "Hello", "list_id": "5"})


class _NoEnd:
    """The end of a poll that nobody waits for."""

    async def save(self, poll: MessagePoll, store: Store) -> None:
        """Saves nothing."""

    def committed(self, poll: MessagePoll) -> None:
        """Tells nobody."""


def mapped(what: str, read: Any) -> str:
    """Maps a page of rows, if it is one of rows that become events; tells what came of it.

    what: the resource that it is of.

    Raises FlawError for events that can't be sent.
    """
    if not isinstance(read, PageOf):
        return ""
    if what.startswith("activity"):
        return _judged(_of_activity(read, transactional=what.endswith("later")))
    if what == "clickers":
        return _judged(_of_clicks(read))
    if what in ("contacts", "contact"):
        return _judged(_of_contacts(read))
    return ""


def _poll(*, transactional: bool) -> MessagePoll:
    kind, sent_at = ("transactional", "") if transactional else ("broadcast", SENT_AT)
    ref = MessageRef(5, kind, 7, 0, 0, sent_at, "Hello")  # type: ignore[arg-type]
    message = ref.never_polled(1, properties=PROPERTIES, discovered_at=NOW)
    snapshot = MessageSnapshot(
        message=message,
        counted={},
        seen={},
        watermarks=Watermarks(),
        filters=FilterSupport(),
        now=NOW,
        track=30 * 86400.0,
    )
    window = PollWindow(HORIZON, floor=0, previous="2026-05-11T06:00:00.000Z")
    return MessagePoll(PlannedPoll(snapshot, PollPlan(full=True)), window, SeenKeys(), {}, _NoEnd())


def _of_activity(read: PageOf[Any], *, transactional: bool) -> MappedPage:
    cursor = PollCursor("activity", 0, "next")
    poll = _poll(transactional=transactional)
    return ACTIVITY.map_activity(
        ActivityPage(poll, 0, cursor, read.rows, read.origins, read.unread)
    )


def _of_clicks(read: PageOf[Any]) -> MappedPage:
    cursor, link = PollCursor("clicks", 9, "next"), wire.Link(9, "https://example.com/a")
    poll = _poll(transactional=False)
    return ACTIVITY.map_clicks(
        ClickPage(poll, 0, cursor, link, read.rows, read.origins, read.unread)
    )


def _of_contacts(read: PageOf[Any]) -> MappedPage:
    poll = ContactPoll(SourceList(5, "News", 777, HORIZON), False, HORIZON)
    cursor = ContactCursor("Subscribed", "next")
    page = ContactPage(poll, cursor, read.rows, NOW, unread=read.unread)
    # Every second one was told before, in another state.
    known = {
        email.lower(): Contact(email, number % 4 == 1, "before", 1, "2026-05-02T00:00:00")
        for number, email in enumerate(page.emails)
        if number % 2
    }
    return CONTACTS.map_contacts(page, known)


def _judged(page: MappedPage) -> str:
    sets = (page.reproducible, page.journaled)
    for encoded in (one for each in sets for one in each.events):
        if len(encoded) > LARGEST_EVENT:
            raise FlawError("an event is larger than Segment takes")
        event = json.loads(encoded, parse_constant=_refuse)
        if not 0 < len(event["messageId"]) < 100 or not event["anonymousId"].strip():
            raise FlawError("an event has no valid messageId, or is nobody's")
        times.seconds(event["timestamp"])
        if b"\\u0000" in encoded:
            raise FlawError("an event has a NUL")
    for letter in (*page.unread, *(one for each in sets for one in each.dead)):
        _require_kept(letter)
    for unsubscribe in page.changes.unsubscribes:
        if unsubscribe.instant:
            times.seconds(unsubscribe.instant)
    events = sum(len(each.events) for each in sets)
    return (
        f"{min(events, 3)} events, {min(len(page.unread), 3)} letters, {min(page.known, 2)} known"
    )


def _require_kept(letter: DeadLetter) -> None:
    if ADDRESS in letter.reason or "\n" in letter.reason or len(letter.reason) > 3000:
        raise FlawError("the reason of a dead letter is no harmless line")
    letter.body.decode()


def _refuse(name: str) -> None:
    raise FlawError(f"an event has {name}")
