"""Calls of Listrak's API: rate-limited, retried, authorised, and read within bounds."""

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, TypeVar

import anyio
import anyio.to_thread
import msgspec

from bridge import clock
from bridge.clock import SourceClock
from bridge.errors import (
    BridgeError,
    CredentialsError,
    CursorError,
    MissingError,
    OversizeError,
    TemporaryError,
)
from bridge.listrak import requests, wire
from bridge.listrak.answers import PATIENCE, Answers
from bridge.listrak.auth import Auth
from bridge.listrak.pages import PageOf, UnreadRow
from bridge.listrak.paging import Trail
from bridge.listrak.refusals import explain
from bridge.listrak.shapes import LISTS, Answer, Shape
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.transport.http import Http
from bridge.transport.priority import Priority
from bridge.transport.rate import AdaptiveRate
from bridge.transport.retry import retry

Data = TypeVar("Data")
Row = TypeVar("Row")

SLOW: Final = 10.0
"""Seconds after which an answer counts as a sign of overload, and the rate of calls is halved."""

MOST_BYTES: Final = 5 * 2**20
"""Bytes of an answer at most: 1,000 for each of the most rows, twice what a row has. A page that
has more is asked for with fewer rows."""

MOST_PAGE_ROWS: Final = 2 * wire.MOST_ROWS
"""Rows of a page at most: twice as many as are asked for. To map more would take too long."""

MOST_BYTES_OF: Final = {"message": 2 * MOST_BYTES}
"""Bytes of others: a message in full has the text of the email twice."""


OnUnread = Callable[[str, str, Sequence[UnreadRow]], None]
"""A function that is told the resource, its path, and rows of it that can't be read."""


def log_unread(resource: str, _path: str, rows: Sequence[UnreadRow]) -> None:
    """Logs that rows of an answer can't be read: one line, whatever their number."""
    log.warning("row.unreadable", resource=resource, rows=len(rows), reason=rows[0].reason)


class Calls:
    """A client of the account that knows no resource.

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
        self._patience = 0.0
        self._priority = Priority.FRESH
        self._give_up_on: tuple[type[Exception], ...] = ()
        self._on_unread: OnUnread = log_unread
        self._answers = Answers()
        # One at a time, as it takes memory.
        self._lenient = anyio.CapacityLimiter(1)
        self._most_rows: defaultdict[str, int] = defaultdict(lambda: wire.MOST_ROWS)

    def with_deadline(
        self,
        seconds: float | None,
        *,
        patience: float = 0.0,
        give_up_on: tuple[type[Exception], ...] = (),
    ) -> Self:
        """A copy of the client with another deadline; errors of `give_up_on` end a call at once.

        patience: seconds of retries of a call that Listrak puts off with 429, where that is more.
        """
        other = copy.copy(self)
        other._deadline = seconds
        other._patience = patience
        other._give_up_on = give_up_on
        return other

    def with_priority(self, priority: Priority) -> Self:
        """A copy of the client with another priority of its calls."""
        other = copy.copy(self)
        other._priority = priority
        return other

    def telling(self, on_unread: OnUnread) -> Self:
        """A copy of the client that tells elsewhere of what can't be read in a listing."""
        other = copy.copy(self)
        other._on_unread = on_unread
        return other

    @property
    def requests_per_second(self) -> float:
        """Calls that may be made in a second at present; 0 for no limit."""
        return self._rate.per_second

    async def get(
        self, path: str, shape: Shape[Data], resource: str, **query: Any
    ) -> wire.Envelope[Data]:
        """The answer for one resource, decoded. `resource` is its name in logs and metrics."""
        return (await self._told(path, shape, resource, query)).envelope

    async def listing(self, path: str, shape: Shape[list[Row]], resource: str) -> PageOf[Row]:
        """All rows of a collection that isn't paged."""
        envelope, _, unread = await self._told(path, shape, resource, {})
        return PageOf(envelope.data, None, None, unread)

    async def page(
        self, path: str, shape: Shape[list[Row]], resource: str, cursor: str, **query: Any
    ) -> PageOf[Row]:
        """One page of a collection, from `cursor` (`wire.START` for the first) on."""
        query |= {"cursor": cursor, "count": query.get("count", self._most_rows[resource])}
        try:
            answer = await self._fetch(path, shape, resource, query)
        except (MissingError, OversizeError):
            # An oversize request answers 404 as well (FACTS.md: Errors): once again with fewer
            # rows.
            if query["count"] <= wire.DEFAULT_ROWS:
                raise
            query["count"] = wire.DEFAULT_ROWS
            answer = await self._fetch(path, shape, resource, query)
            self._most_rows[resource] = wire.DEFAULT_ROWS
        envelope, origins, unread = answer
        rows = envelope.data or []
        self._metrics.listrak_rows.labels(resource).inc(len(rows))
        return PageOf(rows, wire.next_cursor(envelope.next_page_cursor), origins, unread)

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
                if page.unread:
                    self._on_unread(resource, path, page.unread)
                rows += page.rows
                cursor = trail.after(page)
        except CursorError as error:
            # The next reading begins with the first page again.
            raise TemporaryError(str(error), isolated=True) from error
        return rows

    async def _told(
        self, path: str, shape: Shape[Data], resource: str, query: dict[str, Any]
    ) -> Answer[Data]:
        """The decoded answer; what of it can't be read is told."""
        answer = await self._fetch(path, shape, resource, query)
        if answer.unread:
            self._on_unread(resource, path, answer.unread)
        return answer

    async def _fetch(
        self, path: str, shape: Shape[Data], resource: str, query: dict[str, Any]
    ) -> Answer[Data]:
        """The decoded answer, after retries."""

        def on_wait(error: TemporaryError, seconds: float) -> None:
            self._metrics.retries.labels("listrak").inc()
            self._metrics.blocked.labels("listrak").set(1)
            log.warning(
                "listrak.waiting", resource=resource, seconds=round(seconds, 1), reason=str(error)
            )

        trouble = self._answers.trouble(resource)

        async def judge(error: TemporaryError) -> None:
            if error.throttled or error.common:
                trouble.put_off(throttled=error.throttled)
            elif trouble.is_time_to_ask() and not error.isolated:
                error.isolated = trouble.is_own() or await self._is_answering(resource)
                trouble.isolated = error.isolated

        async def attempt() -> Answer[Data]:
            try:
                return await self._decoded(path, shape, resource, query)
            except BridgeError as error:
                if isinstance(error, TemporaryError):
                    await judge(error)
                # The frames that it came from hold the answer, for as long as it is kept itself.
                error.__context__ = error.__cause__ = None
                raise error.with_traceback(None)  # noqa: B904

        try:
            decoded = await retry(
                attempt,
                deadline=lambda: trouble.deadline(self._deadline, self._patience),
                on_wait=on_wait,
                give_up_on=(*self._give_up_on, OversizeError),
            )
        except TemporaryError as error:
            if error.isolated:
                self._answers.give_up(resource)
                self._report_answering()
                if isinstance(error, CredentialsError):
                    raise self._denied(resource) from error
            raise
        self._report_answering()
        return decoded

    @staticmethod
    def _denied(resource: str) -> TemporaryError:
        """The error of a resource that is denied while others are answered."""
        return TemporaryError(
            f"Listrak denies access to {resource}, while it answers others: is one of the scopes "
            "Contact, List, Message, Report, Segmentation missing?",
            isolated=True,
        )

    async def _decoded(
        self, path: str, shape: Shape[Data], resource: str, query: dict[str, Any]
    ) -> Answer[Data]:
        """The decoded answer to one request, noted as such."""
        body, asked_at = await self._try(path, resource, query)
        try:
            answer = await self._read(shape, body)
            if "count" in query and answer.row_count > MOST_PAGE_ROWS:
                raise msgspec.DecodeError("more rows than a page has")
            refusal = answer.envelope.refusal
        except wire.UNREADABLE as error:
            refusal = wire.refusal_in(body)
            if not refusal:
                raise TemporaryError(
                    f"Listrak's answer to {resource} isn't what its API describes: {error}"
                ) from None
        if refusal:
            raise explain(refusal, body, resource)
        self._answers.note(resource, asked_at)
        return answer

    async def _read(self, shape: Shape[Data], body: bytes) -> Answer[Data]:
        """An answer as far as it can be read. Raises those of wire.UNREADABLE."""
        answer = shape.decode_strictly(body)
        if answer is not None:
            return answer
        # It may take a second: meanwhile others have their turns.
        return await anyio.to_thread.run_sync(shape.decode_leniently, body, limiter=self._lenient)

    async def _is_answering(self, resource: str) -> bool:
        """Tells whether Listrak answers anything else at all: asks for the lists once."""
        if resource == "lists" or not self._answers.may_probe():
            return False
        with anyio.move_on_after(PATIENCE):
            try:
                await self._decoded("List", LISTS, "lists", {})
            except BridgeError:
                return False
            return True
        return False

    async def _try(self, path: str, resource: str, query: dict[str, Any]) -> tuple[bytes, float]:
        """The body of the answer to one request, and when that was made; a refused token is
        renewed on the way."""
        for last_try in (False, False, True):
            with self._metrics.throttled.labels("listrak").track_inprogress():
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
                return answer.body, began
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
                    self._report_pause(resource)
            raise error
        raise AssertionError("unreachable: the last try returns or raises")

    def _report_answering(self) -> None:
        """Tells that Listrak isn't waited for any more, unless it said to wait."""
        self._metrics.blocked.labels("listrak").set(self._rate.paused_for > 0)

    def _report_pause(self, resource: str) -> None:
        """Tells that nobody calls for now."""
        self._metrics.blocked.labels("listrak").set(1)
        seconds = self._rate.paused_for
        if self._deadline is not None and seconds > self._deadline:
            # Whoever waits for less tells it by itself.
            reason = "Listrak answered 429, and how long nobody is to call"
            log.warning(
                "listrak.waiting", resource=resource, seconds=round(seconds, 1), reason=reason
            )

    def _report_rate(self, per_second: float) -> None:
        self._metrics.listrak_rate.set(per_second)
        log.warning("listrak.rate_changed", calls_a_second=round(per_second, 2))
