"""The answers of Listrak's Email REST API v1, and what they mean; without I/O.

Source of every shape: Listrak's Swagger 2.0 document. Only fields in use are declared; new ones may
appear at any time and are skipped, but for those that may carry an IP address or a user agent
(`origin.py`). FACTS.md of this folder says what else is known, and how well.
"""

import math
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from bridge.errors import TemporaryError

START = "Start"
"""The cursor of a first page (FACTS.md: Paging)."""
MOST_ROWS = 5000
"""Rows of a page at most."""
DEFAULT_ROWS = 1000
"""Rows of a page unless others are requested."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of decoding: no JSON of the shape, no UTF-8, or nested too deep."""

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An id that the state file can hold."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things: what is less than none, or more than can be, is no answer."""

Amount = Annotated[float, msgspec.Meta(ge=-(2**53), le=2**53)]
"""An amount of money; beyond that cents are lost."""

Name = Annotated[str, msgspec.Meta(max_length=1000)]
"""A name or a subject: with longer ones an event would be more than Segment takes."""

NO_DATE: Final = "unreadable"
"""The text that stands for a date that can't be read: it is no date, and not none either."""
UNREAD_NAME: Final = "\ufffe"
UNREAD_ID: Final = -1
"""UNREAD_NAME and UNREAD_ID stand for what can't be read: neither is a name or an id of Listrak."""

Data = TypeVar("Data")


class Struct(msgspec.Struct, rename="camel"):
    """Base of all answers: Listrak writes camelCase.

    stand_ins: by field, what stands for a value that can't be read, where its default doesn't.
    needed: fields without which nothing can be done with a row, besides those without a default.
    """

    stand_ins: ClassVar[dict[str, Any]] = {}
    needed: ClassVar[frozenset[str]] = frozenset()


class MailingList(Struct):
    """A list of the account."""

    list_id: Id
    list_name: Name | None = None


class Campaign(Struct):
    """A campaign (FACTS.md: Lists).

    campaign_id: 0 for none.
    campaign_name: None for none.
    """

    campaign_id: Id = 0
    campaign_name: Name | None = None


class FieldGroup(Struct):
    """A group of profile fields."""

    segmentation_field_group_id: Id
    segmentation_field_group_name: str | None = None


class ProfileField(Struct):
    """A profile field of a list."""

    segmentation_field_id: Id
    segmentation_field_name: Name | None = None
    data_type: str | None = None


class ProfileValue(Struct):
    """A contact's value of a profile field."""

    segmentation_field_id: Id = 0
    value: str | int | float | bool | None = None


class Contact(Struct):
    """A contact of a list (FACTS.md: Contacts). Dates are naive times.

    subscription_state: Subscribed or Unsubscribed.
    """

    email_address: str | None = None
    subscription_state: str | None = None
    subscribe_date: str | None = None
    resubscribe_date: str | None = None
    unsubscribe_date: str | None = None
    unsubscribe_method: str | None = None
    segmentation_field_values: list[ProfileValue] | None = None


class Message(Struct):
    """A broadcast or conversation message, thin or in full.

    send_date: naive time, or None (FACTS.md: Messages).
    """

    stand_ins = {
        "campaign_id": UNREAD_ID,
        "subject": UNREAD_NAME,
        "google_analytics_campaign_name": UNREAD_NAME,
    }

    message_id: Id
    send_date: str | None = None
    campaign_id: Id | None = None
    subject: Name | None = None
    google_analytics_campaign_name: Name | None = None


class MessageDetail(Message):
    """A message that was asked for by its id, which therefore need not be in the answer."""

    message_id: Id = 0


class MessageStatus(Struct):
    """The status of a message, for one without a sendDate.

    start_date: naive time at which sending began.
    """

    start_date: str | None = None


class SplitTest(Struct):
    """A split test; its messages are broadcast messages."""

    split_test_id: Id
    end_date: str | None = None


class SplitTestMessage(Struct):
    """A message of a split test."""

    message_id: Id


class Conversation(Struct):
    """A conversation, whose messages go on sending for months (FACTS.md: Messages)."""

    stand_ins = {"campaign_id": UNREAD_ID}

    conversation_id: Id
    campaign_id: Id | None = None


class TransactionalMessage(Struct):
    """A transactional message.

    It has no sendDate, Link, Clicker or Summary of its own (FACTS.md: Messages).
    """

    stand_ins = {"campaign_id": UNREAD_ID, "subject": UNREAD_NAME}

    transactional_message_id: Id
    campaign_id: Id | None = None
    subject: Name | None = None


class Activity(Struct, gc=False):
    """The state of one send to a contact, not an event (FACTS.md: Activity).

    activity_date: naive time of the first activity.
    click_count: cumulative.
    order_total: cumulative amount.
    bounce_reason: text; of any type, as most pages are read without a look at it.
    """

    stand_ins = {"send_date": NO_DATE, "activity_date": NO_DATE}

    email_address: str | None = None
    send_date: str | None = None
    activity_date: str | None = None
    open: bool | None = False
    bounce: bool | None = False
    abuse: bool | None = False
    unsubscribe: bool | None = False
    click_count: Count | None = None
    order_total: Amount | None = None
    bounce_reason: Any = None


class DocumentedActivity(Activity, forbid_unknown_fields=True):
    """An activity row that has no fields but the documented ones."""

    click: Any = None
    read: Any = None
    visit_date: Any = None
    external_contact_id: Any = msgspec.field(name="externalContactID", default=None)
    resend_key: Any = None


class Link(Struct):
    """A link of a message.

    click_count: number of its clicks.
    link_description: text; of any type, as few ask for it.
    """

    # All its clicks carry it.
    needed = frozenset(["link_url"])

    link_id: Id
    link_url: str | None = None
    click_count: Count | None = None
    link_description: Any = None


class Clicker(Struct, gc=False):
    """One click on a link (FACTS.md: Clicks)."""

    stand_ins = {"click_date": NO_DATE}

    email_address: str | None = None
    click_date: str | None = None


class DocumentedClicker(Clicker, forbid_unknown_fields=True):
    """A click that has no fields but the documented ones."""


class Summary(Struct):
    """A message's counters: one cheap call that tells whether anything changed.

    Complaints have no counter (FACTS.md: Summary).
    """

    sent_count: Count | None = None
    open_count: Count | None = None
    read_count: Count | None = None
    click_count: Count | None = None
    bounce_count: Count | None = None
    unsubscribe_count: Count | None = None
    conversion_count: Count | None = None
    revenue: Amount | None = None
    visit_count: Count | None = None
    pass_along_count: Count | None = None


class Outside(Struct):
    """The part of an answer that says how it went.

    status: the HTTP status once more, if at all; of any type, as nothing promises it.
    """

    status: Any = None

    @property
    def refusal(self) -> int:
        """The status of an error, whatever the HTTP status says; 0 for none."""
        # A longer number is no status, and would stand in every line about it.
        return self.status if isinstance(self.status, int) and 400 <= self.status < 1000 else 0


class Envelope(Outside, Generic[Data], kw_only=True):
    """The envelope of every answer.

    next_page_cursor: None on the last page, whatever `data` holds (FACTS.md: Paging).
    """

    data: Data
    next_page_cursor: str | None = None


class TokenBody(msgspec.Struct):
    """The token endpoint's answer (FACTS.md: Access).

    access_token: what a header takes.
    expires_in: seconds; not a number it may not be, as no time would ever come after it.
    """

    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z", max_length=8000)]
    expires_in: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)] = 3599


def pages_of(rows: float, page_rows: int) -> int:
    """The number of pages of so many rows, which is that of requests: one at least."""
    return max(1, math.ceil(rows / page_rows))


def text_of(value: Any) -> str | None:
    """A value that ought to be text; None where it isn't any."""
    return value if isinstance(value, str) else None


def next_cursor(text: str | None) -> str | None:
    """The cursor to send for the next page: an opaque token, or the `cursor` parameter of a URI.

    Real answers have the token, the Swagger document says URI (FACTS.md: Paging).
    """
    if text is None or text == "":
        return None
    if "://" in text or text.startswith(("/", "?")):
        cursors = parse_qs(urlsplit(text).query).get("cursor")
        if cursors:
            return cursors[0]
    return text


def refusal_in(body: bytes) -> int:
    """The status of an error that stands in a body of whatever shape, 0 for none."""
    try:
        return msgspec.json.decode(body, type=Outside).refusal
    except UNREADABLE:
        return 0


def decode(body: bytes, shape: type[Data]) -> Data:
    """An answer's body as the given shape. Raises TemporaryError for what isn't one."""
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except UNREADABLE as error:
        raise TemporaryError(f"Listrak's answer isn't what its API describes: {error}") from None
