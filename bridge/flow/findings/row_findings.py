"""Findings of rows of a message: the events that follow from them, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from bridge.event_types import CLICKED, CONVERTED, TRACKS, DateRule, event_type
from bridge.flow.findings.finding import Finding, Made, Outcome, fingerprint_of, made
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.page import ActivityPage, ClickPage
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone, canonical
from bridge.state.cursors import PollCursor
from bridge.state.keys import SeenKeys, heads
from bridge.state.records import Message, Total
from bridge.state.seen_events import EARLY, UNWANTED
from bridge.state.store import Store

_NOWHERE = PollCursor("activity", 0, wire.START)


@dataclass(frozen=True)
class SeenMessage:
    """A message with what was seen of it.

    keys: of events, by why they were withheld (see SeenEvents).
    totals: cumulative values by key.
    horizon: the start horizon of its list.
    backfilled_since: since when a finished backfill sent what lies before it; "" for none.
    """

    message: Message
    keys: Mapping[int, SeenKeys]
    totals: Mapping[int, Total]
    horizon: Instant
    backfilled_since: Instant = ""

    def withheld_for(self, message_id: str) -> int | None:
        """The reason why an event that was seen was withheld; None for one that wasn't seen."""
        fingerprint = fingerprint_of(message_id)
        if fingerprint is None:
            return None
        key = heads([fingerprint])
        for reason, seen in self.keys.items():
            if not len(seen.unseen(key)):
                return reason
        return None


class _NoEnd:
    """The end of a poll that is never made."""

    async def save(self, poll: MessagePoll, store: Store) -> None: ...

    def committed(self, poll: MessagePoll) -> None: ...


@dataclass(frozen=True)
class RowFindings:
    """Finds what follows from rows, by the rules of the service: as if none had been seen before.

    wanted: names of the events that the service sends.
    """

    zone: Zone
    namespace: str
    wanted: frozenset[str]
    rules: ActivityRules = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", ActivityRules(self.zone, frozenset(TRACKS)))

    def of_row(self, seen: SeenMessage, row: wire.Activity) -> list[Finding]:
        """The events of an activity row."""
        poll = self._poll(seen, {})
        self._map(poll, row)
        # What the mapping now knows of its totals tells the key of the row.
        key = next(iter(poll.totals), 0)
        known = seen.totals.get(key)
        poll = self._poll(seen, {} if known is None else {key: _before(known, row)})
        findings = self._of_events(seen, row, self._map(poll, row), known)
        if known is not None and known.rises and _has_risen(known, row):
            # The rise before it, by the same rules: as the row was then.
            before = msgspec.structs.replace(row, order_total=known.order_total)
            mapped = self._map(self._poll(seen, {key: _before(known, before)}), before)
            latest = self._of_events(seen, before, mapped, known)
            findings += [finding for finding in latest if finding.event == CONVERTED]
        return findings

    def _of_events(
        self, seen: SeenMessage, row: wire.Activity, mapped: MappedPage, known: Total | None
    ) -> list[Finding]:
        """Findings of the events that a row was mapped to; `known`: its totals."""
        findings: list[Finding] = []
        clicks = 0
        for event in _events(mapped):
            outcome: Outcome | None = None
            if event.event == CONVERTED:
                outcome = _of_order(known, row, seen.backfilled_since)
            elif event.event == CLICKED:
                clicks += 1
                outcome = _of_click(known, clicks, seen.backfilled_since)
            findings.append(self._finding(seen, event, outcome, row.send_date))
        path = seen.message.path
        return findings + [
            Finding(
                *(seen.message.list_id, path, letter.event, letter.message_id, ""),
                *("not seen yet", letter.reason),
            )
            for letter in mapped.unread
        ]

    def of_click(self, seen: SeenMessage, link: wire.Link, row: wire.Clicker) -> Finding | None:
        """The event of one click on a link."""
        poll = self._poll(seen, {})
        mapped = self.rules.map_clicks(ClickPage(poll, 0, _NOWHERE, link, [row], None))
        for event in _events(mapped):
            return self._finding(seen, event, None, row.click_date)
        return None

    def _poll(self, seen: SeenMessage, totals: dict[int, Total]) -> MessagePoll:
        """A poll that has seen nothing, with nothing before its horizon."""
        snapshot = MessageSnapshot(
            message=seen.message,
            counted={},
            seen={},
            watermarks=Watermarks(),
            filters=FilterSupport(None),
            now=0.0,
            track=0.0,
        )
        planned = PlannedPoll(snapshot, PollPlan(full=True))
        window = PollWindow("", floor=0)
        return MessagePoll(planned, window, SeenKeys(), totals, _NoEnd(), namespace=self.namespace)

    def _map(self, poll: MessagePoll, row: wire.Activity) -> MappedPage:
        return self.rules.map_activity(ActivityPage(poll, 0, _NOWHERE, [row], None))

    def _finding(
        self, seen: SeenMessage, event: Made, outcome: Outcome | None, date: str | None
    ) -> Finding:
        message = seen.message
        bucket = self._poll(seen, {}).buckets([canonical(date)])[0]
        if outcome is None:
            outcome = self._of_key(seen, event)
        if outcome.status == "not seen yet":
            outcome = self._of_unseen(seen, event, bucket)
        dated = event_type(event.event).date_rule is not DateRule.BEST_KNOWN
        return Finding(
            message.list_id,
            message.path,
            event.event,
            event.message_id,
            event.timestamp if dated else "",
            *outcome,
        )

    def _of_key(self, seen: SeenMessage, event: Made) -> Outcome:
        match seen.withheld_for(event.message_id):
            case None:
                return Outcome("not seen yet")
            case int(reason) if reason == EARLY:
                since = seen.backfilled_since
                if since and since <= event.timestamp:
                    return Outcome(
                        "sent", f"by the backfill since {since[:10]}, if it was in BRIDGE_EVENTS"
                    )
                return Outcome("withheld", _early(seen.horizon))
            case int(reason) if reason == UNWANTED:
                return Outcome("withheld", _UNWANTED)
            case _:
                return Outcome("sent")

    def _of_unseen(self, seen: SeenMessage, event: Made, bucket: int) -> Outcome:
        """The outcome of an event that is not remembered: why that is, and what will be."""
        message = seen.message
        if message.floor is not None and bucket < message.floor:
            return Outcome(
                "untracked", "so old that it is no longer remembered whether it was sent"
            )
        if event.event not in self.wanted:
            return Outcome("not seen yet", "not in BRIDGE_EVENTS: it is not sent")
        if message.polled_at is None:
            early = bool(event.timestamp) and event.timestamp < seen.horizon
            return Outcome("not seen yet", _early(seen.horizon) if early else "never polled yet")
        return Outcome("not seen yet")


_BY_BACKFILL = "by backfill --events, under an id of its own"
_UNWANTED = "not in BRIDGE_EVENTS when it was seen; backfill --events brings it"


def _early(horizon: Instant) -> str:
    return f"before the start horizon of the list ({horizon[:10]})"


def _events(mapped: MappedPage) -> list[Made]:
    """The events of a page, those that can't be sent among them."""
    sets = (mapped.reproducible, mapped.journaled)
    return [event for one in sets for event in made(one.events)] + [
        Made(letter.message_id, letter.event) for one in sets for letter in one.dead
    ]


def _has_risen(known: Total, row: wire.Activity) -> bool:
    """Tells whether a row's order total is above the known one."""
    return round((row.order_total or 0.0) - known.order_total, 6) > 0


def _before(known: Total, row: wire.Activity) -> Total:
    """Totals from which a row rises to the event that is of interest.

    That is the next one where it has risen, else the latest; of clicks, all.
    """
    if _has_risen(known, row):
        return replace(known, clicks=0)
    return Total(rises=max(known.rises - 1, 0))


def _of_order(known: Total | None, row: wire.Activity, backfilled: Instant) -> Outcome:
    """The outcome of the order event of a row, by what is known of its amounts."""
    if known is None or _has_risen(known, row):
        return Outcome("not seen yet")
    unwanted = known.unwanted - known.unwanted_sent
    sent = round(known.order_total - known.withheld - unwanted, 6)
    rises = "" if known.rises < 2 else f"the latest of {known.rises} rises; "
    if not known.withheld and not known.unwanted:
        return Outcome("sent", f"{rises}{sent:,.2f} in all" if rises else "")
    amounts = [f"{sent:,.2f} sent"] if sent > 0 else []
    if known.unwanted_sent:
        amounts.append(f"{known.unwanted_sent:,.2f} of it {_BY_BACKFILL}")
    if known.withheld:
        amounts.append(f"{known.withheld:,.2f} {_early_total(backfilled)}")
    if unwanted:
        amounts.append(f"{unwanted:,.2f} not in BRIDGE_EVENTS then; backfill --events brings it")
    return Outcome("sent" if sent > 0 else "withheld", rises + ", ".join(amounts))


def _of_click(known: Total | None, number: int, backfilled: Instant) -> Outcome:
    """The outcome of a row's click that is only counted."""
    if known is None or number > known.clicks:
        return Outcome("not seen yet")
    if number <= known.withheld_clicks:
        return Outcome("withheld", _early_total(backfilled))
    left, by_backfill = known.unwanted_clicks - known.unwanted_clicks_sent, ""
    if known.unwanted_clicks_sent:
        by_backfill = f"{known.unwanted_clicks_sent} of the row's {_BY_BACKFILL}"
    if left and known.clicks - known.withheld_clicks == left:
        return Outcome("withheld", _UNWANTED)
    if left:
        return Outcome("sent", f"or one of {left} of the row that were not in BRIDGE_EVENTS")
    return Outcome("sent", by_backfill)


def _early_total(backfilled: Instant) -> str:
    """The reason of what was withheld of totals; whether a backfill has sent it isn't kept."""
    also = f", or sent by the backfill since {backfilled[:10]}" if backfilled else ""
    return f"from before the start horizon of the list{also}"
