"""Contacts that can't be read, and addresses that a list has more than once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from rig import Rig, quiet_world

from bridge.sandbox.fault import Fault
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LIST = 12345
TRAIT = f"listrak_list_{LIST}"
PEOPLE = [f"person{number}@example.com" for number in range(9)]
Rows = list[Any]


@dataclass
class Rewrite(Fault):
    """Other rows of contacts than the account has.

    rows: makes them of the requested state and of the right ones.
    """

    name = "rewrite"
    rows: Callable[[str, Rows], Rows] = lambda _, rows: rows

    async def serve(self, request: web.Request, handler: Any, /) -> web.StreamResponse:
        answer: web.StreamResponse = await handler(request)
        if not isinstance(answer, web.Response) or answer.status != 200:
            return answer
        whole = json.loads(answer.text or "")
        state = request.query.get("subscriptionState", "")
        if isinstance(whole["data"], list):
            whole["data"] = self.rows(state, whole["data"])
        else:
            (row,) = self.rows(state, [whole["data"]])
            whole["data"] = row or whole["data"]
        return web.Response(text=json.dumps(whole), content_type="application/json")


def account() -> World:
    """A list of some people with a profile field, who were there when it began."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    field = world.add_field(LIST, "Customer ID").field_id
    for number, email in enumerate(PEOPLE):
        world.subscribe(LIST, email)
        world.set_profile(LIST, email, field, f"C-{number}")
    return world


def told(rig: Rig) -> list[tuple[str, str, Any, Any]]:
    """All that Segment has, in order: whom, which event, the state, the userId or the date."""
    found: list[tuple[str, str, Any, Any]] = []
    for event in rig.segment.received():
        if event["type"] == "identify":
            trait = event["traits"][TRAIT]
            found.append((event["anonymousId"], "identify", trait, event.get("userId")))
        else:
            method = event["properties"].get("unsubscribe_type")
            found.append((event["anonymousId"], event["event"], method, event["timestamp"]))
    return found


def dead_letters(rig: Rig) -> list[str]:
    """The reasons of all dead letters."""
    return sorted(reason for (reason,) in rig.rows("SELECT reason FROM dead_letters"))


async def sweep(rig: Rig) -> list[tuple[str, str, Any, Any]]:
    """Days later all contacts are read again; what is told by that."""
    before = len(told(rig))
    rig.later(days=2)
    await rig.caught_up()
    assert rig.adds_up()
    # An unsubscribe may wait for what it is attributed to.
    return told(rig)[before:]


def spoilt(_state: str, rows: Rows) -> Rows:
    """The same contacts, with values that they can't have."""
    bad: dict[str, Callable[[dict[str, Any]], Any]] = {
        PEOPLE[0]: lambda row: row | {"emailAddress": 5},
        PEOPLE[1]: lambda row: row | {"subscriptionState": ["Unsubscribed"]},
        PEOPLE[2]: lambda row: row | {"segmentationFieldValues": "none"},
        PEOPLE[3]: lambda row: row | {"unsubscribeMethod": {"by": "Administrator"}},
        PEOPLE[4]: lambda _: None,
        PEOPLE[5]: lambda row: row | {"emailAddress": "person\x005@example.com\0"},
        PEOPLE[7]: lambda row: row | {"unsubscribeDate": 7, "subscribeDate": {}},
        "new@example.com": lambda row: row | {"unsubscribeDate": "the 31st"},
    }
    same: Callable[[dict[str, Any]], Any] = dict
    return [bad.get(row["emailAddress"], same)(row) for row in rows]


async def test_what_is_certain_is_told(rig_of: Any) -> None:
    """Nobody is taken for deleted, nobody is told twice, and once mended all is told."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        await rig.caught_up()
        assert {(one, True, f"C-{number}") for number, one in enumerate(PEOPLE)} == {
            (who, trait, user) for who, _, trait, user in told(rig)
        }
        fault = Rewrite(path="/Contact", rows=spoilt)
        rig.listrak.faults.add(fault)
        world = rig.later(minutes=1)
        field = next(iter(world.lists[LIST].fields))
        world.set_profile(LIST, PEOPLE[2], field, "C-new")
        for number in (1, 3, 7):
            world.unsubscribe(LIST, PEOPLE[number], method="Administrator")
        world.subscribe(LIST, "new@example.com")
        world.unsubscribe(LIST, "new@example.com", method="Administrator")
        world.set_profile(LIST, PEOPLE[6], field, "C-six")
        news = await sweep(rig)
        identifies = {(who, trait, user) for who, event, trait, user in news if event == "identify"}
        assert identifies == {
            (PEOPLE[3], None, "C-3"),
            (PEOPLE[6], True, "C-six"),
            (PEOPLE[7], None, "C-7"),
            ("new@example.com", None, None),
        }
        left = {(who, how) for who, event, how, _ in news if event == "Unsubscribed"}
        assert left == {(PEOPLE[7], "Administrator"), ("new@example.com", "Administrator")}
        letters = dead_letters(rig)
        assert [letter.split(": ", 2)[2] for letter in letters] == [
            "it is null",
            "its emailAddress is the number 5",
            "its segmentationFieldValues is a text of 4 characters",
            "its subscriptionState is a list of 1",
            "its unsubscribeMethod is an object of 1 fields",
        ]
        for _ in range(2):
            assert await sweep(rig) == []
            assert dead_letters(rig) == letters
        rig.listrak.faults.clear()
        news = await sweep(rig)
        identifies = {(who, trait, user) for who, event, trait, user in news if event == "identify"}
        assert identifies == {(PEOPLE[1], None, "C-1"), (PEOPLE[2], True, "C-new")}
        left = {(who, how) for who, event, how, _ in news if event == "Unsubscribed"}
        assert {(PEOPLE[1], "Administrator"), (PEOPLE[3], "Administrator")} <= left
        rig.later(minutes=1).delete_contact(LIST, PEOPLE[5])
        assert await sweep(rig) == [(PEOPLE[5], "identify", None, None)]
        assert await sweep(rig) == []


class Doubled:
    """Some addresses that the list has twice, in an order that is another one each time."""

    def __init__(self) -> None:
        self.requests = 0

    def __call__(self, state: str, rows: Rows) -> Rows:
        self.requests += 1
        own = {row["emailAddress"]: row for row in rows}
        more: Rows = []
        if state == "Subscribed":
            self.known = own
            more = [
                own[PEOPLE[2]] | {"segmentationFieldValues": []},
                own[PEOPLE[3]] | {"emailAddress": PEOPLE[3].title()},
                own[PEOPLE[4]],
            ]
        elif state == "Unsubscribed":
            left = {"subscriptionState": "Unsubscribed", "unsubscribeMethod": "Administrator"}
            dates = ("2026-06-01T00:00:00", "2026-06-03T23:00:00")
            more = [
                self.known[PEOPLE[number]] | left | {"unsubscribeDate": dates[number]}
                for number in (0, 1)
                if PEOPLE[number] in self.known
            ]
        both = [*rows, *more]
        return both[::-1] if self.requests % 4 > 1 else both


async def test_an_address_twice(rig_of: Any) -> None:
    """Its latest date counts, and no sweep tells anything new, whatever the order."""
    async with rig_of(world=account(), lists=f"{LIST}=Customer ID") as rig:
        rig.listrak.faults.add(Rewrite(path="/Contact", rows=Doubled()))
        await rig.caught_up()
        for _ in range(2):
            await sweep(rig)
        states: dict[str, tuple[Any, Any]] = {}
        for who, event, trait, user in told(rig):
            if event == "identify":
                states[who.lower()] = (trait, user)
        expected: dict[str, tuple[Any, Any]] = {
            one: (True, f"C-{number}") for number, one in enumerate(PEOPLE)
        }
        expected[PEOPLE[1]] = (None, "C-1")
        assert states == expected
        for _ in range(3):
            assert await sweep(rig) == []
        rig.listrak.faults.clear()
        news = await sweep(rig)
        # Its later row is gone: it is subscribed.
        assert news == [(PEOPLE[1], "identify", True, "C-1")]
        assert await sweep(rig) == []
