"""One bad list, or a taken port, stays one bad thing: it is loud, and the rest goes on."""

import json
import socket
from typing import Any

import anyio
import pytest
from rig import Rig
from test_change import LIST, OTHER, PEOPLE, account, sent
from test_status import get, started

from bridge.flow.scheduling import schedule
from bridge.service import Service
from bridge.settings import load

pytestmark = pytest.mark.anyio

BOTH = f"{LIST}=Customer ID,{OTHER}=Customer ID"


def lose_list(rig: Rig) -> None:
    """Somebody deletes a list in Listrak."""
    del rig.world.lists[OTHER]


def lose_field(rig: Rig) -> None:
    """Somebody renames a profile field in Listrak."""
    for field in rig.world.lists[OTHER].fields.values():
        field.name = "Customer number"


@pytest.mark.parametrize("lose", [lose_list, lose_field])
async def test_the_other_lists_go_on(rig_of: Any, lose: Any) -> None:
    """At the next start it is not ready and says why; `check` and a catch-up end with 78."""
    async with rig_of(
        world=account(),
        lists=BOTH,
        BRIDGE_STATUS_BIND="127.0.0.1:0",
        BRIDGE_POLL_INTERVAL="0.1",
    ) as rig:
        await rig.caught_up()
        lose(rig)
        message = rig.later(hours=1).send_broadcast(LIST, PEOPLE)
        checked = await rig.run("check", COLUMNS="200")
        assert checked.code == 78
        assert f"list {LIST}" in checked.out
        assert "LISTRAK_LISTS" in checked.out
        once = await rig.run("run", "--once")
        assert once.code == 78, once.err
        assert "list.degraded" in once.err
        assert sent(rig)["Email Sent"] == len(PEOPLE)
        address = await started(rig)
        rig.world.open(message, PEOPLE[0])
        await rig.segment.wait_for(3 * len(PEOPLE) + 1, timeout=20)
        status, text = await get(f"{address}/readyz")
        report = json.loads(text)
        assert (status, report["waiting_for"]) == (503, [f"list {OTHER}"])
        assert "LISTRAK_LISTS" in report["degraded"][str(OTHER)]
        assert (await get(f"{address}/livez"))[0] == 200
        metrics = (await get(f"{address}/metrics"))[1]
        assert f'bridge_list_degraded{{list="{OTHER}"}} 1.0' in metrics


async def test_nothing_left_to_do_ends_the_service(rig_of: Any) -> None:
    """A first start with a wrong list ends with 78, a later one only where no list is right."""
    async with rig_of(world=account(), lists=f"{LIST},999") as rig:
        first = await rig.run("run", "--once")
        assert first.code == 78
        assert "999" in first.err
        assert not sent(rig)
        await rig.caught_up(LISTRAK_LISTS=str(LIST))
        assert (await rig.run("run", LISTRAK_LISTS="999")).code == 78


async def test_a_list_that_is_back_is_taken_up(
    rig_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart, and so is one that goes while the service runs: the others don't rest."""
    monkeypatch.setattr(schedule, "LIST_CHECK_INTERVAL", 0.1)
    async with rig_of(world=account(), lists=f"{LIST},{OTHER}", BRIDGE_POLL_INTERVAL="0.1") as rig:
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.segment.wait_for(2 * len(PEOPLE), timeout=20)
            lost = rig.world.lists.pop(OTHER)
            await rig.until(lambda: bool(service._health.degraded))
            rig.world.send_broadcast(LIST, PEOPLE)
            await rig.segment.wait_for(3 * len(PEOPLE), timeout=20)
            rig.world.lists[OTHER] = lost
            await rig.until(lambda: not service._health.degraded)
            rig.world.subscribe(OTHER, "new@example.com")
            rig.world.send_broadcast(OTHER, PEOPLE)
            await rig.segment.wait_for(4 * len(PEOPLE) + 1, timeout=20)
            service._stop.set()
        assert sent(rig) == {"identify": 2 * len(PEOPLE) + 1, "Email Sent": 2 * len(PEOPLE)}


async def test_a_taken_status_port(rig_of: Any) -> None:
    """It ends a first start; later the service works without, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.1") as rig:
            first = await rig.run("run", BRIDGE_STATUS_BIND=bind)
            assert first.code == 78
            assert "BRIDGE_STATUS_BIND" in first.err
            await rig.caught_up()
            process = await rig.start("run", BRIDGE_STATUS_BIND=bind)
            rig.world.subscribe(LIST, "new@example.com")
            await rig.segment.wait_for(len(PEOPLE) + 1, timeout=20)
            assert process.returncode is None
            assert "status.off" in rig.log()
