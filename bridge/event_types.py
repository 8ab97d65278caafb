"""The kinds of event, a row for each: what shows it, what counts it, which date it goes by.

A new kind of event begins here; README.md tells what else it needs ("Where to add").
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

# Names, as Segment's catalogue page of the Listrak source has them.
SENT: Final = "Email Sent"
OPENED: Final = "Email Opened"
CLICKED: Final = "Email Link Clicked"
BOUNCED: Final = "Email Bounced"
SPAM: Final = "Email Marked As Spam"
CONVERTED: Final = "Email Converted"
UNSUBSCRIBED: Final = "Unsubscribed"
IDENTIFY: Final = "identify"

# Properties that Listrak's own source doesn't send.
BOUNCE_REASON: Final = "bounce_reason"
LINK_DESCRIPTION: Final = "link_description"
CAMPAIGN_ID: Final = "campaign_id"

EXTRA_PROPERTIES: Final = (BOUNCE_REASON, LINK_DESCRIPTION, CAMPAIGN_ID)
"""The names of properties that are sent only where they are asked for."""


class Evidence(Enum):
    """The part of an activity row that shows an event."""

    SEND = "send"
    """The row itself: there is one for each send."""
    FLAG = "flag"
    """A field that is true."""
    AMOUNT = "amount"
    """A cumulative order total that is not null; each rise is one event."""
    COUNT = "count"
    """A cumulative number of clicks above 0."""


class DateRule(Enum):
    """The source of an event's date."""

    SEND_DATE = "send date"
    """The row's sendDate: its own date, exact at any poll."""
    FIRST_ACTIVITY = "first activity"
    """The row's activityDate: exact at a message's first poll, later perhaps another activity's."""
    BEST_KNOWN = "best known"
    """No date of its own: the first activity or the previous poll that would have shown it, if
    later."""
    CLICK_DATE = "click date"
    """The clickDate of a clicker; best known where a row only counts clicks."""
    CONTACT_DATE = "contact date"
    """The contact's unsubscribe date: the row only attributes it to a message."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event."""

    name: str
    """Its name in Segment, one of TRACKS."""
    row_field: str | None
    """Field of an activity row that shows it; None for a send, which the row itself shows."""
    evidence: Evidence
    """The way in which that field shows it."""
    activity_type: str | None
    """Value of the activityType parameter that asks for its rows; None where there is none.

    Listrak documents no values: these are the names of the row's and the Summary's fields
    (bridge/listrak/FACTS.md: Filters).
    """
    counter: str | None
    """Field of a Summary that counts it; None where Listrak counts none."""
    date_rule: DateRule
    """The source of its date."""
    extra_property: str | None = None
    """Field of an activity row that is sent as a property of that name where it is asked for."""

    def is_shown_by(self, row: object) -> bool:
        """Tells whether an activity row shows it; an order total of 0 does, 0 clicks don't."""
        if self.row_field is None:
            return True
        value = getattr(row, self.row_field)
        return value is not None if self.evidence is Evidence.AMOUNT else bool(value)


EVENT_TYPES: Final = (
    EventType(
        SENT,
        row_field=None,
        evidence=Evidence.SEND,
        activity_type=None,
        counter="sent_count",
        date_rule=DateRule.SEND_DATE,
    ),
    EventType(
        OPENED,
        row_field="open",
        evidence=Evidence.FLAG,
        activity_type="open",
        counter="open_count",
        date_rule=DateRule.FIRST_ACTIVITY,
    ),
    EventType(
        CLICKED,
        row_field="click_count",
        evidence=Evidence.COUNT,
        activity_type="click",
        counter="click_count",
        date_rule=DateRule.CLICK_DATE,
    ),
    EventType(
        BOUNCED,
        row_field="bounce",
        evidence=Evidence.FLAG,
        activity_type="bounce",
        counter="bounce_count",
        date_rule=DateRule.FIRST_ACTIVITY,
        extra_property=BOUNCE_REASON,
    ),
    EventType(
        SPAM,
        row_field="abuse",
        evidence=Evidence.FLAG,
        activity_type="abuse",
        counter=None,
        date_rule=DateRule.BEST_KNOWN,
    ),
    EventType(
        CONVERTED,
        row_field="order_total",
        evidence=Evidence.AMOUNT,
        activity_type="conversion",
        counter="conversion_count",
        date_rule=DateRule.BEST_KNOWN,
    ),
    EventType(
        UNSUBSCRIBED,
        row_field="unsubscribe",
        evidence=Evidence.FLAG,
        activity_type="unsubscribe",
        counter="unsubscribe_count",
        date_rule=DateRule.CONTACT_DATE,
    ),
)

TRACKS: Final = tuple(event.name for event in EVENT_TYPES)
"""The names of all track events."""

UNCOUNTED: Final = frozenset(event.name for event in EVENT_TYPES if event.counter is None)
"""The names of events that no counter tells of: they are polled for by the clock."""

_BY_NAME: Final = {event.name: event for event in EVENT_TYPES}
_BY_ACTIVITY_TYPE: Final = {
    event.activity_type: event for event in EVENT_TYPES if event.activity_type is not None
}


def event_type(name: str) -> EventType:
    """The kind of event of a name. Raises KeyError."""
    return _BY_NAME[name]


def event_type_asked_by(activity_type: str) -> EventType:
    """The kind of event that an activityType asks for. Raises KeyError."""
    return _BY_ACTIVITY_TYPE[activity_type]
