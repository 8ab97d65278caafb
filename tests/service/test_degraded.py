"""One bad list, or a taken port, stays one bad thing: it is loud, and the rest goes on."""

import json
import socket
from typing import Any

import anyio
import pytest
from fork_server import CONSTANTS
from rig import Rig
from test_change import LIST, OTHER, PEOPLE, account, sent
from test_status import get, started

from bridge.environment.settings import load
from bridge.flow.scheduling import schedule
from bridge.listrak import answers
from bridge.service import Service
from bridge.supervision import list_watch

pytestmark = pytest.mark.anyio

IMPATIENT = {"PATIENCE": 0.0, "PROBE_INTERVAL": 0.0}
"""A call that fails while others are answered is given up at once."""

BOTH = f"{LIST}=Customer ID,{OTHER}=Customer ID"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the end of a retry: neither its commands nor a service in this process."""
    for name, value in IMPATIENT.items():
        monkeypatch.setattr(answers, name, value)


@pytest.fixture
def rig_of(rig_of: Any) -> Any:
    """Rigs whose commands are impatient."""
    constants = {f"{answers.__name__}.{name}": value for name, value in IMPATIENT.items()}
    return lambda **options: rig_of(**options, **{CONSTANTS: json.dumps(constants)})


def lose_list(rig: Rig) -> None:
    """Somebody deletes a list in Listrak."""
    del rig.world.lists[OTHER]


def lose_field(rig: Rig) -> None:
    """Somebody renames a profile field in Listrak."""
    for field in rig.world.lists[OTHER].fields.values():
        field.name = "Customer number"


def lose_answers(rig: Rig) -> None:
    """Listrak doesn't tell the profile fields of a list for now."""
    rig.listrak.faults.add(f"status:503,path=List/{OTHER}/SegmentationFieldGroup")


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


COMMANDS = [
    ["lists"],
    ["check"],
    ["preview"],
    ["reconcile"],
    ["backfill", "--since", "90d"],
    ["identify", "--all"],
]


@pytest.mark.parametrize(("lose", "code"), [(lose_list, 78), (lose_field, 78), (lose_answers, 75)])
async def test_commands_speak_of_it(rig_of: Any, lose: Any, code: int) -> None:
    """Each names the list and the reason, does its work for the others, and ends with the code."""
    async with rig_of(world=account(), lists=BOTH) as rig:
        await rig.caught_up()
        told = sent(rig)["identify"]
        lose(rig)
        for command in COMMANDS:
            done = await rig.run(*command, COLUMNS="400")
            # A preview, as a service, goes on with what was known of the list.
            goes_on = command == ["preview"] and lose is lose_answers
            assert done.code == (0 if goes_on else code), (command, done.err)
            said = done.out + done.err
            assert f"list {OTHER}" in said.lower(), command
            assert ("LISTRAK_LISTS" if code == 78 else "503") in said, command
            assert str(LIST) in said, command
        assert sent(rig)["identify"] == told + len(PEOPLE), "the contacts of the list that is there"


@pytest.mark.parametrize("path", ["/v1/List$", f"List/{OTHER}/SegmentationFieldGroup"])
async def test_what_was_known_counts(rig_of: Any, path: str) -> None:
    """At a restart a list is read as before, its field by name as well, while that isn't told."""
    async with rig_of(world=account(), lists=f"{LIST},{OTHER}=Customer ID") as rig:
        await rig.caught_up()
        rig.listrak.faults.add(f"status:404,path={path}")
        rig.later(hours=1).send_broadcast(OTHER, PEOPLE)
        rig.world.subscribe(OTHER, "new@example.com")
        said = await rig.caught_up()
        assert "set_aside.begun" in said
        assert sent(rig) == {"identify": 2 * len(PEOPLE) + 1, "Email Sent": len(PEOPLE)}
        # Another field isn't known.
        done = await rig.run("run", "--once", LISTRAK_LISTS=f"{LIST},{OTHER}=Loyalty")
        assert done.code in (75, 78), done.err
        assert f"list {OTHER}" in done.err


async def test_a_list_that_answers_not_now(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It degrades by itself, at a first start as well, and loses nothing: 75 where it is over."""
    monkeypatch.setattr(schedule, "LIST_RETRY_INTERVAL", 0.1)
    async with rig_of(world=account(), lists=BOTH, BRIDGE_POLL_INTERVAL="0.1") as rig:
        lose_answers(rig)
        once = await rig.run("run", "--once")
        assert once.code == 75, once.err
        assert "at the next start" in once.err
        assert "ten minutes" not in once.err
        assert sent(rig) == {"identify": len(PEOPLE)}
        rig.later(hours=1).send_broadcast(OTHER, PEOPLE)
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.until(lambda: OTHER in service._health.degraded)
            assert "503" in service._health.degraded[OTHER]
            rig.listrak.faults.clear()
            await rig.segment.wait_for(3 * len(PEOPLE), timeout=20)
            assert not service._health.degraded
            service._stop.set()
        assert sent(rig) == {"identify": 2 * len(PEOPLE), "Email Sent": len(PEOPLE)}


async def test_no_list_answers_now(rig_of: Any) -> None:
    """A catch-up ends with 75; the service waits, is not ready and says why, and goes on then."""
    async with rig_of(
        world=account(), lists=f"{OTHER}=Customer ID", BRIDGE_STATUS_BIND="127.0.0.1:0"
    ) as rig:
        lose_answers(rig)
        assert (await rig.run("run", "--once")).code == 75
        address = await started(rig)
        await rig.until(lambda: "list.degraded" in rig.log())
        status, text = await get(f"{address}/readyz")
        assert status == 503
        assert "none of the configured lists" in json.loads(text)["status"]
        rig.listrak.faults.clear()
        await rig.segment.wait_for(len(PEOPLE), timeout=20)
        assert (await get(f"{address}/readyz"))[0] == 200


async def test_all_lists_go_while_it_runs(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not ready and says why; when they are back it goes on, without a restart."""
    monkeypatch.setattr(schedule, "LIST_CHECK_INTERVAL", 0.1)
    async with rig_of(world=account(), lists=BOTH, BRIDGE_POLL_INTERVAL="0.1") as rig:
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.segment.wait_for(2 * len(PEOPLE), timeout=20)
            lists = dict(rig.world.lists)
            rig.world.lists.clear()
            await rig.until(lambda: len(service._health.degraded) == 2)
            report = service._health.report()
            assert not report["ready"]
            assert "none of the configured lists" in report["status"]
            rig.world.lists.update(lists)
            await rig.until(lambda: bool(service._health.report()["ready"]))
            await rig.until(lambda: service._health.sentence() == "running")
            rig.world.send_broadcast(LIST, PEOPLE)
            await rig.segment.wait_for(3 * len(PEOPLE), timeout=20)
            service._stop.set()


async def test_what_is_read_goes_on(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is being read isn't degraded by profile fields that aren't told for now."""
    monkeypatch.setattr(schedule, "LIST_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(list_watch, "RETRY_DEADLINE_AT_START", 0.1)
    async with rig_of(world=account(), lists=BOTH, BRIDGE_POLL_INTERVAL="0.1") as rig:
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.segment.wait_for(2 * len(PEOPLE), timeout=20)
            fault = rig.listrak.faults.add(f"status:503,path=List/{OTHER}/SegmentationFieldGroup")
            await rig.until(lambda: fault.hits > 3)
            rig.world.send_broadcast(OTHER, PEOPLE)
            await rig.segment.wait_for(3 * len(PEOPLE), timeout=20)
            assert not service._health.degraded
            service._stop.set()


async def test_a_wrong_list_outranks_one_that_may_pass(rig_of: Any) -> None:
    """Both at once: 78, at a first start before anything is sent."""
    async with rig_of(world=account(), lists=f"{BOTH},999") as rig:
        lose_answers(rig)
        assert (await rig.run("run", "--once")).code == 78
        assert not sent(rig)
        assert (await rig.run("check")).code == 78
        await rig.caught_up(LISTRAK_LISTS=str(LIST))
        assert (await rig.run("run", "--once")).code == 78
        assert sent(rig) == {"identify": len(PEOPLE)}


async def test_a_taken_status_port(rig_of: Any) -> None:
    """It ends a first start; later the service works without, and says so, as `check` does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        async with rig_of(
            world=account(),
            lists=str(LIST),
            BRIDGE_POLL_INTERVAL="0.1",
            BRIDGE_STATUS_BIND=bind,
        ) as rig:
            first = await rig.run("run")
            assert first.code == 78
            assert "BRIDGE_STATUS_BIND" in first.err
            assert "a catch-up goes on" in await rig.caught_up()
            process = await rig.start("run")
            rig.world.subscribe(LIST, "new@example.com")
            await rig.segment.wait_for(len(PEOPLE) + 1, timeout=20)
            assert process.returncode is None
            assert "status.off" in rig.log()
            assert "every minute" in rig.log()
            beside = await rig.run("check", COLUMNS="400")
            assert beside.code == 78
            assert "no service of this program answers" in beside.out
            process.terminate()
            await process.wait()
            alone = await rig.run("check", COLUMNS="400")
            assert alone.code == 78
            assert f"can't listen on {bind}" in alone.out


async def test_the_status_port_is_free_again(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is served, without a restart; `check` tells a service's port from another one's."""
    monkeypatch.setattr(schedule, "STATUS_RETRY_INTERVAL", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_STATUS_BIND=bind) as rig:
        assert f"{bind} is free" in (await rig.run("check", COLUMNS="400")).out
        await rig.caught_up()
        taken = socket.create_server(("127.0.0.1", int(bind.split(":")[1])))
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.until(lambda: service._health.ready)
            assert service._health.sentence() == "running; health and metrics can't be served"
            taken.close()
            await rig.until(lambda: not service._health.unserved)
            assert (await get(f"http://{bind}/readyz"))[0] == 200
            checked = await rig.run("check", COLUMNS="400")
            assert (checked.code, "served by a running service: running" in checked.out) == (
                0,
                True,
            )
            service._stop.set()


@pytest.mark.parametrize("path", ["/List", f"List/{OTHER}/SegmentationFieldGroup"])
async def test_an_answer_that_is_empty_for_once(rig_of: Any, path: str) -> None:
    """What was known before counts until two answers say otherwise."""
    async with rig_of(world=account(), lists=BOTH) as rig:
        await rig.caught_up()
        rig.later(hours=1).send_broadcast(OTHER, PEOPLE)
        rig.listrak.faults.add(f"empty:path={path},times=1")
        assert "list.degraded" not in await rig.caught_up()
        assert sent(rig)["Email Sent"] == len(PEOPLE)
