"""Listrak's read operations against a server on loopback."""

from typing import Any
from urllib.parse import quote

import anyio
import anyio.from_thread
import pytest
from aiohttp import web
from listrak_stand_in import Reply, StandIn, client_of, cut, ok, status

from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    OversizeError,
    RefusedError,
    TemporaryError,
)
from bridge.listrak import calls, wire
from bridge.listrak.client import Listrak, RowFilter
from bridge.listrak.origin import Origin
from bridge.listrak.pages import PageOf
from bridge.listrak.shapes import ACTIVITIES, CONTACTS, LINKS, Answer, Shape
from bridge.metrics import Metrics
from bridge.transport.priority import Priority

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_shortest_wait")]


LIST = {"listId": 5, "listName": "Néws 🎉"}
GARBAGE = status(200, "<html>back soon</html>")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"bridge_{name}", labels)


async def page_of(
    listrak: Listrak, cursor: str = wire.START, **query: Any
) -> PageOf[wire.Activity]:
    return await listrak.page("L/1/Activity", ACTIVITIES, "activity", cursor, **query)


async def test_a_request() -> None:
    """A request carries the token and asks for JSON; the answer is decoded and counted."""
    metrics, stand_in = Metrics(), StandIn(ok([LIST]))
    async with client_of(stand_in, metrics=metrics) as listrak:
        assert (await listrak.lists()).rows == [wire.MailingList(5, "Néws 🎉")]
        assert listrak.clock.offset == 0.0, "the answer's date was noted"
    (request,) = stand_in.calls
    assert request.path == "/v1/List"
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("listrak-segment-bridge/")
    assert value(metrics, "listrak_calls_total", resource="lists", status="200") == 1


# Tokens


async def test_a_token_that_just_expired() -> None:
    """A token that is refused is renewed on the way: nobody notices."""
    stand_in = StandIn(ok([LIST]))
    async with client_of(stand_in) as listrak:
        await listrak.lists()
        stand_in.revoked = {"token-1"}
        assert (await listrak.lists()).rows == [wire.MailingList(5, "Néws 🎉")]
    tokens = [call.headers["Authorization"] for call in stand_in.calls]
    assert tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_fresh_tokens_are_refused_too() -> None:
    """Then it is the credentials: a few tries, each with a token of its own, and no more."""
    stand_in = StandIn(status(401))
    async with client_of(stand_in) as listrak:
        with pytest.raises(CredentialsError, match="allow-list"):
            await listrak.lists()
        asked = len(stand_in.calls)
        assert 2 <= asked <= 3
        assert len({call.headers["Authorization"] for call in stand_in.calls}) == asked
        stand_in.replies = [ok([LIST])]
        assert len((await listrak.lists()).rows) == 1
    assert len(stand_in.calls) == asked + 1


async def test_refused_credentials_ask_nothing() -> None:
    """Without a token the API isn't asked, and the token service is asked slowly."""
    stand_in = StandIn(ok([LIST]))
    stand_in.token_replies = [status(400, '{"error":"Invalid Credentials"}')]
    async with client_of(stand_in) as listrak:
        for _ in range(3):
            with pytest.raises(CredentialsError, match="Invalid Credentials"):
                await listrak.lists()
    assert (stand_in.tokens, stand_in.calls) == (1, [])


# What may pass


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
async def test_retries(code: int) -> None:
    """What may pass is asked again, as soon as the server said, and the waits are counted."""
    metrics, stand_in = Metrics(), StandIn(status(code, Retry_After="0"), ok([LIST]))
    async with client_of(stand_in, deadline=30, metrics=metrics) as listrak:
        assert len((await listrak.lists()).rows) == 1
    assert len(stand_in.calls) == 2
    assert value(metrics, "retries_total", api="listrak") == 1
    assert value(metrics, "blocked", by="listrak") == 0
    assert value(metrics, "listrak_calls_total", resource="lists", status=str(code)) == 1


@pytest.mark.parametrize("reply", [status(503), status(429, Retry_After="60"), cut])
async def test_patience_ends(reply: Reply) -> None:
    """With its patience at an end it says why."""
    stand_in = StandIn(reply)
    async with client_of(stand_in, deadline=0) as listrak:
        with pytest.raises(
            TemporaryError, match=r"Listrak answered|the connection ended before the answer"
        ):
            await listrak.lists()
    # aiohttp asks once more by itself where a connection that was kept open breaks.
    assert len(stand_in.calls) <= (2 if reply is cut else 1)


async def test_blocked_while_it_waits() -> None:
    """As long as it waits, the status shows what for."""
    metrics, stand_in = Metrics(), StandIn(status(503, Retry_After="300"))
    arrived = anyio.Event()

    def busy(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return status(503, Retry_After="300")(request)

    stand_in.replies = [busy]
    async with (
        client_of(stand_in, deadline=None, metrics=metrics) as listrak,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listrak.lists)
        await arrived.wait()
        with anyio.fail_after(10):
            while value(metrics, "blocked", by="listrak") != 1:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_retry_after_is_told() -> None:
    """What the server asked for reaches the caller."""
    async with client_of(StandIn(status(429, Retry_After="17"))) as listrak:
        with pytest.raises(TemporaryError) as caught:
            await listrak.lists()
    assert caught.value.retry_after == 17


async def test_after_a_429_nobody_asks() -> None:
    """A 429 is meant for all readers: none asks before the time that the server said."""
    stand_in = StandIn(status(429, Retry_After="300"), ok([LIST]))
    async with client_of(stand_in) as listrak:
        with pytest.raises(TemporaryError):
            await listrak.lists()
        with anyio.move_on_after(0.2) as scope:
            await listrak.lists()
        assert scope.cancelled_caught
    assert len(stand_in.calls) == 1


async def test_a_429_is_meant_for_all() -> None:
    """Whichever part of the bridge met it, and however patient and urgent the others are."""
    stand_in = StandIn(status(429, Retry_After="300"), ok([LIST]))
    async with client_of(stand_in) as listrak:
        with pytest.raises(TemporaryError):
            await listrak.with_priority(Priority.OLD).lists()
        for other in (
            listrak,
            listrak.with_deadline(None),
            listrak.with_priority(Priority.BACKFILL),
        ):
            with anyio.move_on_after(0.1) as scope:
                await other.lists()
            assert scope.cancelled_caught
    assert len(stand_in.calls) == 1


async def test_a_429_lowers_the_rate() -> None:
    """Whether or not the server says for how long; other failures don't."""
    metrics = Metrics()
    stand_in = StandIn(status(503), status(429), status(429), ok([LIST]))
    async with client_of(stand_in, metrics=metrics, requests_per_second=400) as listrak:
        assert value(metrics, "listrak_pace") == 400
        for expected in (400, 200, 200):
            with pytest.raises(TemporaryError):
                await listrak.lists()
            assert value(metrics, "listrak_pace") == expected
        assert len((await listrak.lists()).rows) == 1


async def test_a_very_slow_answer_lowers_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken all the same."""
    monkeypatch.setattr(calls, "SLOW", 0.0)
    metrics = Metrics()
    async with client_of(StandIn(ok([LIST])), metrics=metrics, requests_per_second=400) as listrak:
        assert len((await listrak.lists()).rows) == 1
    assert value(metrics, "listrak_pace") == 200


@pytest.mark.parametrize(
    "reply", [GARBAGE, status(200, ""), status(200, "[]"), status(200, '{"data": 7}')]
)
async def test_not_what_the_api_describes(reply: Reply) -> None:
    """A 200 that isn't what it should be may pass: nothing is concluded from it."""
    async with client_of(StandIn(reply, ok([LIST]))) as listrak:
        with pytest.raises(TemporaryError, match="isn't what its API describes"):
            await listrak.lists()
        assert len((await listrak.lists()).rows) == 1


# What doesn't pass


@pytest.mark.parametrize(
    ("code", "cursor", "kind"),
    [
        (400, wire.START, RefusedError),
        (404, wire.START, MissingError),
        (410, wire.START, MissingError),
        (400, "abc", CursorError),
        (404, "abc", CursorError),
        (410, "abc", CursorError),
        (405, "abc", RefusedError),
    ],
)
async def test_refusals(code: int, cursor: str, kind: type[RefusedError]) -> None:
    """What isn't there is missing, a cursor that isn't taken is told; neither is asked again."""
    stand_in = StandIn(status(code, '{"message": "No such thing."}'))
    async with client_of(stand_in, deadline=None) as listrak:
        with pytest.raises(RefusedError, match="No such thing") as caught:
            await page_of(listrak, cursor)
    assert type(caught.value) is kind
    assert caught.value.status == code
    # What is missing may have been too large a page.
    assert len(stand_in.calls) == (2 if kind is MissingError else 1)


async def test_a_contact_that_is_gone() -> None:
    """A contact that the list doesn't have is None, not an error."""
    async with client_of(StandIn(status(404))) as listrak:
        assert (await listrak.contact(1, "zoe@example.com", None)).rows == []


# Pages


async def test_pages() -> None:
    """The first page begins at Start, each later one at the cursor as it came."""
    cursor = "a+b/=& c%"
    stand_in = StandIn(ok([{"linkId": 1}], cursor), ok([], "more"), ok([{"linkId": 2}]))
    metrics = Metrics()
    async with client_of(stand_in, metrics=metrics) as listrak:
        rows = await listrak.collection("L/1/Link", LINKS, "links")
    assert [row.link_id for row in rows] == [1, 2], "an empty page can have more behind it"
    assert [call.query["cursor"] for call in stand_in.calls] == ["Start", cursor, "more"]
    assert quote(cursor, safe="") in stand_in.calls[1].raw_path
    assert {call.query["count"] for call in stand_in.calls} == {"5000"}
    assert value(metrics, "listrak_rows_total", resource="links") == 2


async def test_a_page_that_names_itself() -> None:
    """A page whose next is itself would never end: it may pass."""
    async with client_of(StandIn(ok([], "abc"))) as listrak:
        assert (await page_of(listrak)).next_cursor == "abc"
        with pytest.raises(TemporaryError, match="go round in a circle"):
            await listrak.collection("L/1/Link", LINKS, "links")


async def test_a_page_that_is_too_large() -> None:
    """It is asked for again with fewer rows, and so are all that follow."""
    huge = status(200, " " * (calls.MOST_BYTES + 1))
    stand_in = StandIn(huge, ok([{"linkId": 1}], "more"), ok([]))
    async with client_of(stand_in) as listrak:
        assert len(await listrak.collection("L/1/Link", LINKS, "links")) == 1
    assert [call.query["count"] for call in stand_in.calls] == ["5000", "1000", "1000"]
    async with client_of(StandIn(huge)) as listrak:
        with pytest.raises(OversizeError, match=f"more than {calls.MOST_BYTES:,} bytes"):
            await listrak.collection("L/1/Link", LINKS, "links")


DEEP = '{"data": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize("code", [200, 400, 500])
async def test_what_is_nested_too_deep(code: int) -> None:
    """It is an answer that can't be read, or a refusal without a reason."""
    async with client_of(StandIn(status(code, DEEP))) as listrak:
        with pytest.raises((TemporaryError, RefusedError), match=r"isn't what|no reason given"):
            await listrak.lists()


@pytest.mark.parametrize(
    ("code", "error"), [(401, CredentialsError), (403, CredentialsError), (500, TemporaryError)]
)
@pytest.mark.parametrize("data", [None, []])
async def test_a_refusal_in_a_200(code: int, error: type[Exception], data: Any) -> None:
    """It is one, and no empty page."""
    said = {"status": code, "error": "ERROR", "message": "no", "data": data}
    stand_in = StandIn(lambda _: web.json_response(said))
    async with client_of(stand_in) as listrak:
        with pytest.raises(error):
            await page_of(listrak)


async def test_null_is_an_empty_page() -> None:
    """A page of null has no rows."""
    stand_in = StandIn(status(200, '{"data": null, "nextPageCursor": null}'))
    async with client_of(stand_in) as listrak:
        try:
            page = await page_of(listrak)
        except TemporaryError:
            return  # just as well: asked again, never taken for the end
        assert (page.rows, page.next_cursor) == ([], None)


async def test_page_size() -> None:
    """A smaller page can be asked for, and is not made smaller still."""
    stand_in = StandIn(ok([]), status(404))
    async with client_of(stand_in) as listrak:
        await page_of(listrak, count=1000)
        with pytest.raises(MissingError):
            await page_of(listrak, count=1000)
    assert [call.query["count"] for call in stand_in.calls] == ["1000", "1000"]


async def test_pages_that_are_too_large() -> None:
    """An oversize request answers 404: the whole collection is read in smaller pages then."""
    following = {"Start": "b", "b": "c", "c": None}

    def answer(request: web.Request) -> web.StreamResponse:
        if int(request.query["count"]) > 1000:
            return status(404)(request)
        cursor = request.query["cursor"]
        return ok([{"linkId": len(stand_in.calls)}], following[cursor])(request)

    stand_in = StandIn(answer)
    async with client_of(stand_in) as listrak:
        assert len(await listrak.collection("L/1/Link", LINKS, "links")) == 3


async def test_more_rows_than_a_page_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may have some more than were asked for, and not any number."""
    monkeypatch.setattr(calls, "MOST_PAGE_ROWS", 2)
    async with client_of(StandIn(ok([{}] * 2), ok([{}] * 3))) as listrak:
        assert len((await page_of(listrak)).rows) == 2
        with pytest.raises(TemporaryError, match="more rows than a page has"):
            await page_of(listrak)


async def test_others_go_on_while_a_page_is_doubtful() -> None:
    """What has to be read field by field takes long; everything else has its turns meanwhile."""
    turns: list[str] = []

    class Doubtful(Shape[list[wire.Activity]]):
        def decode_leniently(self, body: bytes) -> Answer[list[wire.Activity]]:
            anyio.from_thread.run_sync(turns.append, "of others")
            return super().decode_leniently(body)

    shape = Doubtful(list[wire.Activity])
    async with client_of(StandIn(ok([{"open": "no"}]))) as listrak:
        page = await listrak.page("L/1/Activity", shape, "activity", wire.START)
    assert (page.unread[0].fields, turns) == ({"open": "a text of 2 characters"}, ["of others"])


async def test_origins() -> None:
    """Where rows of activity or clicks tell where they came from, the page has it by row."""
    row = {"emailAddress": "a@x.y", "ipAddress": "203.0.113.7"}
    async with client_of(StandIn(ok([row]))) as listrak:
        assert (await page_of(listrak)).origins == [Origin("203.0.113.7", None)]
        assert (await listrak.clickers("L/1", 7, wire.START)).origins is not None
        contacts = await listrak.page("L/1/Contact", CONTACTS, "contacts", wire.START)
        assert contacts.origins is None


# Resources


async def test_filters() -> None:
    """Scans name what they want; what isn't wanted is not asked for, as it may be refused."""
    stand_in = StandIn(ok([]))
    naive = "2026-05-10T08:00:00"
    async with client_of(stand_in) as listrak:
        await listrak.messages(5, naive)
        await listrak.activity("L/1", wire.START, RowFilter(date_type="Send", since=naive))
        await listrak.activity("L/1", wire.START, RowFilter(None, "Activity", naive, naive))
        await listrak.activity("L/1", wire.START, RowFilter("bounce"))
        await listrak.clickers("L/1", 7, wire.START, since=naive)
        await listrak.activity("L/1", wire.START)
    paging = {"cursor", "count"}
    assert [
        {name: value for name, value in call.query.items() if name not in paging}
        for call in stand_in.calls
    ] == [
        {"startDate": naive},
        {"startDate": naive},
        {"startDate": naive, "dateType": "Activity", "endDate": naive},
        {"activityType": "bounce"},
        {"startDate": naive},
        {},
    ]


async def test_contacts() -> None:
    """Contacts are asked for by state, and by date where only the recent ones are wanted."""
    stand_in = StandIn(ok([]))
    async with client_of(stand_in) as listrak:
        await listrak.contacts(5, "Subscribed", wire.START, None, None)
        await listrak.contacts(5, "Unsubscribed", "abc", 77, "2026-01-02T03:04:05")
    every, recent = stand_in.calls
    assert every.path == "/v1/List/5/Contact"
    assert dict(every.query) == {
        "subscriptionState": "Subscribed",
        "cursor": "Start",
        "count": "5000",
    }
    assert dict(recent.query) == {
        "subscriptionState": "Unsubscribed",
        "segmentationFieldIds": "77",
        "startDate": "2026-01-02T03:04:05",
        "useOriginalSubscribeDate": "false",
        "cursor": "abc",
        "count": "5000",
    }


async def test_one_contact() -> None:
    """An address in a path is quoted, whatever it has in it."""
    stand_in = StandIn(ok({"emailAddress": "a/b+c@x.y"}))
    async with client_of(stand_in) as listrak:
        found = await listrak.contact(5, "a/b+c@x.y", None)
    assert [row.email_address for row in found.rows] == ["a/b+c@x.y"]
    assert stand_in.calls[0].raw_path == "/v1/List/5/Contact/a%2Fb%2Bc%40x.y"


async def test_campaigns() -> None:
    """Campaigns come by id, those without a name left out."""
    rows = [
        {"campaignId": 3, "campaignName": "Spring"},
        {"campaignId": 4, "campaignName": None},
        {"campaignId": 0, "campaignName": ""},
    ]
    async with client_of(StandIn(ok(rows))) as listrak:
        assert (await listrak.campaigns(5)).rows == [wire.Campaign(3, "Spring")]


async def test_profile_fields() -> None:
    """Profile fields are those of all groups."""
    stand_in = StandIn(
        ok([{"segmentationFieldGroupId": 1}, {"segmentationFieldGroupId": 2}]),
        ok([{"segmentationFieldId": 11, "segmentationFieldName": "Customer ID"}]),
        ok([{"segmentationFieldId": 22}]),
    )
    async with client_of(stand_in) as listrak:
        fields = (await listrak.profile_fields(5)).rows
    assert [field.segmentation_field_id for field in fields] == [11, 22]
    assert [call.path for call in stand_in.calls] == [
        "/v1/List/5/SegmentationFieldGroup",
        "/v1/List/5/SegmentationFieldGroup/1/SegmentationField",
        "/v1/List/5/SegmentationFieldGroup/2/SegmentationField",
    ]


async def test_paths() -> None:
    """Each resource stands where Listrak's document has it."""
    stand_in = StandIn(ok([]))
    async with client_of(stand_in) as listrak:
        await listrak.messages(5)
        await listrak.split_tests(5)
        await listrak.split_test_messages(5, 6)
        await listrak.conversations(5)
        await listrak.conversation_messages(5, 6)
        await listrak.transactional_messages(5)
        await listrak.links("List/5/Message/7")
        await listrak.activity("List/5/Message/7", wire.START)
        await listrak.clickers("List/5/Message/7", 8, wire.START)
        stand_in.replies = [ok({"messageId": 7, "startDate": "2026-01-01T00:00:00"})]
        await listrak.message("List/5/Message/7")
        await listrak.summary("List/5/Message/7")
        assert await listrak.started("List/5/Message/7") == "2026-01-01T00:00:00"
    assert [call.path.removeprefix("/v1/List/5/") for call in stand_in.calls] == [
        "Message",
        "SplitTest",
        "SplitTest/6/Message",
        "Conversation",
        "Conversation/6/Message",
        "TransactionalMessage",
        "Message/7/Link",
        "Message/7/Activity",
        "Message/7/Link/8/Clicker",
        "Message/7",
        "Message/7/Summary",
        "Message/7/Status",
    ]


async def test_with_deadline() -> None:
    """The same client can be made to give up sooner; the first one is as it was."""
    stand_in = StandIn(status(503), status(503, Retry_After="0"), ok([LIST]))
    async with client_of(stand_in, deadline=30) as listrak:
        with pytest.raises(TemporaryError):
            await listrak.with_deadline(0).lists()
        assert len((await listrak.lists()).rows) == 1


async def test_gives_up_at_once() -> None:
    """It can be made to give up on some errors at once, however patient it is otherwise."""
    stand_in = StandIn(status(503, Retry_After="0"), status(401))
    async with client_of(stand_in, deadline=0) as listrak:
        asking = listrak.with_deadline(None, give_up_on=(CredentialsError,))
        with pytest.raises(CredentialsError):
            await asking.lists()
