"""The instants of a row, as far as it can be read."""

from bridge.flow.mapping.page_mapping import PageMapping
from bridge.flow.mapping.unread import NO_ADDRESS, NO_DATE
from bridge.listrak import wire
from bridge.listrak.times import Instant


def row_instants(
    mapping: PageMapping[wire.Activity], name: str, number: int, *, activity: bool = True
) -> tuple[Instant, Instant] | None:
    """The instants of a row's send and first activity, "" for none.

    None where they can't be read, or it is about nobody: its event of that name is noted then.

    activity: the date of the first activity is needed as well.
    """
    row, zone = mapping.rows[number], mapping.zone
    if not row.email_address or not row.email_address.strip():
        mapping.note_unread(name, number, "emailAddress", NO_ADDRESS)
        return None
    try:
        sent = zone.instant(row.send_date, not_before=mapping.poll.message.sent_at)
    except ValueError:
        mapping.note_unread(name, number, "sendDate", NO_DATE)
        return None
    try:
        return sent, zone.instant(row.activity_date, sent) if activity else ""
    except ValueError:
        mapping.note_unread(name, number, "activityDate", NO_DATE)
        return None
