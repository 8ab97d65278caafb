"""What the running service says of itself: health, metrics, logs."""

import json
import re
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

import aiohttp
import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig import LISTS, open_files, retailer

from bridge.completions import READINGS

pytestmark = pytest.mark.anyio


DATED = ("Email Sent", "Email Opened", "Email Bounced", "Unsubscribed")


def is_dated(event: dict[str, Any]) -> bool:
    """Tells whether an event has a date of its own; clicks that are only counted have none."""
    return event.get("event") in DATED or "link_id" in event.get("properties", {})


async def started(rig: Any) -> str:
    """Starts the service; returns where its status is served."""
    await rig.start("run")
    await rig.until(lambda: "status.listening" in rig.log())
    for line in rig.log().splitlines():
        if "status.listening" in line:
            return str(json.loads(line)["address"])
    raise AssertionError


async def get(url: str) -> tuple[int, str]:
    """Status and text of an answer."""
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.text()


def outcomes(metrics: str) -> dict[str, float]:
    """Events by what became of them, and those in flight."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "bridge_events_total":
                found[sample.labels["outcome"]] = sample.value
            elif sample.name == "bridge_events_in_flight":
                found["in_flight"] = sample.value
    return found


def completions(metrics: str) -> dict[tuple[str, str], float]:
    """Until when each reading of each list is complete."""
    return {
        (sample.labels["list"], sample.labels["reading"]): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "bridge_last_complete_timestamp_seconds"
    }


def delayed(metrics: str) -> dict[str, float]:
    """Numbers of delivered events whose delay is told, by name."""
    numbers: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "bridge_event_delay_seconds_count":
                assert sample.labels["happened"] == "before_start"
                numbers[sample.labels["event"]] += int(sample.value)
    return dict(numbers)


def adds_up(counts: dict[str, float]) -> bool:
    """fetched = delivered + known + filtered + dead-lettered + in flight."""
    ended = ("delivered", "known", "filtered", "dead_lettered", "in_flight")
    return counts.get("fetched", 0) == sum(counts.get(name, 0) for name in ended)


async def test_health_and_metrics(rig_of: Any) -> None:
    """/livez while it lives, /readyz when it works, /metrics adds up at any time."""
    world = retailer()
    since = world.now - timedelta(days=4)
    async with rig_of(
        world=world,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_STATUS_BIND="127.0.0.1:0",
        BRIDGE_POLL_INTERVAL="0.2",
        BRIDGE_BATCH_EVENTS="20",
    ) as rig:
        address = await started(rig)
        assert await get(f"{address}/livez") == (200, "ok\n")
        for goal in (50, 150, 300):
            await rig.segment.wait_for(goal, timeout=30)
            counts = outcomes((await get(f"{address}/metrics"))[1])
            assert adds_up(counts), counts
        await rig.until_async(lambda: is_ready(address))
        body = json.loads((await get(f"{address}/readyz"))[1])
        assert body == {
            "ready": True,
            "status": "running",
            "waiting_for": [],
            "degraded": {},
            "set_aside": [],
            "problems": {},
        }
        text = (await get(f"{address}/metrics"))[1]
        assert "@" not in text
        assert completions(text).keys() == {
            (str(list_id), reading) for list_id in LISTS for reading in READINGS
        }
        await rig.until_async(lambda: is_complete(address))
        dated = Counter(event["event"] for event in rig.segment.received() if is_dated(event))
        assert delayed((await get(f"{address}/metrics"))[1]) == dated

        rig.segment.faults.add("status:code=503")
        rig.clock.advance(timedelta(hours=6))
        await rig.until_async(lambda: is_waiting(address))
        status, text = await get(f"{address}/readyz")
        assert status == 503
        assert json.loads(text)["waiting_for"] == ["segment"]
        assert (await get(f"{address}/livez"))[0] == 200


async def is_complete(address: str) -> bool:
    """Whether each reading was complete once, and all that came of it is counted."""
    metrics = (await get(f"{address}/metrics"))[1]
    return all(completions(metrics).values()) and outcomes(metrics)["in_flight"] == 0


async def is_ready(address: str) -> bool:
    """Whether the service says so."""
    return (await get(f"{address}/readyz"))[0] == 200


async def is_waiting(address: str) -> bool:
    """Whether the service waits for Segment."""
    return "waiting for segment" in (await get(f"{address}/readyz"))[1]


async def test_a_taken_port_is_a_configuration_error(rig_of: Any) -> None:
    """The service names BRIDGE_STATUS_BIND and ends with 78; a catch-up goes on without."""
    async with rig_of(world=retailer(), BRIDGE_STATUS_BIND="127.0.0.1:0") as rig:
        address = await started(rig)
        taken = address.removeprefix("http://")
        other = {"BRIDGE_STATUS_BIND": taken, "BRIDGE_STATE": str(rig.folder / "other.db")}
        done = await rig.run("run", **other)
        assert done.code == 78
        assert "BRIDGE_STATUS_BIND" in done.err
        assert (await rig.run("run", "--once", **other)).code == 0


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_logs_are_json_and_carry_no_secret_and_no_address(rig_of: Any, level: str) -> None:
    """One JSON object a line, whatever goes wrong; addresses at most at debug level."""
    world = retailer()
    async with rig_of(
        world=world,
        BRIDGE_SINCE="2026-05-25T00:00:00Z",
        BRIDGE_LOG_LEVEL=level,
        BRIDGE_POLL_INTERVAL="0.2",
        BRIDGE_BATCH_EVENTS="20",
    ) as rig:
        rig.listrak.faults.add("status:code=500,times=4")
        rig.segment.faults.add("status:code=400,times=2")
        gone = next(iter(world.lists[12345].contacts))
        process = await rig.start("run")
        await rig.segment.wait_for(100, timeout=30)
        world.delete_contact(12345, gone)
        rig.clock.advance(timedelta(days=2))
        await rig.segment.wait_for(lambda segment: segment.accepted > 250, timeout=30)
        process.terminate()
        assert await process.wait() == 0
        lines = [json.loads(line) for line in rig.log().splitlines()]
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
        for secret in ("the-cl1ent-1d", "the-cl1ent-s3cret", "the-wr1te-k3y"):
            assert secret not in rig.log()
        for line in lines:
            if line["level"] != "debug":
                assert not re.search(r"[^\s\"]+(@|%40)[^\s\"]+", json.dumps(line))


async def test_counters_in_the_state_file_add_up(rig_of: Any) -> None:
    """After any number of runs, kills among them, the state file's counters balance."""
    from bridge.state.store import open_store

    world = retailer()
    async with rig_of(
        world=world, BRIDGE_SINCE="2026-05-25T00:00:00Z", BRIDGE_BATCH_EVENTS="20"
    ) as rig:
        for goal in (40, 120, 260):
            process = await rig.start("run")
            await rig.segment.wait_for(goal, timeout=30)
            process.kill()
            await process.wait()
            async with open_store(rig.state) as store:
                counts = {
                    name: float(value) for name, value in (await store.counters.all()).items()
                }
            assert adds_up(counts), counts
        assert (await rig.run("run", "--once")).code == 0
        async with open_store(rig.state) as store:
            final = await store.counters.all()
        assert adds_up({name: float(value) for name, value in final.items()}), final
        assert final["in_flight"] == 0
        assert final["delivered"] == len(list(rig.segment.received(unique=True)))


async def test_idle_connections_take_nothing_from_the_service(rig_of: Any) -> None:
    """However many there are, few stay, events go on arriving, and who asks is answered."""
    async with rig_of(BRIDGE_STATUS_BIND="127.0.0.1:0", BRIDGE_POLL_INTERVAL="0.2") as rig:
        address = await started(rig)
        host, port = address.removeprefix("http://").split(":")
        async with AsyncExitStack() as stack:
            for _ in range(300):
                await stack.enter_async_context(await anyio.connect_tcp(host, int(port)))
            assert open_files(rig.processes[0].pid) < 80
            rig.later(hours=1).send_broadcast(12345, sorted(rig.world.lists[12345].contacts)[:3])
            await rig.until(lambda: rig.segment.counts().get("Email Sent", 0) >= 3)
            assert (await get(f"{address}/livez"))[0] == 200
        await rig.until_async(lambda: answers(address))
        assert "Traceback" not in rig.log()


async def test_a_health_check_by_http_1_0(rig_of: Any) -> None:
    """Those of load balancers may send no Host header."""
    async with rig_of(BRIDGE_STATUS_BIND="127.0.0.1:0") as rig:
        host, port = (await started(rig)).removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(b"GET /livez HTTP/1.0\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.0 200 ")


async def answers(address: str) -> bool:
    """Tells whether the status is served."""
    try:
        return (await get(f"{address}/livez"))[0] == 200
    except aiohttp.ClientError:
        return False


MALFORMED = [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", b"A" * 100_000]


async def test_malformed_requests_are_no_news(rig_of: Any) -> None:
    """They are refused, and nothing is logged of them."""
    async with rig_of(BRIDGE_STATUS_BIND="127.0.0.1:0") as rig:
        address = await started(rig)
        host, port = address.removeprefix("http://").split(":")
        for request in MALFORMED:
            async with await anyio.connect_tcp(host, int(port)) as stream:
                with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    await stream.send(request)
                    assert b" 200 " not in await stream.receive()
        assert (await get(f"{address}/livez"))[0] == 200
        assert "Traceback" not in rig.log()
        assert "Error handling" not in rig.log()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
async def test_a_foreign_host_is_refused(rig_of: Any, host: str, status: int) -> None:
    """A page in a browser on this machine can't read the metrics by a name that leads here."""
    async with rig_of(BRIDGE_STATUS_BIND="127.0.0.1:0") as rig:
        address = await started(rig)
        port = address.rsplit(":", 1)[1]
        headers = {"Host": host.format(port=port)}
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{address}/metrics", headers=headers) as answer,
        ):
            assert answer.status == status


async def test_a_listrak_that_says_how_long_to_wait(rig_of: Any) -> None:
    """Nobody calls for so long, and it is said: once in the log, and by /readyz all the while."""
    async with rig_of(BRIDGE_STATUS_BIND="127.0.0.1:0", BRIDGE_POLL_INTERVAL="0.2") as rig:
        address = await started(rig)
        await rig.until_async(lambda: is_ready(address))
        rig.listrak.faults.add("status:code=429,retry_after=300,path=Summary")
        await rig.until(lambda: "listrak.waiting" in rig.log())
        status, text = await get(f"{address}/readyz")
        assert (status, json.loads(text)["waiting_for"]) == (503, ["listrak"])
