"""Parts that tests of the planner are made of."""

import json
from dataclasses import replace
from typing import Any

from bridge.clock import HOUR
from bridge.event_types import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, UNSUBSCRIBED
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.scan_types import ESCALATION
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.listrak import times
from bridge.state.records import Kind, Message, MessageRef

BEGAN = times.seconds("2026-05-10T12:00:00.000Z")
PROPERTIES = json.dumps(
    {"email_id": "7", "email_subject": "Grüße 🎉", "list_id": "5", "list_name": "News"},
    ensure_ascii=False,
)


def message_of(kind: Kind = "broadcast", **changes: Any) -> Message:
    """A tracked message, sent at noon UTC on 10 May 2026, in Eastern at eight."""
    ref = MessageRef(
        5,
        kind,
        7,
        conversation_id=3 if kind == "conversation" else 0,
        sent_at="2026-05-10T12:00:00.000Z" if kind == "broadcast" else "",
    )
    message = ref.never_polled(1, properties=PROPERTIES, discovered_at=1_778_414_400.0)
    return replace(message, **changes)


def snapshot_of(message: Message | None = None, **changes: Any) -> MessageSnapshot:
    """A message that is polled, of which nothing is known."""
    values: dict[str, Any] = {
        "message": message or message_of(),
        "counted": {},
        "seen": {},
        "watermarks": Watermarks(),
        "filters": FilterSupport(),
        "now": 1_778_500_000.0,
        "track": 30 * 86400.0,
    }
    return MessageSnapshot(**values | changes)


def polled_an_hour_ago(event: str, missing: float, **changes: Any) -> MessageSnapshot:
    """A broadcast message, polled an hour ago, of which something is missing since."""
    now = BEGAN + 12 * HOUR
    counted = {SENT: 1e6, OPENED: 1000.0, BOUNCED: 10.0, UNSUBSCRIBED: 5.0, CLICKED: 40.0}
    counted[CONVERTED] = 60.0
    watermarks = Watermarks()
    for name, scan_types in ESCALATION["broadcast"].items():
        watermark = watermarks.of(name)
        watermark.reconciled_at = watermark.complete_until = now - HOUR
        watermark.last_counted = counted.get(name, -1.0)
        for number in range(len(scan_types)):
            attempt = watermark.attempt(number)
            attempt.started_at = now - HOUR
    values: dict[str, Any] = {
        "message": message_of(polled_at=now - HOUR, changed_at=now - HOUR),
        "counted": {**counted, event: counted.get(event, 0) + missing},
        "seen": counted,
        "watermarks": watermarks,
        "now": now,
    }
    return snapshot_of(**values | changes)
