import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from jsonschema import Draft7Validator

from bridge.sandbox.account import Origin, Profile
from bridge.sandbox.clock import Clock
from bridge.sandbox.faults import Faults
from bridge.sandbox.listrak import Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.sandbox.server import serve
from bridge.sandbox.switches import Switches
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SWAGGER = Path(__file__).parents[3] / "shared/listrak/email-api.swagger.json"
Json = dict[str, Any]


class Client:
    """Asks an emulator over HTTP, with a token."""

    def __init__(self, listrak: Listrak, url: str, session: aiohttp.ClientSession) -> None:
        self.listrak = listrak
        self._url = url
        self._session = session
        self._token = ""

    async def token(self, secret: str = "secret", grant: str = "client_credentials") -> Any:
        form = {"grant_type": grant, "client_id": "client", "client_secret": secret}
        async with self._session.post(self._url + "/OAuth2/Token", data=form) as response:
            answer = await response.json()
            self._token = answer.get("access_token", "")
            return response.status, answer

    async def get(self, path: str, *, status: int = 200, **query: Any) -> Json:
        if not self._token:
            await self.token()
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._url}/email/v1/{path}"
        async with self._session.get(url, params=query, headers=headers) as response:
            assert response.status == status, await response.text()
            answer: Json = await response.json()
            assert answer["status"] == status
            return answer

    async def pages(self, path: str, **query: Any) -> list[list[Json]]:
        """All the pages of a scan."""
        pages = []
        cursor: str | None = "Start"
        while cursor is not None:
            answer = await self.get(path, **query, cursor=cursor)
            pages.append(answer["data"])
            cursor = answer["nextPageCursor"]
        return pages

    async def rows(self, path: str, **query: Any) -> list[Json]:
        return [row for page in await self.pages(path, **query) for row in page]

    async def sandbox(self, path: str, method: str = "GET", data: str | None = None) -> Json:
        url = f"{self._url}/_sandbox/{path}"
        async with self._session.request(method, url, data=data) as response:
            assert response.status == 200, await response.text()
            answer: Json = await response.json()
            return answer


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    """Starts emulators: `await start(world, **options)` gives a Client."""
    async with AsyncExitStack() as stack:

        async def begin(world: World, **options: Any) -> Client:
            clock = options.pop("clock", None) or Clock.manual(world.now)
            integration = options.pop("integration", None) or Integration("client", "secret")
            listrak = Listrak(world, clock, integration, **options)
            url = await stack.enter_async_context(serve(listrak.app))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(listrak, url, session)

        yield begin


@pytest.fixture
def world() -> World:
    """One list with a message to five contacts."""
    world = World(start=START)
    owner = world.add_list("One", list_id=1)
    world.add_field(1, "Customer ID")
    for n in range(5):
        world.subscribe(owner.list_id, f"user{n}@example.com", profile=Profile(external_id=f"x{n}"))
    world.send_broadcast(1, owner.contacts)
    return world


def activity(world: World) -> str:
    return f"List/1/Message/{next(iter(world.lists[1].messages))}/Activity"


# The document


def schema_of(document: Json, template: str) -> Json:
    """The JSON schema of a route's answer; nulls are let through, as in the document's examples."""
    text = json.dumps(document["definitions"]).replace("#/definitions/", "#/$defs/")
    definitions = json.loads(text)
    for definition in definitions.values():
        for field in definition.get("properties", {}).values():
            if isinstance(field.get("type"), str):
                field["type"] = [field["type"], "null"]
    reference = document["paths"][template]["get"]["responses"]["200"]["schema"]["$ref"]
    name = reference.removeprefix("#/definitions/")
    return {"$defs": definitions, **definitions[name], "required": ["status", "data"]}


def places(world: World) -> list[dict[str, str]]:
    """Ids for the parameters of the routes, of all that the world has."""
    found = []
    for owner in world.lists.values():
        one = {"listId": str(owner.list_id), "contactIdentifier": next(iter(owner.contacts))}
        found += [one | {"segmentationFieldGroupId": str(g)} for g in owner.groups]
        found += [one | {"splitTestId": str(s)} for s in owner.split_tests]
        found += [one | {"transactionalMessageId": str(m)} for m in owner.transactional]
        for message in owner.messages.values():
            ids = one | {"messageId": str(message.message_id)}
            found.append(ids | {"messageLinkId": str(message.links[0].link_id)})
        for talk in owner.conversations.values():
            for message in talk.messages:
                ids = one | {"conversationId": str(talk.conversation_id)}
                ids["conversationMessageId"] = str(message.message_id)
                found.append(ids | {"conversationMessageLinkId": str(message.links[0].link_id)})
    return found


@pytest.mark.skipif(not SWAGGER.exists(), reason="Listrak's Swagger document is not at hand")
@pytest.mark.parametrize("extra_fields", [False, True])
async def test_every_route_answers_as_documented(start: Any, extra_fields: bool) -> None:
    """Every read route of Listrak's document exists, and its answers fit the models."""
    document = json.loads(SWAGGER.read_text())
    world = populated_world(start=START, contacts=20)
    client = await start(world, switches=Switches(extra_fields=extra_fields))
    ids = places(world)
    for template in document["paths"]:
        schema = schema_of(document, template)
        validator = Draft7Validator(schema)
        names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
        asked = 0
        for place in ids:
            if all(name in place for name in names):
                path = template.removeprefix("/v1/").format(**place)
                answer = await client.get(path, segmentationFieldIds="777,778,779,780")
                validator.validate(answer)
                paged = "nextPageCursor" in answer
                assert paged == ("nextPageCursor" in schema["properties"])
                fields = schema["properties"]["data"]
                model = schema["$defs"][
                    (fields.get("items") or fields)["$ref"].removeprefix("#/$defs/")
                ]
                rows = answer["data"] if isinstance(answer["data"], list) else [answer["data"]]
                unknown = {key for row in rows for key in row} - set(model["properties"])
                assert unknown <= ({"ipAddress", "userAgent", "device"} if extra_fields else set())
                asked += 1
        assert asked
        assert client.listrak.requests[template] == asked


# Access


async def test_token(start: Any, world: World) -> None:
    """Good credentials give a bearer token, bad ones a 400 that is no envelope."""
    client = await start(world)
    status, answer = await client.token("wrong")
    assert (status, answer) == (400, {"error": "Invalid Credentials"})
    status, answer = await client.token(grant="password")
    assert (status, answer) == (400, {"error": "unsupported_grant_type"})
    status, answer = await client.token()
    assert status == 200
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 3599)
    assert (await client.get("List"))["data"][0]["listId"] == 1


async def test_tokens_expire(start: Any, world: World) -> None:
    """An expired token is refused, whether by age, by hand or by a fault."""
    client = await start(world, integration=Integration("client", "secret", token_lifetime=0))
    error = (await client.get("List", status=401))["error"]
    assert error == "ERROR_UNAUTHORIZED"
    client = await start(world, faults=Faults("expire_token:times=1"))
    await client.get("List", status=401)
    await client.get("List", status=401)
    await client.token()
    await client.get("List")
    client.listrak.expire_tokens()
    await client.get("List", status=401)


async def test_who_is_gone_is_no_failure(
    start: Any, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that breaks off, as of a service that is killed, is not told as one."""
    client = await start(world)

    async def broken_off(_: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("Connection lost")

    with pytest.raises(ConnectionResetError):
        await client.listrak._translate(make_mocked_request("GET", "/"), broken_off)
    assert "failed" not in caplog.text


async def test_paused(start: Any, world: World) -> None:
    """A paused integration is denied everything, tokens included."""
    client = await start(world)
    await client.get("List")
    client.listrak.switches.paused = True
    await client.get("List", status=401)
    status, answer = await client.token()
    assert status == 401
    assert answer["message"] == "Authorization was denied for this request."


# Errors


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("List/2", 404),
        ("List/2/Contact", 404),
        ("List/one", 400),
        ("List/1/Message/9", 404),
        ("List/1/Message/9/Activity", 404),
        ("List/1/Conversation/9/Message", 404),
        ("List/1/Contact/nobody@example.com", 404),
        ("List/1/SplitTest/9/Message", 404),
        ("List/1/SegmentationFieldGroup/9/SegmentationField", 404),
        ("List/1/Contact?count=0", 400),
        ("List/1/Contact?count=many", 400),
        ("List/1/Contact?count=5000", 200),
        ("List/1/Contact?count=5001", 404),
        ("List/1/Contact?startDate=soon", 400),
        ("List/1/Contact?subscriptionState=Gone", 400),
        ("List/1/Contact?useOriginalSubscribeDate=perhaps", 400),
        ("List/1/Contact?segmentationFieldIds=" + ",".join(map(str, range(30))), 200),
        ("List/1/Contact?segmentationFieldIds=" + ",".join(map(str, range(31))), 400),
        ("List/1/Message/4001/Activity?dateType=Click", 400),
        ("Nothing", 404),
    ],
)
async def test_errors(start: Any, world: World, path: str, status: int) -> None:
    """Errors come in the envelope: 400 for a bad value, 404 for what isn't there or too much."""
    client = await start(world)
    answer = await client.get(path, status=status)
    names = {400: "ERROR_INVALID_PARAMETER", 404: "ERROR_UNABLE_TO_LOCATE_RESOURCE"}
    assert answer.get("error") == names.get(status)


# Pages


@pytest.mark.parametrize("style", ["token", "uri"])
@pytest.mark.parametrize("empty_pages", [0, 0.5])
async def test_pages_have_every_row_once(start: Any, style: Any, empty_pages: float) -> None:
    """The pages of a scan together have every row once, in no order of theirs."""
    world = World(start=START)
    world.add_list("One", list_id=1)
    emails = [f"user{n}@example.com" for n in range(53)]
    world.send_broadcast(1, emails)
    client = await start(world, switches=Switches(cursor_style=style, empty_pages=empty_pages))
    found: list[list[str]] = []
    cursor: str | None = "Start"
    while cursor is not None:
        answer = await client.get(activity(world), count=10, cursor=cursor)
        found.append([row["emailAddress"] for row in answer["data"]])
        cursor = answer["nextPageCursor"]
        if style == "uri" and cursor is not None:
            query = parse_qs(urlsplit(cursor).query)
            assert query["count"] == ["10"]
            cursor = query["cursor"][0]
    flat = [email for page in found for email in page]
    assert sorted(flat) == sorted(emails)
    assert flat != emails
    assert any(not page for page in found) == bool(empty_pages)


async def test_cursor_must_be_encoded(start: Any, world: World) -> None:
    """A cursor has characters that a query string eats; broken or strange, it's a 400."""
    client = await start(world)
    cursor = (await client.get(activity(world), count=1))["nextPageCursor"]
    assert set("+/=") <= set(cursor)
    await client.get(activity(world), count=1, cursor=cursor)
    for broken in (cursor.replace("+", " "), cursor[:-4], "x", "Start2", cursor[::-1]):
        answer = await client.get(activity(world), status=400, cursor=broken)
        assert answer["error"] == "ERROR_INVALID_PARAMETER"
    await client.get("List/1/Contact", status=400, cursor=cursor)
    await client.get(activity(world), status=400, cursor=cursor, startDate="2026-01-01")


async def test_cursors_may_expire(start: Any, world: World) -> None:
    """With a lifetime, a cursor is refused after it, and each page gives a fresh one."""
    client = await start(world, switches=Switches(cursor_lifetime=60))
    clock = client.listrak.clock
    cursor = (await client.get(activity(world), count=1))["nextPageCursor"]
    for _ in range(3):
        clock.advance(timedelta(seconds=60))
        cursor = (await client.get(activity(world), count=1, cursor=cursor))["nextPageCursor"]
    clock.advance(timedelta(seconds=61))
    await client.get(activity(world), status=400, count=1, cursor=cursor)


async def test_scan_sees_the_living_state(start: Any, world: World) -> None:
    """Rows are as they are by the time of their page, and new ones come at the end."""
    client = await start(world)
    message = world.send_conversation(1, ["user1@example.com"])
    assert message.conversation is not None
    path = f"List/1/Conversation/{message.conversation.conversation_id}"
    path += f"/Message/{message.message_id}/Activity"
    world.send(message, ["user2@example.com"])
    first = await client.get(path, count=1)
    for email in ("user1@example.com", "user2@example.com"):
        world.open(message, email)
    world.send(message, ["user3@example.com"])
    rows = []
    cursor = first["nextPageCursor"]
    while cursor is not None:
        answer = await client.get(path, count=1, cursor=cursor)
        rows += answer["data"]
        cursor = answer["nextPageCursor"]
    assert [row["open"] for row in first["data"] + rows] == [False, True, False]
    assert rows[-1]["emailAddress"] == "user3@example.com"


# What the filters do


async def test_activity_row_is_a_state(start: Any, world: World) -> None:
    """One row for a message and a contact: flags, counts and totals so far."""
    client = await start(world)
    message = next(iter(world.lists[1].messages.values()))
    world.advance(START + timedelta(seconds=1.65))
    client.listrak.clock.advance(timedelta(seconds=1.65))
    world.click(message, "user1@example.com")
    world.click(message, "user1@example.com")
    world.order(message, "user1@example.com", 1999)
    world.order(message, "user1@example.com", 1)
    (row,) = await client.rows(activity(world), emailAddress="user1@example.com")
    assert row == {
        "abuse": False,
        "activityDate": "2026-03-01T07:00:01.65",
        "bounce": False,
        "bounceReason": None,
        "click": True,
        "clickCount": 2,
        "emailAddress": "user1@example.com",
        "externalContactID": "x1",
        "open": True,
        "orderTotal": 20.0,
        "read": False,
        "sendDate": "2026-03-01T07:00:00",
        "unsubscribe": False,
        "visitDate": None,
    }


async def test_date_type(start: Any, world: World) -> None:
    """dateType=Activity goes by first or latest activity, as switched; Send by the send date."""
    client = await start(world)
    message = next(iter(world.lists[1].messages.values()))
    for hours in (1, 2):
        client.listrak.clock.advance(timedelta(hours=1))
        world.advance(START + timedelta(hours=hours))
        world.open(message, "user1@example.com")
    window = {"startDate": "2026-03-01T08:30", "endDate": "2026-03-01T09:30"}
    assert len(await client.rows(activity(world), **window)) == 0
    assert len(await client.rows(activity(world), **window, dateType="Activity")) == 0
    client.listrak.switches.date_type = "latest"
    assert len(await client.rows(activity(world), **window, dateType="Activity")) == 1
    assert len(await client.rows(activity(world), startDate="2026-03-01T12:00:00Z")) == 5
    assert (
        len(await client.rows(activity(world), startDate="03-01-2026", endDate="03-01-2026")) == 0
    )


@pytest.mark.parametrize(("mode", "found"), [("filters", 1), ("ignored", 5)])
async def test_activity_type(start: Any, world: World, mode: Any, found: int) -> None:
    """activityType filters or is ignored, as switched; elsewhere it's refused."""
    client = await start(world, switches=Switches(activity_type=mode))
    message = next(iter(world.lists[1].messages.values()))
    world.open(message, "user1@example.com")
    assert len(await client.rows(activity(world), activityType="Open")) == found
    if mode == "filters":
        await client.get(activity(world), status=400, activityType="Dance")
    client.listrak.switches.activity_type = "refused"
    await client.get(activity(world), status=400, activityType="Open")


@pytest.mark.parametrize(("mode", "found"), [("filters", 1), ("ignored", 5)])
async def test_email_address(start: Any, world: World, mode: Any, found: int) -> None:
    """emailAddress filters, or is ignored or refused, as switched; not for conversations."""
    client = await start(world, switches=Switches(email_address=mode))
    rows = await client.rows(activity(world), emailAddress="user1@example.com")
    assert len(rows) == found
    client.listrak.switches.email_address = "refused"
    await client.get(activity(world), status=400, emailAddress="user1@example.com")
    talk = world.send_conversation(1, ["user1@example.com", "user2@example.com"])
    assert talk.conversation is not None
    path = f"List/1/Conversation/{talk.conversation.conversation_id}/Message/{talk.message_id}"
    rows = await client.rows(f"{path}/Activity", emailAddress="user1@example.com")
    assert len(rows) == 2


async def test_contacts(start: Any, world: World) -> None:
    """Contacts are asked for by state and dates, with the profile values that are asked for."""
    client = await start(world)
    world.set_profile(1, "user1@example.com", 777, "C-1")
    world.set_profile(1, "user2@example.com", 777, "")
    client.listrak.clock.advance(timedelta(days=1))
    world.advance(START + timedelta(days=1))
    world.unsubscribe(1, "user3@example.com", "Subscriber")
    world.unsubscribe(1, "user4@example.com")
    world.resubscribe(1, "user4@example.com")
    rows = await client.rows("List/1/Contact", segmentationFieldIds="777,1")
    values = {row["emailAddress"]: row["segmentationFieldValues"] for row in rows}
    assert set(values) == {f"user{n}@example.com" for n in (0, 1, 2, 4)}
    value = {"segmentationFieldGroupId": 501, "segmentationFieldId": 777}
    assert values["user1@example.com"] == [value | {"value": "C-1"}]
    assert values["user2@example.com"] == [value | {"value": ""}]
    assert values["user0@example.com"] == []
    (gone,) = await client.rows("List/1/Contact", subscriptionState="Unsubscribed")
    assert gone["unsubscribeDate"] == "2026-03-02T07:00:00"
    assert gone["unsubscribeMethod"] == "Subscriber"
    since = {"startDate": "2026-03-02"}
    assert await client.rows("List/1/Contact", **since) == []
    (back,) = await client.rows("List/1/Contact", **since, useOriginalSubscribeDate="false")
    assert back["resubscribeDate"] == "2026-03-02T07:00:00"
    assert back["subscribeDate"] == "2026-03-01T07:00:00"
    window = {"endDate": "2026-03-02T07:00:00", "subscriptionState": "Unsubscribed"}
    assert len(await client.rows("List/1/Contact", **since, **window)) == 1
    window["useOriginalSubscribeDate"] = "false"
    assert len(await client.rows("List/1/Contact", **since, **window)) == 0


async def test_contact_by_identifier(start: Any, world: World) -> None:
    """A contact is found by its address or by its key."""
    world.subscribe(1, "мария+news@почта.example")
    client = await start(world)
    contact = (await client.get("List/1/Contact/мария%2Bnews@почта.example"))["data"]
    assert contact["emailAddress"] == "мария+news@почта.example"
    assert (await client.get(f"List/1/Contact/{contact['emailKey']}"))["data"] == contact


async def test_message_lists(start: Any, world: World) -> None:
    """The list is thin, may lack dates, and leaves out tests and what only split tests have."""
    client = await start(world)
    client.listrak.clock.advance(timedelta(days=1))
    world.advance(START + timedelta(days=1))
    undated = world.send_broadcast(1, ["user1@example.com"], dated=False)
    scheduled = world.add_message(1)
    test = world.send_broadcast(1, ["user1@example.com"], test=True)
    hidden = world.send_broadcast(1, ["user1@example.com"], listed=False)
    world.add_split_test(1, "Subject").messages.append(("A", hidden))
    rows = {row["messageId"]: row for row in await client.rows("List/1/Message")}
    assert hidden.message_id not in rows
    assert test.message_id not in rows
    assert rows[undated.message_id]["sendDate"] is None
    assert rows[undated.message_id]["messageStatus"] == "Sent"
    assert rows[scheduled.message_id]["messageStatus"] == "Scheduled"
    assert len(await client.rows("List/1/Message", includeTestMessages="true")) == 4
    detail = (await client.get(f"List/1/Message/{hidden.message_id}"))["data"]
    assert len(detail["bodyHtml"]) > 10_000
    (split,) = await client.rows("List/1/SplitTest")
    answer = await client.get(f"List/1/SplitTest/{split['splitTestId']}/Message")
    assert [row["messageId"] for row in answer["data"]] == [hidden.message_id]
    since = {"startDate": "2026-03-01"}
    assert len(await client.rows("List/1/Message", **since)) == 1
    client.listrak.switches.undated = "kept"
    assert len(await client.rows("List/1/Message", **since)) == 3


async def test_previous_versions(start: Any, world: World) -> None:
    """Messages of a conversation's earlier versions are there for who asks."""
    message = world.send_conversation(1, ["user1@example.com"], previous=True)
    assert message.conversation is not None
    path = f"List/1/Conversation/{message.conversation.conversation_id}/Message"
    client = await start(world)
    assert await client.rows(path) == []
    assert len(await client.rows(path, includePreviousVersions="true")) == 1


async def test_clicks(start: Any, world: World) -> None:
    """The link report counts clicks, the clicker report has a row for each, filtered by date."""
    client = await start(world)
    message = next(iter(world.lists[1].messages.values()))
    for hours in (1, 2):
        client.listrak.clock.advance(timedelta(hours=1))
        world.advance(START + timedelta(hours=hours))
        world.click(message, "user1@example.com", origin=Origin("203.0.113.7", "Mail/1"))
    path = f"List/1/Message/{message.message_id}/Link"
    (link,) = await client.rows(path)
    assert link["clickCount"] == 2
    clickers = f"{path}/{link['linkId']}/Clicker"
    dates = [row["clickDate"] for row in await client.rows(clickers)]
    assert sorted(dates) == ["2026-03-01T08:00:00", "2026-03-01T09:00:00"]
    (row,) = await client.rows(clickers, startDate="2026-03-01T08:30:00")
    assert row == {"emailAddress": "user1@example.com", "clickDate": "2026-03-01T09:00:00"}
    client.listrak.switches.extra_fields = True
    (row,) = await client.rows(clickers, startDate="2026-03-01T08:30:00")
    assert (row["ipAddress"], row["userAgent"]) == ("203.0.113.7", "Mail/1")
    await client.get(f"{path}/1/Clicker", status=404)


async def test_summary_agrees_with_the_rows(start: Any) -> None:
    """The counters of a message are sums over its activity rows."""
    world = populated_world(start=START, contacts=50)
    client = await start(world)
    for owner in world.lists.values():
        for message in owner.messages.values():
            path = f"List/{owner.list_id}/Message/{message.message_id}"
            rows = await client.rows(f"{path}/Activity", count=37)
            counted = (await client.get(f"{path}/Summary"))["data"]
            assert counted["sentCount"] == len(rows)
            assert counted["openCount"] == sum(row["open"] for row in rows)
            assert counted["readCount"] == sum(row["read"] for row in rows)
            assert counted["clickCount"] == sum(row["clickCount"] for row in rows)
            assert counted["bounceCount"] == sum(row["bounce"] for row in rows)
            assert counted["unsubscribeCount"] == sum(row["unsubscribe"] for row in rows)
            assert counted["revenue"] == pytest.approx(sum(row["orderTotal"] or 0 for row in rows))


@pytest.mark.parametrize("summary", ["more", "less"])
async def test_a_summary_that_never_adds_up(start: Any, summary: Any) -> None:
    """Each counter that isn't 0 is off by one at least; the rows are what they are."""
    world = populated_world(seed=5, start=START, contacts=60)
    client = await start(world, switches=Switches(summary=summary))
    off = 1 if summary == "more" else -1
    asked = 0
    for message in world.lists[12345].messages.values():
        path = f"List/12345/Message/{message.message_id}"
        told = (await client.get(f"{path}/Summary"))["data"]
        assert len(await client.rows(f"{path}/Activity")) == len(message.rows)
        for counter, true in (
            ("sentCount", len(message.rows)),
            ("openCount", message.totals.opened),
            ("clickCount", message.totals.clicks),
        ):
            assert (told[counter] - true) * off >= (true > 0)
            asked += true > 0
    assert asked > 3


async def test_counters_that_lag(start: Any) -> None:
    """Summary and clickCount show what was true some time ago; rows show what is."""
    world = World(start=START)
    list_id = world.add_list("News").list_id
    message = world.send_broadcast(list_id, ["ann@example.com", "bob@example.com"])
    world.click(message, "ann@example.com")
    client = await start(world, switches=Switches(counters_lag=120))
    path = f"List/{list_id}/Message/{message.message_id}"

    async def counters() -> tuple[int, int, int]:
        told = (await client.get(f"{path}/Summary"))["data"]
        links = await client.rows(f"{path}/Link")
        return told["sentCount"], told["openCount"], sum(link["clickCount"] for link in links)

    assert await counters() == (0, 0, 0)
    client.listrak.clock.advance(timedelta(seconds=121))
    assert await counters() == (2, 1, 1)
    world.click(message, "bob@example.com")
    assert await counters() == (2, 1, 1)
    assert [row["open"] for row in await client.rows(f"{path}/Activity")] == [True, True]
    client.listrak.clock.advance(timedelta(seconds=121))
    assert await counters() == (2, 2, 2)


async def test_rows_that_are_late(start: Any) -> None:
    """What happens shows in rows later, by different delays, and in the end as it was."""
    plain, late = (populated_world(seed=5, start=START, contacts=60) for _ in range(2))
    client = await start(late, switches=Switches(rows_late=600))
    other = await start(plain)
    message = max(late.lists[12345].messages.values(), key=lambda one: len(one.rows))
    path = f"List/12345/Message/{message.message_id}/Activity"
    emails = [f"new{number}@example.com" for number in range(40)]
    for world in (late, plain):
        fresh = world.lists[12345].messages[message.message_id]
        world.send(fresh, emails)
        for email in emails[:20]:
            world.click(fresh, email)
    seen: list[int] = []
    for _ in range(12):
        rows = [r for r in await client.rows(path) if r["emailAddress"] in emails]
        seen.append(len(rows))
        assert all(row["open"] == (row["emailAddress"] in emails[:20]) for row in rows)
        for one in (client, other):
            one.listrak.clock.advance(timedelta(seconds=60))
    assert seen[0] < seen[3] < seen[6] < seen[-1] == 40
    for one in (client, other):
        one.listrak.clock.advance(timedelta(hours=3))
        one.listrak.world.advance(one.listrak.clock.now)
    client.listrak.switches.rows_late = 0.0
    at_once = sorted(await client.rows(path), key=str)
    assert at_once == sorted(await other.rows(path), key=str)
    client.listrak.switches.rows_late = 0.5
    again = sorted(await client.rows(path), key=str)
    # Whether an email was read is not a fact of its own.
    assert [row | {"read": 0} for row in again] == [row | {"read": 0} for row in at_once]


@pytest.mark.parametrize(
    ("dates", "found"), [("send", 2), ("type", 1), ("ignored", 3), ("refused", None)]
)
async def test_dates_of_conversation_messages(start: Any, dates: Any, found: int | None) -> None:
    """What a conversation message's rows are filtered by is a switch of its own."""
    world = World(start=START)
    list_id = world.add_list("News").list_id
    emails = [f"user{number}@example.com" for number in range(3)]
    message = world.send_conversation(list_id, emails[:1])
    client = await start(world, switches=Switches(conversation_dates=dates))
    world.advance(START + timedelta(hours=1))
    world.send(message, emails[1:])
    world.advance(START + timedelta(hours=2))
    world.open(message, emails[0])
    assert message.conversation is not None
    talk = message.conversation.conversation_id
    path = f"List/{list_id}/Conversation/{talk}/Message/{message.message_id}/Activity"
    query = {"startDate": "2026-03-01T07:30:00", "dateType": "Activity"}
    if found is None:
        await client.get(path, status=400, **query)
        return
    assert len(await client.rows(path, **query)) == found


async def test_hidden_row_dates(start: Any, world: World) -> None:
    """Rows may come without a send date of their own: then the message's holds."""
    message = world.send_broadcast(1, ["user1@example.com"], rows_dated=False)
    client = await start(world)
    (row,) = await client.rows(f"List/1/Message/{message.message_id}/Activity")
    assert row["sendDate"] is None


# The sandbox around it


async def test_lives_with_its_clock(start: Any) -> None:
    """The world is lived up to the clock's time before each answer, which tells that time."""
    world = populated_world(start=START, contacts=20)
    client = await start(world)
    before = (await client.sandbox("world"))["facts"]["send"]
    client.listrak.clock.advance(timedelta(days=1))
    after = await client.sandbox("world")
    assert after["facts"]["send"] > before
    assert after["now"] == (START + timedelta(days=1)).isoformat()


async def test_freeze_and_resume(start: Any, world: World) -> None:
    """The clock can be held over HTTP."""
    client = await start(world, clock=Clock(START))
    assert (await client.sandbox("freeze", "POST"))["frozen"] is True
    assert (await client.sandbox("resume", "POST"))["frozen"] is False


async def test_faults_over_http(start: Any, world: World) -> None:
    """Faults come and go over HTTP."""
    client = await start(world)
    await client.get("List")
    await client.sandbox("faults", "POST", "status:503,path=/Contact")
    await client.get("List/1/Contact", status=503)
    await client.get("List")
    await client.sandbox("faults", "DELETE")
    await client.get("List/1/Contact")


def test_switches_parse() -> None:
    """Switches are set by text; what is no switch or no value of it is refused."""
    assert Switches.parse("") == Switches()
    parsed = Switches.parse("date_type=latest,empty_pages=0.2,extra_fields=true")
    assert parsed == Switches(date_type="latest", empty_pages=0.2, extra_fields=True)
    for wrong in ("speed=1", "date_type=any", "empty_pages=1", "empty_pages=x", "paused=maybe"):
        with pytest.raises(ValueError, match=r".+"):
            Switches.parse(wrong)
