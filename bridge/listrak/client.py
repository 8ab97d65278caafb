"""Listrak's read operations: paced, retried and authorised; one method a resource."""

import copy
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from bridge.clock import SourceClock
from bridge.errors import CredentialsError, MissingError, TemporaryError
from bridge.http import Http
from bridge.listrak import wire
from bridge.listrak.auth import Auth
from bridge.listrak.wire import PageOf
from bridge.pacing import Pace, Urgency, persist
from bridge.telemetry import Metrics, log

Data = TypeVar("Data")
Row = TypeVar("Row")


class Shape(Generic[Data]):
    """A decoder made once: its type is what an answer must be.

    `documented`: the same rows with nothing but the fields that the documentation has. A page that
    fits it needs no search for IP addresses and user agents.
    """

    def __init__(self, shape: type[Data], documented: type[Any] | None = None) -> None:
        self._decoder = msgspec.json.Decoder(wire.Envelope[shape])  # type: ignore[valid-type]
        self._documented = (
            msgspec.json.Decoder(wire.Envelope[documented])  # type: ignore[valid-type]
            if documented
            else None
        )

    def decode(self, body: bytes) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        """The answer, and where its rows come from. Raises msgspec.DecodeError."""
        answer: wire.Envelope[Data]
        if self._documented is not None:
            with suppress(msgspec.ValidationError):
                answer = self._documented.decode(body)
                return answer, None
        answer = self._decoder.decode(body)
        return answer, wire.origins(body) if self._documented is not None else None


LISTS = Shape(list[wire.MailingList])
CAMPAIGNS = Shape(list[wire.Campaign])
FIELD_GROUPS = Shape(list[wire.FieldGroup])
FIELDS = Shape(list[wire.ProfileField])
CONTACTS = Shape(list[wire.Contact])
CONTACT = Shape(wire.Contact)
MESSAGES = Shape(list[wire.Message])
MESSAGE = Shape(wire.Message)
STATUS = Shape(wire.MessageStatus)
SPLIT_TESTS = Shape(list[wire.SplitTest])
SPLIT_TEST_MESSAGES = Shape(list[wire.SplitTestMessage])
CONVERSATIONS = Shape(list[wire.Conversation])
TRANSACTIONAL = Shape(list[wire.TransactionalMessage])
ACTIVITIES = Shape(list[wire.Activity], list[wire.DocumentedActivity])
LINKS = Shape(list[wire.Link])
CLICKERS = Shape(list[wire.Clicker], list[wire.DocumentedClicker])
SUMMARY = Shape(wire.Summary)

SLOW: Final = 10.0
"""Seconds after which an answer counts as one of a server under strain."""


class Listrak:
    """The account, read only. `patience`: seconds to retry what may pass, None for ever.

    Every method raises TemporaryError when patience ends (CredentialsError among them),
    MissingError for what isn't there, CursorError for a cursor that isn't taken any more, and
    RefusedError for what Listrak won't answer.
    """

    def __init__(
        self,
        http: Http,
        auth: Auth,
        metrics: Metrics,
        clock: SourceClock,
        *,
        base: str,
        requests_per_second: float,
        patience: float | None,
    ) -> None:
        self._http = http
        self._auth = auth
        self._metrics = metrics
        self.clock = clock
        self._base = base
        self._pace = Pace(requests_per_second, self._note_pace)
        metrics.pace.set(requests_per_second)
        self._patience = patience
        self._urgency = Urgency.FRESH
        self._give_up_on: tuple[type[Exception], ...] = ()
        self._most_rows: defaultdict[str, int] = defaultdict(lambda: wire.MOST_ROWS)

    def with_patience(
        self, seconds: float | None, *, give_up_on: tuple[type[Exception], ...] = ()
    ) -> "Listrak":
        """The same client, which gives up sooner or later, or at once on some errors."""
        other = copy.copy(self)
        other._patience = seconds
        other._give_up_on = give_up_on
        return other

    def with_urgency(self, urgency: Urgency) -> "Listrak":
        """The same client, whose calls go before others or after them."""
        other = copy.copy(self)
        other._urgency = urgency
        return other

    async def get(
        self, path: str, shape: Shape[Data], resource: str, **query: Any
    ) -> wire.Envelope[Data]:
        """One resource, decoded. `resource` is its name in logs and metrics."""
        answer, _ = await self._ask(path, shape, resource, query)
        return answer

    async def page(
        self, path: str, shape: Shape[list[Row]], resource: str, cursor: str, **query: Any
    ) -> PageOf[Row]:
        """One page of a collection, from `cursor` (`wire.START` for the first) on."""
        query |= {"cursor": cursor, "count": query.get("count", self._most_rows[resource])}
        try:
            answer, origins = await self._ask(path, shape, resource, query)
        except MissingError:
            # An oversize request answers 404 as well (FACTS.md: Errors): ask for less, once.
            if query["count"] <= wire.DEFAULT_ROWS:
                raise
            query["count"] = wire.DEFAULT_ROWS
            answer, origins = await self._ask(path, shape, resource, query)
            self._most_rows[resource] = wire.DEFAULT_ROWS
        rows = answer.data or []
        self._metrics.listrak_rows.labels(resource).inc(len(rows))
        following = wire.next_cursor(answer.next_page_cursor)
        if following == cursor:
            raise TemporaryError(f"Listrak's answer to {resource} names itself as the next page")
        return PageOf(rows, following, origins)

    async def whole(
        self, path: str, shape: Shape[list[Row]], resource: str, **query: Any
    ) -> list[Row]:
        """A whole paged collection that is small enough to hold."""
        rows: list[Row] = []
        cursor: str | None = wire.START
        while cursor is not None:
            page = await self.page(path, shape, resource, cursor, **query)
            rows += page.rows
            cursor = page.next_cursor
        return rows

    async def _ask(
        self, path: str, shape: Shape[Data], resource: str, query: dict[str, Any]
    ) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        """The decoded answer, however many tries it takes."""

        def on_wait(error: TemporaryError, seconds: float) -> None:
            self._metrics.retries.labels("listrak").inc()
            self._metrics.blocked.labels("listrak").set(1)
            log.warning(
                "listrak.waiting", resource=resource, seconds=round(seconds, 1), reason=str(error)
            )

        async def attempt() -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
            body = await self._try(path, resource, query)
            try:
                return shape.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise TemporaryError(
                    f"Listrak's answer to {resource} isn't what its API describes: {error}"
                ) from None

        found = await persist(
            attempt, patience=self._patience, on_wait=on_wait, give_up_on=self._give_up_on
        )
        self._metrics.blocked.labels("listrak").set(0)
        return found

    async def _try(self, path: str, resource: str, query: dict[str, Any]) -> bytes:
        """One request; a token that isn't good any more is renewed on the way."""
        for last_try in (False, False, True):
            await self._pace.take(self._urgency)
            token = await self._auth.token()
            began = time.monotonic()
            answer = await self._http.request(
                "GET",
                wire.url(self._base, path, query),
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            )
            self._metrics.listrak_calls.labels(resource, str(answer.status)).inc()
            # No limit is published, so none is known beforehand (FACTS.md: Limits).
            if answer.status == 429 or time.monotonic() - began > SLOW:
                self._pace.strained()
            if answer.status == 200:
                return answer.body
            paging = query.get("cursor", wire.START) != wire.START
            error = wire.explain(answer.status, answer.body, resource, paging=paging)
            if isinstance(error, CredentialsError):
                self._auth.refused(token)
                if not last_try:
                    continue
            elif isinstance(error, TemporaryError) and answer.retry_after is not None:
                error.retry_after = answer.retry_after
                if answer.status == 429:
                    # Nobody asks again before the server said so.
                    self._pace.silent(answer.retry_after)
            raise error
        raise AssertionError("unreachable: the last try returns or raises")

    def _note_pace(self, per_second: float) -> None:
        self._metrics.pace.set(per_second)
        log.warning("listrak.pace", calls_a_second=round(per_second, 2))

    # What the account holds

    async def lists(self) -> list[wire.MailingList]:
        """All lists of the account."""
        return (await self.get("List", LISTS, "lists")).data

    async def campaigns(self, list_id: int) -> dict[int, str]:
        """Names of a list's campaigns by id; without those that mean none."""
        answer = await self.get(f"List/{list_id}/Campaign", CAMPAIGNS, "campaigns")
        return {row.campaign_id: row.campaign_name for row in answer.data if row.campaign_name}

    async def profile_fields(self, list_id: int) -> list[wire.ProfileField]:
        """The profile fields of a list, of all groups."""
        path = f"List/{list_id}/SegmentationFieldGroup"
        groups = (await self.get(path, FIELD_GROUPS, "profile field groups")).data
        fields: list[wire.ProfileField] = []
        for group in groups:
            inner = f"{path}/{group.segmentation_field_group_id}/SegmentationField"
            fields += (await self.get(inner, FIELDS, "profile fields")).data
        return fields

    async def messages(self, list_id: int, since: str | None = None) -> list[wire.Message]:
        """The broadcast messages of a list, thin; those sent since a naive time if one is given.

        A split test's may be missing, or those without a date (FACTS.md: Messages).
        """
        return await self.whole(f"List/{list_id}/Message", MESSAGES, "messages", startDate=since)

    async def split_tests(self, list_id: int) -> list[wire.SplitTest]:
        """All split tests of a list."""
        return await self.whole(f"List/{list_id}/SplitTest", SPLIT_TESTS, "split tests")

    async def split_test_messages(self, list_id: int, test_id: int) -> list[int]:
        """Message ids of a split test."""
        path = f"List/{list_id}/SplitTest/{test_id}/Message"
        answer = await self.get(path, SPLIT_TEST_MESSAGES, "split test messages")
        return [row.message_id for row in answer.data]

    async def conversations(self, list_id: int) -> list[wire.Conversation]:
        """All conversations of a list."""
        path = f"List/{list_id}/Conversation"
        return (await self.get(path, CONVERSATIONS, "conversations")).data

    async def conversation_messages(self, list_id: int, conversation: int) -> list[wire.Message]:
        """The messages of a conversation, those of its previous versions among them, thin."""
        return await self.whole(
            f"List/{list_id}/Conversation/{conversation}/Message",
            MESSAGES,
            "conversation messages",
            includePreviousVersions="true",
        )

    async def transactional_messages(self, list_id: int) -> list[wire.TransactionalMessage]:
        """All transactional messages of a list."""
        path = f"List/{list_id}/TransactionalMessage"
        return (await self.get(path, TRANSACTIONAL, "transactional messages")).data

    # One message; `path` is that below the account, as `Message.path` has it

    async def message(self, path: str) -> wire.Message:
        """A message in full."""
        return (await self.get(path, MESSAGE, "message")).data

    async def started(self, path: str) -> str | None:
        """When a broadcast message began to be sent, where its sendDate doesn't say."""
        return (await self.get(f"{path}/Status", STATUS, "message status")).data.start_date

    async def summary(self, path: str) -> wire.Summary:
        """A message's counters."""
        return (await self.get(f"{path}/Summary", SUMMARY, "summary")).data

    async def links(self, path: str) -> list[wire.Link]:
        """The links of a message."""
        return await self.whole(f"{path}/Link", LINKS, "links")

    async def activity(
        self,
        path: str,
        cursor: str,
        *,
        only: str | None = None,
        by: Literal["Send", "Activity"] | None = None,
        since: str | None = None,
    ) -> PageOf[wire.Activity]:
        """A page of a message's activity rows; of those that the filters leave, if they work.

        `only`: activityType; `since`: startDate (naive), held against the date named `by`. Hardly
        anything of that is documented (FACTS.md: Filters).
        """
        # A send date is what is meant by default, and conversation messages know no dateType.
        return await self.page(
            f"{path}/Activity",
            ACTIVITIES,
            "activity",
            cursor,
            activityType=only,
            dateType=by if by == "Activity" else None,
            startDate=since,
        )

    async def clickers(
        self, path: str, link_id: int, cursor: str, *, since: str | None = None
    ) -> PageOf[wire.Clicker]:
        """A page of the clicks on a link, of those since a naive time if one is given."""
        path = f"{path}/Link/{link_id}/Clicker"
        return await self.page(path, CLICKERS, "clickers", cursor, startDate=since)

    # Contacts

    async def contacts(
        self, list_id: int, state: str, cursor: str, field: int | None, start: str | None
    ) -> PageOf[wire.Contact]:
        """A page of a list's contacts in a state, of those who came to it since `start` (naive).

        Source of what `start` goes by: Listrak's Swagger document (FACTS.md: Contacts).
        """
        return await self.page(
            f"List/{list_id}/Contact",
            CONTACTS,
            "contacts",
            cursor,
            subscriptionState=state,
            segmentationFieldIds=field,
            startDate=start,
            useOriginalSubscribeDate="false" if start else None,
        )

    async def contact(self, list_id: int, email: str, field: int | None) -> wire.Contact | None:
        """One contact, None if the list doesn't have it (any more)."""
        path = f"List/{list_id}/Contact/{wire.quoted(email)}"
        try:
            answer = await self.get(path, CONTACT, "contact", segmentationFieldIds=field)
        except MissingError:
            return None
        return answer.data
