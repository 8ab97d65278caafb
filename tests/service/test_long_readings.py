"""Readings that take hours where calls are scarce: what happens meanwhile doesn't wait for them."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import in_process
import pytest
from rig import START, Rig, make_rig, quiet_world
from virtual_machine import virtual_loop

from bridge.clock import MINUTE
from bridge.sandbox.clock import Clock
from bridge.sandbox.switches import Switches

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient")]

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(150)]
NEW = "new@example.com"
ENVIRONMENT = {"LISTRAK_REQUESTS_PER_SECOND": "0.5", "BRIDGE_POLL_INTERVAL": "20"}
"""At half a call a second, and a contact a page, a sweep of them takes some minutes."""

SCARCE = ENVIRONMENT | {"LISTRAK_REQUESTS_PER_SECOND": "0.1"}

CONTACTS = "/v1/List/{listId}/Contact"
SINGLE = f"{CONTACTS}/"


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


def going_rig(folder: Path) -> Any:
    """An account of one list whose time goes on by itself, a contact a page."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    for email in PEOPLE:
        world.subscribe(LIST, email)
    loop = virtual_loop()
    assert loop is not None
    clock = Clock(START + timedelta(days=1), monotonic=loop.time)
    switches = Switches(page_rows=1)
    return make_rig(folder, world=world, clock=clock, lists=str(LIST), switches=switches)


def told(rig: Rig, email: str) -> list[object]:
    """What identifies told of a contact's subscription; no event came twice."""
    events = list(rig.segment.received())
    assert max(Counter(event["messageId"] for event in events).values(), default=1) == 1
    own = [event for event in events if event["anonymousId"] == email and "traits" in event]
    return [event["traits"][f"listrak_list_{LIST}"] for event in own]


def events_of(rig: Rig, name: str) -> list[str]:
    """The contacts of whom an event was told."""
    return [one["anonymousId"] for one in rig.segment.received() if one.get("event") == name]


def is_sweeping(rig: Rig) -> bool:
    """Tells whether a sweep is under way."""
    return rig.rows("SELECT sweep FROM contact_looks") == [(1,)]


async def until(condition: Callable[[], bool]) -> None:
    """Waits an hour at most, until something is so."""
    with anyio.fail_after(60 * MINUTE):
        while not condition():  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(MINUTE)


async def test_nobody_waits_for_the_end_of_a_sweep(swift_folder: Path) -> None:
    """One comes, one leaves, and one leaves and comes back: each is told at once, and once.

    Nobody is asked for alone, as everybody was shown by some page.
    """
    async with going_rig(swift_folder) as rig, in_process.running(rig, ENVIRONMENT):
        await anyio.sleep(MINUTE)
        gone, back = [email for email in PEOPLE if told(rig, email)][:2]
        rig.world.subscribe(LIST, NEW)
        for email in (gone, back):
            rig.world.unsubscribe(LIST, email)
        await anyio.sleep(2 * MINUTE)
        rig.world.resubscribe(LIST, back)
        await anyio.sleep(2 * MINUTE)
        assert is_sweeping(rig), "it takes longer than all of this"
        assert (told(rig, NEW), told(rig, gone)) == ([True], [True, None])
        assert told(rig, back) == [True, None, True]
        await until(lambda: not is_sweeping(rig))
        for email in {*PEOPLE} - {gone, back}:
            assert told(rig, email) == [True]
        assert (told(rig, NEW), told(rig, gone)) == ([True], [True, None])
        assert told(rig, back) == [True, None, True]
        assert not [route for route in rig.listrak.requests if route.startswith(SINGLE)]


async def test_a_stop_in_the_midst(swift_folder: Path) -> None:
    """The sweep goes on where it stood, not where a reading beside it stood."""
    async with going_rig(swift_folder) as rig:
        async with in_process.running(rig, ENVIRONMENT):
            await anyio.sleep(MINUTE)
            rig.world.subscribe(LIST, NEW)
            await anyio.sleep(2 * MINUTE)
            assert told(rig, NEW) == [True]
            assert is_sweeping(rig)
            read = rig.listrak.requests[CONTACTS]
        async with in_process.running(rig, ENVIRONMENT):
            await until(lambda: not is_sweeping(rig))
        for email in (*PEOPLE, NEW):
            assert told(rig, email) == [True]
        # Pages of those who had not been told, and some beside them.
        assert rig.listrak.requests[CONTACTS] - read < len(PEOPLE)


async def test_opens_do_not_wait_for_all_sends(swift_folder: Path) -> None:
    """Who opens or bounces while an email is read for the first time is told before its end."""
    async with going_rig(swift_folder) as rig, in_process.running(rig, SCARCE):
        await anyio.sleep(MINUTE)
        email = rig.world.send_broadcast(LIST, PEOPLE)
        await until(lambda: bool(events_of(rig, "Email Sent")))
        first = events_of(rig, "Email Sent")[0]
        rig.world.open(email, first)
        await anyio.sleep(20 * MINUTE)
        assert events_of(rig, "Email Opened") == [first]
        assert len(events_of(rig, "Email Sent")) < len(PEOPLE) / 2
