"""The meanings of stored values: what holds for each column, whatever is stored.

SQLite holds to the types of columns, and the checksums to what was written. Here stands what the
code relies on besides, so that whoever reads a column need not doubt it. What is stored of somebody
else's making may be anything and isn't here, like the body of a dead letter.
"""

import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from bridge.compression import decompressed
from bridge.event_types import IDENTIFY, TRACKS
from bridge.state.cursors import BEGUN, ContactCursor, PollCursor
from bridge.state.keys import is_run

_INSTANT: Final = "is_instant({0})"
_INSTANT_OR_NOTHING: Final = f"({{0}} = '' OR {_INSTANT})"
_OBJECT: Final = "iif(json_valid({0}), json_type({0}) = 'object', 0)"
_OBJECT_OR_NULL: Final = f"({{0}} IS NULL OR {_OBJECT})"
_JSON_OR_NOTHING: Final = "({0} = '' OR json_valid({0}))"
_FLAG: Final = "{0} IN (0, 1)"
_COUNT: Final = "{0} >= 0"
_COUNT_OR_NULL: Final = "({0} IS NULL OR {0} >= 0)"
_AMOUNT: Final = "abs({0}) < 9e999"
_TIME: Final = "{0} BETWEEN 0 AND 1e12"
_TIME_OR_NULL: Final = "({0} IS NULL OR {0} BETWEEN 0 AND 1e12)"
_KIND: Final = "{0} IN ('broadcast', 'conversation', 'transactional')"
PARTS: Final = (
    *("broadcasts", "split tests", "split test", "split test message", "conversations"),
    *("conversation", "transactional messages", "campaigns", "profile fields", "message"),
    *("summary", "details", "links", "link", "contacts", "contact look-ups", "discovery"),
    *("unsubscribes", "backfill", "backfill message", "identify"),
)
"""The kinds of parts that are set aside: PartKind."""

_PART: Final = f"{{0}} IN ({', '.join(map(repr, PARTS))})"
_RUN: Final = "is_run({0})"
_POLL_CURSOR: Final = "is_poll_cursor({0})"
_CONTACT_CURSOR: Final = "is_contact_cursor({0})"
_EVENT: Final = "is_event({0})"

MEANINGS: Final[dict[str, dict[str, str]]] = {
    "meta": {
        "value": "CASE name WHEN 'since' THEN "
        + _INSTANT.format("value")
        + " WHEN 'first_start' THEN CAST(value AS REAL) >= 0"
        " WHEN 'trust' THEN json_valid(value) WHEN 'configuration' THEN json_valid(value)"
        " WHEN 'clock' THEN json_valid(value) WHEN 'waiting' THEN json_valid(value)"
        " ELSE 1 END",
    },
    "counters": {"value": _COUNT},
    "lists": {
        "discovered_at": _TIME_OR_NULL,
        "contacts_at": _TIME_OR_NULL,
        "swept_at": _TIME_OR_NULL,
        "horizon": _INSTANT_OR_NOTHING,
        "tracked_from": _INSTANT_OR_NOTHING,
        "identified_at": _TIME,
        "forgotten_revision": _COUNT,
        "unsubscribes_forgotten": _INSTANT_OR_NOTHING,
        "revision_floor": _COUNT,
    },
    "messages": {
        "kind": _KIND,
        "sent_at": _INSTANT_OR_NOTHING,
        "properties": _OBJECT_OR_NULL,
        "found_at": _TIME,
        "looked_at": _TIME_OR_NULL,
        "moved_at": _TIME_OR_NULL,
        "summary": _JSON_OR_NOTHING,
        "retired": "{0} IN (0, 1, 2)",
        "asked": _FLAG,
        "watch": _JSON_OR_NOTHING,
        "floor": _COUNT_OR_NULL,
        "first_floor": _COUNT_OR_NULL,
        "described_at": _TIME_OR_NULL,
        "properties_used": _FLAG,
    },
    "looks": {"started_at": _TIME, "summary": _JSON_OR_NOTHING, "position": _POLL_CURSOR},
    "runs": {"bucket": _COUNT, "keys": _RUN, "withheld": "{0} IN (0, 1, 2)"},
    "totals": {
        "bucket": _COUNT,
        "order_total": _AMOUNT,
        "rises": _COUNT,
        "clicks": _COUNT,
        "withheld": _AMOUNT,
        "withheld_clicks": _COUNT,
        "unwanted": _AMOUNT,
        "unwanted_clicks": _COUNT,
        "unwanted_sent": _AMOUNT,
        "unwanted_clicks_sent": _COUNT,
    },
    "event_counts": {
        "event": _EVENT,
        "amount": _AMOUNT,
        "unsent_amount": _AMOUNT,
    },
    "contacts": {"subscribed": _FLAG, "revision": _COUNT, "deleted_at": _TIME_OR_NULL},
    "contact_looks": {"sweep": _FLAG, "started_at": _TIME, "position": _CONTACT_CURSOR},
    "met": {"keys": _RUN},
    "unsubscribes": {"instant": _INSTANT_OR_NOTHING, "noted_at": _TIME},
    "causes": {"old": _FLAG, "noted_at": _TIME},
    "withheld_unsubscribes": {"instant": _INSTANT_OR_NOTHING, "properties": _OBJECT_OR_NULL},
    "outbox": {"events": _COUNT, "body": "is_page({0}, events)", "set_aside": _FLAG},
    "dead_letters": {"at": _TIME},
    "backfills": {
        "since": _INSTANT_OR_NOTHING,
        "before": _INSTANT_OR_NOTHING,
        "warehouse_only": _FLAG,
        "listed": _FLAG,
        "finished": _FLAG,
        "left_out": _COUNT,
        "messages": _COUNT,
        "sent": _COUNT,
        "missing": _COUNT,
    },
    "backfill_messages": {
        "tracked": _COUNT,
        "kind": _KIND,
        "sent_at": _INSTANT_OR_NOTHING,
        "properties": _OBJECT_OR_NULL,
        "position": _POLL_CURSOR,
    },
    "backfilled": {"event": _EVENT, "since": _INSTANT_OR_NOTHING},
    "identify_runs": {
        "started_at": _TIME,
        "position": _CONTACT_CURSOR,
        "told": _COUNT,
        "finished": _FLAG,
    },
    "identified": {"keys": _RUN},
    "set_aside": {"kind": _PART, "since": _TIME, "complete_until": _TIME_OR_NULL},
    "reversals": {"found_at": _TIME, "behind": _COUNT_OR_NULL, "told": _FLAG},
    "transactions": {"number": _COUNT},
    "erasures": {"at": _TIME, "removed": _OBJECT, "overwritten": _FLAG},
}
"""By table and column an SQL condition, true for every value that the column may have."""

_INSTANT_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3,6})?)?Z", re.ASCII)
_EVENTS: Final = frozenset({IDENTIFY, *TRACKS})


def condition(table: str, column: str) -> str | None:
    """The SQL condition of a column, None where any value of its type will do."""
    text = MEANINGS.get(table, {}).get(column)
    return None if text is None else text.format(column)


def add_functions(db: sqlite3.Connection) -> None:
    """Gives a connection the functions of the conditions."""
    for function in (is_instant, is_run, is_page, is_poll_cursor, is_contact_cursor, is_event):
        db.create_function(function.__name__, function.__code__.co_argcount, function)


def is_instant(text: str | None) -> bool:
    """Tells whether a value is an instant, of a day and an hour that there are."""
    if text is None or not _INSTANT_TEXT.fullmatch(text):
        return False
    return bool(_reads(lambda: datetime.fromisoformat(text)))


def is_page(body: bytes, events: int) -> bool:
    """Tells whether a value is a gzipped JSON array of so many events."""
    return _reads(lambda: len(msgspec.json.decode(decompressed(body), type=list[msgspec.Raw]))) == (
        events
    )


def is_poll_cursor(text: str) -> bool:
    """Tells whether a value is a cursor of a message's poll."""
    return text == BEGUN or bool(_reads(lambda: msgspec.json.decode(text, type=PollCursor)))


def is_contact_cursor(text: str) -> bool:
    """Tells whether a value is a cursor of a poll of contacts."""
    return text == BEGUN or bool(_reads(lambda: msgspec.json.decode(text, type=ContactCursor)))


def is_event(text: str) -> bool:
    """Tells whether a value is the name of a kind of event."""
    return text in _EVENTS


def _reads(read: Callable[[], object]) -> object:
    """The value that is read, None where it can't be."""
    try:
        return read()
    except (ValueError, OSError, EOFError, msgspec.MsgspecError):
        return None
