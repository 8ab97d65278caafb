"""Edits of the world, and how the emulated Listrak serves them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from bridge.sandbox.clock import Clock
from bridge.sandbox.listrak import Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.sandbox.server import serve
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANNA, BOB = "anna@example.com", "bob@example.com"


@pytest.fixture
def world() -> World:
    """A list with a profile field, a campaign, two contacts and a message."""
    world = World(start=START)
    owner = world.add_list("One", list_id=1)
    world.add_field(1, "Customer ID")
    campaign = world.add_campaign(1, "Sale")
    for email in (ANNA, BOB):
        world.subscribe(owner.list_id, email)
    world.send_broadcast(
        1, [ANNA, BOB], subject="Hello", campaign_id=campaign, google_analytics="ga"
    )
    return world


class Client:
    """Asks an emulator, with a token."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._headers: dict[str, str] = {}

    async def sign_in(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}
        async with self._session.post(self._url + "/OAuth2/Token", data=form) as response:
            token = (await response.json())["access_token"]
            self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, status: int = 200) -> Any:
        url = f"{self._url}/email/v1/{path}"
        async with self._session.get(url, headers=self._headers) as response:
            assert response.status == status
            return (await response.json()).get("data")

    async def post(self, path: str) -> tuple[int, Any]:
        async with self._session.post(f"{self._url}/_sandbox/{path}") as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    """Serves a world: `await start(world)` gives a Client."""
    async with AsyncExitStack() as stack:

        async def begin(world: World) -> Client:
            listrak = Listrak(world, Clock.manual(world.now), Integration("c", "s"))
            url = await stack.enter_async_context(serve(listrak.app))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            client = Client(url, session)
            await client.sign_in()
            return client

        yield begin


def test_the_past_keeps_its_names(world: World) -> None:
    """Each text is known as of any instant; an edit counts from its own instant on."""
    (message,) = world.lists[1].messages.values()
    (field,), (campaign,) = world.lists[1].fields, world.lists[1].campaigns

    def texts(at: datetime) -> list[object]:
        return [
            world.list_name(1, at),
            world.campaign_name(1, campaign, at),
            world.subject(message, at),
            world.google_analytics(message, at),
            world.field_names(1, at),
        ]

    before = ["One", "Sale", "Hello", "ga", {field: "Customer ID"}]
    assert texts(START) == before
    for number in (1, 2):
        world.advance(START + number * DAY)
        world.rename_list(1, f"One {number}")
        world.rename_campaign(1, campaign, f"Sale {number}")
        world.change_subject(message, f"Hello {number}")
        world.change_google_analytics(message, None if number == 2 else "other")
        world.rename_field(1, field, f"ID {number}")
    world.advance(START + 3 * DAY)
    world.remove_field(1, field)
    assert texts(START) == texts(START + DAY - timedelta(seconds=1)) == before
    assert texts(START + DAY) == ["One 1", "Sale 1", "Hello 1", "other", {field: "ID 1"}]
    assert texts(START + 2 * DAY) == ["One 2", "Sale 2", "Hello 2", None, {field: "ID 2"}]
    assert texts(world.now) == ["One 2", "Sale 2", "Hello 2", None, {}]


def test_lists_come_and_go(world: World) -> None:
    """A list is there from its addition to its removal, and again once it is put back."""
    world.advance(START + DAY)
    world.add_list("Two", list_id=2)
    world.remove_list(1)
    with pytest.raises(ValueError, match="removed already"):
        world.remove_list(1)
    world.advance(START + 2 * DAY)
    world.put_back_list(1)
    with pytest.raises(ValueError, match="there already"):
        world.put_back_list(1)
    there = [
        [world.has_list(list_id, START + days * DAY) for days in range(3)] for list_id in (1, 2, 3)
    ]
    assert there == [[True, False, True], [False, True, True], [False, False, False]]


def test_an_address_is_one_however_it_is_spelled(world: World) -> None:
    """Capitals make no other contact: not for who subscribes, leaves or is deleted."""
    with pytest.raises(ValueError, match="already"):
        world.subscribe(1, "ANNA@example.com")
    with pytest.raises(ValueError, match="another address"):
        world.respell(1, ANNA, BOB)
    world.respell(1, ANNA, "Anna@Example.com")
    (message,) = world.lists[1].messages.values()
    world.opt_out(message, ANNA)
    (left,) = [fact for fact in world.log if fact.what == "unsubscribe"]
    assert (left.email, left.row and left.row.email) == ("Anna@Example.com", ANNA)
    world.resubscribe(1, "aNNa@example.com")
    world.delete_contact(1, ANNA)
    assert list(world.lists[1].contacts) == [BOB]
    with pytest.raises(KeyError):
        world.resubscribe(1, ANNA)
    world.subscribe(1, ANNA)


async def test_edits_are_served(start: Any, world: World) -> None:
    """Every route has the present text, and each spelling stands where it belongs."""
    client = await start(world)
    (message,) = world.lists[1].messages.values()
    (campaign,) = world.lists[1].campaigns
    world.rename_list(1, "Uno")
    world.rename_campaign(1, campaign, "Rebajas")
    world.change_subject(message, "Hola")
    world.change_google_analytics(message, "es")
    world.rename_field(1, next(iter(world.lists[1].fields)), "Cliente")
    world.respell(1, ANNA, "ANNA@example.com")
    path = f"List/1/Message/{message.message_id}"
    assert [one["listName"] for one in await client.get("List")] == ["Uno"]
    assert (await client.get("List/1"))["listName"] == "Uno"
    assert [one["campaignName"] for one in await client.get("List/1/Campaign")] == ["Rebajas"]
    assert [one["subject"] for one in await client.get("List/1/Message")] == ["Hola"]
    detail = await client.get(path)
    assert (detail["subject"], detail["googleAnalyticsCampaignName"]) == ("Hola", "es")
    (group,) = world.lists[1].groups
    fields = await client.get(f"List/1/SegmentationFieldGroup/{group}/SegmentationField")
    assert [field["segmentationFieldName"] for field in fields] == ["Cliente"]
    contacts = {contact["emailAddress"] for contact in await client.get("List/1/Contact")}
    assert contacts == {"ANNA@example.com", BOB}
    assert (await client.get(f"List/1/Contact/{ANNA}"))["emailAddress"] == "ANNA@example.com"
    rows = {row["emailAddress"] for row in await client.get(f"{path}/Activity")}
    assert rows == {ANNA, BOB}


async def test_a_removed_list_is_not_found(start: Any, world: World) -> None:
    """It isn't in the list of lists and all its routes answer 404, until it is put back."""
    client = await start(world)
    (message,) = world.lists[1].messages.values()
    paths = ["List/1", "List/1/Contact", f"List/1/Message/{message.message_id}/Activity"]
    world.remove_list(1)
    assert await client.get("List") == []
    for path in paths:
        await client.get(path, status=404)
    world.put_back_list(1)
    for path in ["List", *paths]:
        assert await client.get(path)


async def test_a_removed_field_has_no_values(start: Any, world: World) -> None:
    """Neither it nor what contacts had in it is served any longer."""
    client = await start(world)
    (field_id,), (group,) = world.lists[1].fields, world.lists[1].groups
    world.set_profile(1, ANNA, field_id, "C-1")
    path = f"List/1/Contact/{ANNA}?segmentationFieldIds={field_id}"
    assert (await client.get(path))["segmentationFieldValues"][0]["value"] == "C-1"
    world.remove_field(1, field_id)
    assert (await client.get(path))["segmentationFieldValues"] == []
    assert await client.get(f"List/1/SegmentationFieldGroup/{group}/SegmentationField") == []


async def test_more_than_ten_properties_are_served(start: Any, world: World) -> None:
    """A bounce has its reason, a link its description, a message the id of its campaign."""
    client = await start(world)
    (message,) = world.lists[1].messages.values()
    message.links[0].description = "Logo"
    world.bounce(message, BOB, "Mailbox Full")
    path = f"List/1/Message/{message.message_id}"
    reasons = {row["bounceReason"] for row in await client.get(f"{path}/Activity")}
    assert reasons == {None, "Mailbox Full"}
    assert [link["linkDescription"] for link in await client.get(f"{path}/Link")] == ["Logo"]
    assert (await client.get(path))["campaignId"] == message.campaign_id
    assert [one["campaignId"] for one in await client.get("List/1/Message")] == [
        message.campaign_id
    ]


async def test_ninety_days_at_once(start: Any) -> None:
    """Set forward over HTTP, the world lives through it, and people went on as on any day."""
    world = populated_world(start=START, contacts=10, lists=1, history=DAY)
    client = await start(world)
    before = len(world.log)
    status, shown = await client.post("advance?days=89&hours=23&seconds=3600")
    assert (status, shown["now"]) == (200, (START + 90 * DAY).isoformat())
    months = {fact.at.month for fact in world.log[before:]}
    assert months == {3, 4, 5}
    for wrong in ("seconds=-1", "days=soon", "fortnights=2", "days=1e300", "days=nan"):
        assert (await client.post(f"advance?{wrong}"))[0] == 400
    assert world.now == START + 90 * DAY
