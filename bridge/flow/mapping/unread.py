"""Dead letters of rows that can't be read for certain: one for a row, whatever is wrong with it.

What a row shows besides is sent; what depends on the part that can't be read is sent once Listrak
has mended the row, as nothing of that counts as seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from bridge.event_types import EVENT_TYPES
from bridge.listrak import lenient, wire
from bridge.listrak.pages import UnreadRow
from bridge.segment import events
from bridge.state.records import DeadLetter

NO_ADDRESS: Final = "empty"
"""The fault of an address that is nobody's."""

NO_DATE: Final = "no date"
"""The fault of a date that is none."""

EVENT_OF_FIELD: Final = {
    field.encode_name: event
    for event in EVENT_TYPES
    for field in msgspec.structs.fields(wire.Activity)
    if field.name == event.row_field
}
"""The kind of event that a field of an activity row shows, by the name that it has in Listrak."""

# Of the resources whose rows name what is read next: a row without its id is more than a name.
_LISTINGS: Final = frozenset(
    [
        "messages",
        "conversations",
        "conversation messages",
        "split tests",
        "split test messages",
        "transactional messages",
        "links",
    ]
)
# A row is told from others by these; without one of them, by all that it holds.
_IDENTITY: Final = ("emailAddress", "sendDate")
_ACTIVITY_DATE: Final = "activityDate"


def letter_of(
    resource: str, path: str, fields: Mapping[str, str], raw: Any, *, told_apart_by: Any = None
) -> DeadLetter:
    """The dead letter of a row.

    path: of the resource, without an address.
    fields: what is wrong with which field; "" for the row.
    raw: the row as it came.
    told_apart_by: what tells it from others of the resource; None for all that it holds.
    """
    body = lenient.encoded(raw)
    own = body if told_apart_by is None else lenient.encoded(told_apart_by)
    what = events.identity("unreadable", resource, path, "").encode() + own
    reason = UnreadRow(None, dict(fields), raw).reason
    return DeadLetter(
        resource,
        events.message_id(events.digest(what)),
        f"{resource} of {path}: a row can't be read for certain: {reason}",
        body,
    )


def letter_of_activity(path: str, fields: Mapping[str, str], raw: Any) -> DeadLetter:
    """The dead letter of an activity row: another one only when what depends on it is another."""
    own = None
    if isinstance(raw, dict) and not fields.keys() & {"", *_IDENTITY}:
        names = {*_IDENTITY, *fields}
        if _ACTIVITY_DATE in fields:
            names |= EVENT_OF_FIELD.keys()
        own = [[name, raw.get(name)] for name in sorted(names)]
    return letter_of("activity", path, fields, raw, told_apart_by=own)


def letters_of_listing(resource: str, path: str, rows: Sequence[UnreadRow]) -> list[DeadLetter]:
    """The dead letters of rows of a listing by which nothing can be asked for."""
    if resource not in _LISTINGS:
        return []
    return [letter_of(resource, path, row.fields, row.raw) for row in rows if row.number is None]
