"""Listrak's read operations: rate-limited, retried and authorised; one method a resource."""

import copy
from collections import defaultdict
from typing import Any, Final, Literal, TypeVar

from bridge import clock
from bridge.clock import SourceClock
from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    OversizeError,
    TemporaryError,
)
from bridge.http import Http
from bridge.listrak import requests, shapes, wire
from bridge.listrak.auth import Auth
from bridge.listrak.paging import Trail
from bridge.listrak.refusals import explain
from bridge.listrak.shapes import Shape
from bridge.listrak.wire import PageOf
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.priority import Priority
from bridge.rate import AdaptiveRate
from bridge.retry import retry

Data = TypeVar("Data")
Row = TypeVar("Row")


SLOW: Final = 10.0
"""Seconds after which an answer counts as a sign of overload, and the rate of calls is halved."""


MOST_BYTES: Final = 8 * 2**20
"""Bytes of an answer at most: 1,600 for each of the most rows, four times what a row has."""

MOST_BYTES_OF: Final = {"message": 2 * MOST_BYTES}
"""Bytes of others: a message in full has the text of the email twice."""


class Listrak:
    """A client of the account, read only.

    Every method raises TemporaryError when the deadline has passed (CredentialsError among them),
    MissingError for what isn't there, CursorError for a cursor that isn't accepted any more, and
    RefusedError for what Listrak won't answer.

    base: address of the API.
    requests_per_second: ceiling of calls a second; 0 for none.
    deadline: seconds of retries of a call, None for no end.
    """

    def __init__(
        self,
        http: Http,
        auth: Auth,
        metrics: Metrics,
        source_clock: SourceClock,
        *,
        base: str,
        requests_per_second: float,
        deadline: float | None,
    ) -> None:
        self._http = http
        self._auth = auth
        self._metrics = metrics
        self.clock = source_clock
        self._base = base
        self._rate = AdaptiveRate(requests_per_second, self._report_rate)
        metrics.listrak_rate.set(requests_per_second)
        self._deadline = deadline
        self._priority = Priority.FRESH
        self._give_up_on: tuple[type[Exception], ...] = ()
        self._most_rows: defaultdict[str, int] = defaultdict(lambda: wire.MOST_ROWS)

    def with_deadline(
        self, seconds: float | None, *, give_up_on: tuple[type[Exception], ...] = ()
    ) -> "Listrak":
        """A copy of the client with another deadline; errors of `give_up_on` end a call at once."""
        other = copy.copy(self)
        other._deadline = seconds
        other._give_up_on = give_up_on
        return other

    def with_priority(self, priority: Priority) -> "Listrak":
        """A copy of the client with another priority of its calls."""
        other = copy.copy(self)
        other._priority = priority
        return other

    async def get(
        self, path: str, shape: Shape[Data], resource: str, **query: Any
    ) -> wire.Envelope[Data]:
        """The answer for one resource, decoded. `resource` is its name in logs and metrics."""
        answer, _ = await self._fetch(path, shape, resource, query)
        return answer

    async def page(
        self, path: str, shape: Shape[list[Row]], resource: str, cursor: str, **query: Any
    ) -> PageOf[Row]:
        """One page of a collection, from `cursor` (`wire.START` for the first) on."""
        query |= {"cursor": cursor, "count": query.get("count", self._most_rows[resource])}
        try:
            answer, origins = await self._fetch(path, shape, resource, query)
        except (MissingError, OversizeError):
            # An oversize request answers 404 as well (FACTS.md: Errors): once again with fewer
            # rows.
            if query["count"] <= wire.DEFAULT_ROWS:
                raise
            query["count"] = wire.DEFAULT_ROWS
            answer, origins = await self._fetch(path, shape, resource, query)
            self._most_rows[resource] = wire.DEFAULT_ROWS
        rows = answer.data or []
        self._metrics.listrak_rows.labels(resource).inc(len(rows))
        return PageOf(rows, wire.next_cursor(answer.next_page_cursor), origins)

    async def collection(
        self, path: str, shape: Shape[list[Row]], resource: str, **query: Any
    ) -> list[Row]:
        """All rows of a paged collection that is small enough for memory."""
        rows: list[Row] = []
        cursor: str | None = wire.START
        trail = Trail(resource, wire.START)
        try:
            while cursor is not None:
                page = await self.page(path, shape, resource, cursor, **query)
                rows += page.rows
                cursor = trail.after(page)
        except CursorError as error:
            # The next reading begins with the first page again.
            raise TemporaryError(str(error)) from error
        return rows

    async def _fetch(
        self, path: str, shape: Shape[Data], resource: str, query: dict[str, Any]
    ) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        """The decoded answer and the origins of its rows, after retries."""

        def on_wait(error: TemporaryError, seconds: float) -> None:
            self._metrics.retries.labels("listrak").inc()
            self._metrics.blocked.labels("listrak").set(1)
            log.warning(
                "listrak.waiting", resource=resource, seconds=round(seconds, 1), reason=str(error)
            )

        async def attempt() -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
            body = await self._try(path, resource, query)
            try:
                answer, origins = shape.decode(body)
                refusal = answer.refusal
            except wire.UNREADABLE as error:
                refusal = wire.refusal_in(body)
                if not refusal:
                    raise TemporaryError(
                        f"Listrak's answer to {resource} isn't what its API describes: {error}"
                    ) from None
            if refusal:
                raise explain(refusal, body, resource)
            return answer, origins

        give_up_on = (*self._give_up_on, OversizeError)
        decoded = await retry(
            attempt, deadline=self._deadline, on_wait=on_wait, give_up_on=give_up_on
        )
        self._metrics.blocked.labels("listrak").set(0)
        return decoded

    async def _try(self, path: str, resource: str, query: dict[str, Any]) -> bytes:
        """The body of the answer to one request; a refused token is renewed on the way."""
        for last_try in (False, False, True):
            await self._rate.take(self._priority)
            token = await self._auth.token()
            began = clock.monotonic()
            answer = await self._http.request(
                "GET",
                requests.url(self._base, path, query),
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                most=MOST_BYTES_OF.get(resource, MOST_BYTES),
            )
            self._metrics.listrak_calls.labels(resource, str(answer.status)).inc()
            # No limit is published, so none is known beforehand (FACTS.md: Limits).
            if answer.status == 429 or clock.monotonic() - began > SLOW:
                self._rate.back_off()
            if answer.status == 200:
                return answer.body
            paging = query.get("cursor", wire.START) != wire.START
            error = explain(answer.status, answer.body, resource, paging=paging)
            if isinstance(error, CredentialsError):
                self._auth.refused(token)
                if not last_try:
                    continue
            elif isinstance(error, TemporaryError) and answer.retry_after is not None:
                error.retry_after = answer.retry_after
                if answer.status == 429:
                    # No other call is made either before the server allows it.
                    self._rate.pause(answer.retry_after)
            raise error
        raise AssertionError("unreachable: the last try returns or raises")

    def _report_rate(self, per_second: float) -> None:
        self._metrics.listrak_rate.set(per_second)
        log.warning("listrak.rate_changed", calls_a_second=round(per_second, 2))

    # What the account holds

    async def lists(self) -> list[wire.MailingList]:
        """All lists of the account."""
        return (await self.get("List", shapes.LISTS, "lists")).data

    async def campaigns(self, list_id: int) -> dict[int, str]:
        """Names of a list's campaigns by id, without those that mean none (FACTS.md: Lists)."""
        answer = await self.get(f"List/{list_id}/Campaign", shapes.CAMPAIGNS, "campaigns")
        return {row.campaign_id: row.campaign_name for row in answer.data if row.campaign_name}

    async def profile_fields(self, list_id: int) -> list[wire.ProfileField]:
        """The profile fields of a list, of all groups."""
        path = f"List/{list_id}/SegmentationFieldGroup"
        groups = (await self.get(path, shapes.FIELD_GROUPS, "profile field groups")).data
        fields: list[wire.ProfileField] = []
        for group in groups:
            inner = f"{path}/{group.segmentation_field_group_id}/SegmentationField"
            fields += (await self.get(inner, shapes.FIELDS, "profile fields")).data
        return fields

    async def messages(self, list_id: int, since: str | None = None) -> list[wire.Message]:
        """The broadcast messages of a list, thin; with `since` (a naive time) those sent later.

        Messages of split tests, or without a date, may be missing (FACTS.md: Messages).
        """
        return await self.collection(
            f"List/{list_id}/Message", shapes.MESSAGES, "messages", startDate=since
        )

    async def split_tests(self, list_id: int) -> list[wire.SplitTest]:
        """All split tests of a list."""
        return await self.collection(f"List/{list_id}/SplitTest", shapes.SPLIT_TESTS, "split tests")

    async def split_test_messages(self, list_id: int, test_id: int) -> list[int]:
        """Message ids of a split test."""
        path = f"List/{list_id}/SplitTest/{test_id}/Message"
        answer = await self.get(path, shapes.SPLIT_TEST_MESSAGES, "split test messages")
        return [row.message_id for row in answer.data]

    async def conversations(self, list_id: int) -> list[wire.Conversation]:
        """All conversations of a list."""
        path = f"List/{list_id}/Conversation"
        return (await self.get(path, shapes.CONVERSATIONS, "conversations")).data

    async def conversation_messages(self, list_id: int, conversation: int) -> list[wire.Message]:
        """The messages of a conversation, those of its previous versions among them, thin."""
        return await self.collection(
            f"List/{list_id}/Conversation/{conversation}/Message",
            shapes.MESSAGES,
            "conversation messages",
            includePreviousVersions="true",
        )

    async def transactional_messages(self, list_id: int) -> list[wire.TransactionalMessage]:
        """All transactional messages of a list."""
        path = f"List/{list_id}/TransactionalMessage"
        return (await self.get(path, shapes.TRANSACTIONAL, "transactional messages")).data

    # One message; `path` as of state.records.Message.path

    async def message(self, path: str) -> wire.Message:
        """A message in full."""
        return (await self.get(path, shapes.MESSAGE, "message")).data

    async def started(self, path: str) -> str | None:
        """The naive time at which a broadcast began to be sent, for one without a sendDate."""
        return (await self.get(f"{path}/Status", shapes.STATUS, "message status")).data.start_date

    async def summary(self, path: str) -> wire.Summary:
        """A message's counters."""
        return (await self.get(f"{path}/Summary", shapes.SUMMARY, "summary")).data

    async def links(self, path: str) -> list[wire.Link]:
        """The links of a message."""
        return await self.collection(f"{path}/Link", shapes.LINKS, "links")

    async def activity(
        self,
        path: str,
        cursor: str,
        *,
        activity_type: str | None = None,
        date_type: Literal["Send", "Activity"] | None = None,
        since: str | None = None,
    ) -> PageOf[wire.Activity]:
        """A page of a message's activity rows, filtered if Listrak does so (FACTS.md: Filters).

        cursor: of the page; wire.START for the first.
        activity_type: only rows with that activity.
        date_type: date of a row that `since` is compared with.
        since: naive time of the earliest row.
        """
        # Send is the default, and conversation messages have no dateType (FACTS.md: Filters).
        return await self.page(
            f"{path}/Activity",
            shapes.ACTIVITIES,
            "activity",
            cursor,
            activityType=activity_type,
            dateType=date_type if date_type == "Activity" else None,
            startDate=since,
        )

    async def activity_of(self, path: str, email: str, cursor: str) -> PageOf[wire.Activity]:
        """A page of the rows of one address, as Listrak filters them (FACTS.md: Filters).

        Not for conversation messages. Nothing promises that no other rows come.
        """
        return await self.page(
            f"{path}/Activity", shapes.ACTIVITIES, "activity", cursor, emailAddress=email
        )

    async def clickers(
        self, path: str, link_id: int, cursor: str, *, since: str | None = None
    ) -> PageOf[wire.Clicker]:
        """A page of the clicks on a link; with `since` (a naive time) of those from then on."""
        path = f"{path}/Link/{link_id}/Clicker"
        return await self.page(path, shapes.CLICKERS, "clickers", cursor, startDate=since)

    # Contacts

    async def contacts(
        self, list_id: int, state: str, cursor: str, field: int | None, start: str | None
    ) -> PageOf[wire.Contact]:
        """A page of a list's contacts.

        state: Subscribed or Unsubscribed.
        cursor: of the page; wire.START for the first.
        field: id of the profile field to be read with them.
        start: naive time from which on they came into that state (FACTS.md: Contacts).
        """
        return await self.page(
            f"List/{list_id}/Contact",
            shapes.CONTACTS,
            "contacts",
            cursor,
            subscriptionState=state,
            segmentationFieldIds=field,
            startDate=start,
            useOriginalSubscribeDate="false" if start else None,
        )

    async def contact(self, list_id: int, email: str, field: int | None) -> wire.Contact | None:
        """One contact, None if the list doesn't have it (any more)."""
        path = f"List/{list_id}/Contact/{requests.quoted(email)}"
        try:
            answer = await self.get(path, shapes.CONTACT, "contact", segmentationFieldIds=field)
        except MissingError:
            return None
        return answer.data
