"""Listrak's Email REST API v1 without I/O: what is asked, and what the answers mean.

Source of every shape: Listrak's Swagger 2.0 document. Only fields in use are declared; new ones
may appear at any time and are skipped, but for those that may carry an IP address or a user agent
(`origins`). What is known besides, and how well, is in FACTS.md of this folder.
"""

from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    RefusedError,
    TemporaryError,
)

START = "Start"
MOST_ROWS = 5000
DEFAULT_ROWS = 1000
"""Of a page: as many as may be asked for, and without asking (FACTS.md: Paging)."""

Data = TypeVar("Data")
Row = TypeVar("Row")


class Struct(msgspec.Struct, rename="camel"):
    """Base of all answers: Listrak writes camelCase."""


class MailingList(Struct):
    """A list of the account."""

    list_id: int
    list_name: str | None = None


class Campaign(Struct):
    """A campaign; id 0 or a missing name means none (FACTS.md: Lists)."""

    campaign_id: int = 0
    campaign_name: str | None = None


class FieldGroup(Struct):
    """A group of profile fields."""

    segmentation_field_group_id: int
    segmentation_field_group_name: str | None = None


class ProfileField(Struct):
    """A profile field of a list."""

    segmentation_field_id: int
    segmentation_field_name: str | None = None
    data_type: str | None = None


class ProfileValue(Struct):
    """A contact's value of a profile field."""

    segmentation_field_id: int = 0
    value: str | int | float | bool | None = None


class Contact(Struct):
    """A contact of a list (FACTS.md: Contacts).

    `subscription_state` is Subscribed or Unsubscribed.
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

    `send_date` can be null (FACTS.md: Messages).
    """

    message_id: int
    send_date: str | None = None
    campaign_id: int | None = None
    subject: str | None = None
    google_analytics_campaign_name: str | None = None


class MessageStatus(Struct):
    """When a message was sent, for messages without a sendDate."""

    start_date: str | None = None


class SplitTest(Struct):
    """A split test; its messages are broadcast messages."""

    split_test_id: int
    end_date: str | None = None


class SplitTestMessage(Struct):
    """A message of a split test."""

    message_id: int


class Conversation(Struct):
    """A conversation, whose messages go on sending for months (FACTS.md: Messages)."""

    conversation_id: int
    campaign_id: int | None = None


class TransactionalMessage(Struct):
    """A transactional message.

    It has no sendDate, Link, Clicker or Summary of its own (FACTS.md: Messages).
    """

    transactional_message_id: int
    campaign_id: int | None = None
    subject: str | None = None


class Activity(Struct, gc=False):
    """What is known of one contact and one message: a state, not an event (FACTS.md: Activity).

    `order_total` and `click_count` are cumulative; `activity_date` is the first activity.
    """

    email_address: str | None = None
    send_date: str | None = None
    activity_date: str | None = None
    open: bool | None = False
    bounce: bool | None = False
    abuse: bool | None = False
    unsubscribe: bool | None = False
    click_count: int | None = None
    order_total: float | None = None


def shows(row: Activity, only: str) -> bool:
    """Whether a row is one that an activityType should have let through.

    Its values are guesses (FACTS.md: Filters).
    """
    if only == "click":
        return bool(row.click_count)
    if only == "conversion":
        return row.order_total is not None
    return bool(getattr(row, only))


class DocumentedActivity(Activity, forbid_unknown_fields=True):
    """An activity row that has nothing but what the documentation has."""

    bounce_reason: Any = None
    click: Any = None
    read: Any = None
    visit_date: Any = None
    external_contact_id: Any = msgspec.field(name="externalContactID", default=None)
    resend_key: Any = None


class Link(Struct):
    """A link of a message. `click_count` is the number of its clicks."""

    link_id: int
    link_url: str | None = None
    click_count: int | None = None


class Clicker(Struct, gc=False):
    """One click on a link (FACTS.md: Clicks)."""

    email_address: str | None = None
    click_date: str | None = None


class DocumentedClicker(Clicker, forbid_unknown_fields=True):
    """A click that has nothing but what the documentation has."""


class Summary(Struct):
    """A message's counters: one cheap call that tells whether anything moved.

    There is none of complaints (FACTS.md: Summary).
    """

    sent_count: int | None = None
    open_count: int | None = None
    read_count: int | None = None
    click_count: int | None = None
    bounce_count: int | None = None
    unsubscribe_count: int | None = None
    conversion_count: int | None = None
    revenue: float | None = None
    visit_count: int | None = None
    pass_along_count: int | None = None


class Envelope(Struct, Generic[Data]):
    """Every answer.

    `next_page_cursor` is null on the last page, whatever `data` holds (FACTS.md: Paging).
    """

    data: Data
    next_page_cursor: str | None = None


class ErrorBody(Struct):
    """An error answer; an older 401 lacks `error`, the token endpoint has nothing but it.

    Source: Listrak's Swagger document, and real answers (FACTS.md: Errors, Access).
    """

    error: str | None = None
    message: str | None = None


class TokenBody(msgspec.Struct):
    """The token endpoint's answer. `expires_in` in seconds (FACTS.md: Access)."""

    access_token: str
    expires_in: float = 3599


class PageOf(NamedTuple, Generic[Row]):
    """One page of a collection: rows, and the cursor of the next page (None on the last)."""

    rows: list[Row]
    next_cursor: str | None
    origins: "list[Origin] | None" = None


class Origin(NamedTuple):
    """Where an activity came from, as far as its row tells; today's rows don't."""

    ip: str | None
    user_agent: str | None


_PREFIXES = ["", "client", "open", "opener", "click", "clicker", "contact", "remote", "source"]
_PREFIXES += ["user", "visitor", "browser", "public", "sender"]
_IP_NAMES = {"".join(parts) for parts in product(_PREFIXES, ("ip", "ipaddress", "ipaddr"))}
_AGENT_NAMES = {"".join(parts) for parts in product(_PREFIXES, ("useragent", "useragentstring"))}
# What a body with any of these names must hold: a page without costs next to nothing.
_HINTS = (b'ip"', b"paddr", b"p_addr", b"p-addr", b"gent")


def origins(body: bytes) -> list[Origin] | None:
    """Each row's IP address and user agent; None where no row of the page carries any.

    Today's rows carry neither (FACTS.md: Activity), so any plausible spelling is taken.
    """
    lower = body.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    rows = decode(body, Envelope[list[dict[str, Any]]]).data
    found = [Origin(_text_of(row, _IP_NAMES), _text_of(row, _AGENT_NAMES)) for row in rows]
    return found if any(origin != (None, None) for origin in found) else None


def _text_of(row: dict[str, Any], names: set[str]) -> str | None:
    for name, value in row.items():
        plain = name.lower().replace("_", "").replace("-", "")
        if plain in names and isinstance(value, str) and value.strip():
            return value
    return None


def next_cursor(text: str | None) -> str | None:
    """The cursor to hand back: an opaque token, or the `cursor` parameter of a URI.

    Real answers have the token, the Swagger document says URI (FACTS.md: Paging).
    """
    if text is None or text == "":
        return None
    if "://" in text or text.startswith(("/", "?")):
        found = parse_qs(urlsplit(text).query).get("cursor")
        if found:
            return found[0]
    return text


def url(base: str, path: str, query: dict[str, Any] | None = None) -> str:
    """A request's address; values are encoded, None is left out."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{base}/{path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")


def quoted(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")


def token_form(client_id: str, client_secret: str) -> bytes:
    """The body of a token request."""
    return urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
    ).encode()


def decode(body: bytes, shape: type[Data]) -> Data:
    """An answer's body as the given shape. Raises TemporaryError for what isn't one."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TemporaryError(f"Listrak's answer isn't what its API describes: {error}") from None


# Listrak doesn't say why (FACTS.md: Access).
DENIED = (
    "Listrak denies access. Likely causes: the integration is paused, this machine's IP address is "
    "not on its allow-list, a scope is missing (Contact, List, Message, Report, Segmentation), or "
    "the client id or secret is wrong. The integration's Log tab in Listrak names the true one"
)


def explain(status: int, body: bytes, path: str, *, paging: bool = False) -> Exception:
    """The error that a refusal means for the caller (FACTS.md: Access, Errors).

    `paging`: the request carried a cursor, which may be what is refused.
    """
    try:
        said = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = ErrorBody()
    what = f"Listrak answered {status} to {path}: {said.message or said.error or 'no reason given'}"
    if status in (401, 403):
        return CredentialsError("LISTRAK_CLIENT_ID, LISTRAK_CLIENT_SECRET", DENIED)
    if status in (408, 429) or status >= 500:
        return TemporaryError(what)
    if paging and status in (400, 404, 410, 422):
        return CursorError(what, status)
    if status in (404, 410):
        return MissingError(what, status)
    if 300 <= status < 400:
        return TemporaryError(f"{what} (a redirect; is LISTRAK_API_URL right?)")
    return RefusedError(what, status)
