"""The metrics of freshness: no part that fails makes them look better than it is."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import in_process
import pytest
from rig import START, Rig, make_rig, quiet_world
from virtual_machine import virtual_loop

from bridge import clock
from bridge.clock import DAY, HOUR
from bridge.completions import READINGS
from bridge.environment.settings import load
from bridge.flow.scheduling import schedule
from bridge.sandbox.account import Message
from bridge.sandbox.clock import Clock
from bridge.sandbox.fault import WrongDate
from bridge.service import Service
from bridge.supervision.health import Health

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient")]

LIST, OTHER = 12345, 13456
PEOPLE = [f"person{number}@example.com" for number in range(3)]
COMPLETE = "bridge_last_complete_timestamp_seconds"

INTERVAL = 10.0
FIRST = 30.0
"""Seconds after which all readings were complete once."""

OFTEN, MOST = 4, 4
"""Discoveries of which one lists everything; intervals at most until what failed is tried again."""

USUAL = (OFTEN + 1) * INTERVAL
"""Seconds that a reading but a sweep is old at most while nothing fails."""

LONG = 3 * USUAL
"""Seconds for which something fails: what it is by can be told."""

FREQUENT: list[str] = [reading for reading in READINGS if reading != "sweep"]


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


@pytest.fixture(autouse=True)
def schedule_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits than people have."""
    monkeypatch.setattr(schedule, "FULL_DISCOVERY_EVERY", OFTEN)
    monkeypatch.setattr(schedule, "MOST_INTERVALS_SET_ASIDE", MOST)
    monkeypatch.setattr(schedule, "LIST_CHECK_INTERVAL", INTERVAL)


@dataclass
class Life:
    """A service that polls an account of two lists, an email each, on a clock without waits."""

    rig: Rig
    emails: dict[int, Message]
    health: Health

    def age(self, reading: str, list_id: int = LIST) -> float | None:
        """Seconds since a reading was complete, None for one that isn't told."""
        at = self.value(COMPLETE, list=list_id, reading=reading)
        return None if at is None else clock.wall_time() - at

    def ages(self, list_id: int = LIST) -> dict[str, float | None]:
        """The ages of all readings of a list."""
        return {reading: self.age(reading, list_id) for reading in READINGS}

    def delays(self, event: str, happened: str = "since_start") -> dict[float, float]:
        """Numbers of events, by the bucket's bound: of the first with any, and of that before."""
        (family,) = self.health._metrics.delays.collect()
        labels = {"list": str(LIST), "event": event, "happened": happened}
        buckets = [
            (float(sample.labels["le"]), sample.value)
            for sample in family.samples
            if sample.name.endswith("_bucket") and labels.items() <= sample.labels.items()
        ]
        first = next((place for place, (_, number) in enumerate(buckets) if number), 0)
        return dict(buckets[first - 1 : first + 1]) if first else dict(buckets[:1])

    def value(self, name: str, **labels: Any) -> float | None:
        """A metric's value."""
        texts = {label: str(value) for label, value in labels.items()}
        found: float | None = self.health._metrics.registry.get_sample_value(name, texts)
        return found


@asynccontextmanager
async def account_of(
    folder: Path, **settings: Any
) -> AsyncIterator[tuple[Rig, dict[int, Message]]]:
    """An account of two lists with an email each, whose time goes on by itself."""
    world = quiet_world()
    for list_id in (LIST, OTHER):
        world.add_list("News", list_id=list_id)
        for email in PEOPLE:
            world.subscribe(list_id, email)
    emails = {list_id: world.send_broadcast(list_id, PEOPLE) for list_id in (LIST, OTHER)}
    loop = virtual_loop()
    assert loop is not None
    going = Clock(START + timedelta(hours=1), monotonic=loop.time)
    settings |= {"lists": f"{LIST},{OTHER}", "BRIDGE_POLL_INTERVAL": str(INTERVAL)}
    async with make_rig(folder, world=world, clock=going, **settings) as rig:
        yield rig, emails


@asynccontextmanager
async def living(rig: Rig, emails: dict[int, Message], **settings: str) -> AsyncIterator[Life]:
    """The service on it, until its first readings are complete."""
    async with in_process.running(rig, settings) as (health, _):
        await anyio.sleep(FIRST)
        yield Life(rig, emails, health)


async def test_nothing_fails(swift_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading is complete soon, and again and again."""
    monkeypatch.setattr(schedule, "SWEEP_INTERVAL", 3 * USUAL)
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        for _ in range(20):
            ages = life.ages()
            assert all(is_between(ages[one], 0, USUAL) for one in FREQUENT), ages
            assert is_between(ages["messages"], 0, 1)
            assert is_between(ages["subscribed"], 0, 1.2 * INTERVAL)
            assert is_between(ages["sweep"], 0, 3 * USUAL + 2 * INTERVAL)
            await anyio.sleep(USUAL / 3)


FAILING: dict[str, tuple[str, str, set[str]]] = {
    "rows of an email": ("/Message/.*/Activity", "status:code=400", {"messages"}),
    "counters of an email": ("/Message/.*/Summary", "status:code=400", {"messages"}),
    "links of an email": ("/Message/.*/Link", "status:code=400", {"messages"}),
    "a refused scope": ("/Contact", "status:code=403", {"subscribed", "unsubscribed"}),
    # Who is subscribed is read again once that poll is complete.
    "those who left": ("=Unsubscribed", "status:code=400", {"subscribed", "unsubscribed"}),
    "a listing": ("/Conversation", "status:code=400", {"discovery"}),
    "the broadcasts": ("/Message$", "status:code=400", {"discovery"}),
    "a pause": ("", f"throttle:after={LONG:.0f}", set(FREQUENT)),
    "refused credentials": ("", "status:code=401", set(FREQUENT)),
    "an outage": ("", "status:code=503", set(FREQUENT)),
}
"""By what fails: where, how, and the readings that aren't complete by it."""


@pytest.mark.parametrize("name", FAILING)
async def test_what_fails_is_not_complete(swift_folder: Path, name: str) -> None:
    """Its reading grows old, of its list alone, and is complete again once it is read."""
    resource, fault, failing = FAILING[name]
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        # So that something of each email is due to be read.
        rig.world.open(emails[LIST], PEOPLE[0])
        rig.world.click(emails[LIST], PEOPLE[0])
        rig.fail(f"List/{LIST}.*{resource}" if resource else "", fault)
        await anyio.sleep(LONG)
        for list_id in (LIST, OTHER):
            ages = life.ages(list_id)
            old = {one for one in FREQUENT if is_between(ages[one], USUAL, LONG + USUAL)}
            fresh = {one for one in FREQUENT if is_between(ages[one], 0, USUAL)}
            expected = failing if list_id == LIST or not resource else set()
            assert (old, fresh) == (expected, set(FREQUENT) - expected), (list_id, ages)
        rig.listrak.faults.clear()
        for _ in range(100):
            await anyio.sleep(INTERVAL)
            if is_fresh := all(is_between(life.age(one), 0, USUAL) for one in FREQUENT):
                break
        assert is_fresh


async def test_segment_is_away(swift_folder: Path) -> None:
    """What is read and not delivered isn't complete."""
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        rig.segment.faults.add("status:code=503")
        rig.world.open(emails[LIST], PEOPLE[0])
        rig.world.unsubscribe(LIST, PEOPLE[1])
        await anyio.sleep(LONG)
        for reading in ("messages", "unsubscribed"):
            assert is_between(life.age(reading), LONG - USUAL, LONG + USUAL), life.ages()


async def test_a_degraded_list(swift_folder: Path) -> None:
    """What the account hasn't any more grows old; the other list doesn't."""
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        del rig.world.lists[OTHER]
        await anyio.sleep(LONG)
        ages = life.ages(OTHER)
        assert life.value("bridge_list_degraded", list=OTHER) == 1
        assert all(is_between(ages[one], LONG - USUAL, LONG + USUAL) for one in FREQUENT), ages
        assert all(is_between(life.age(one), 0, USUAL) for one in FREQUENT)


async def test_this_machines_clock_is_set(swift_folder: Path) -> None:
    """A time is told by the clock as it is set when somebody asks: the age stays what it is."""
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        before = life.ages()
        for days in (-3, 2):
            rig.machine.set_ahead(days * DAY)
            assert life.ages() == pytest.approx(before, abs=1)
        rig.machine.sleep(2 * HOUR)
        for reading, age in life.ages().items():
            assert is_between(age, 2 * HOUR - INTERVAL, 2 * HOUR + USUAL), reading


@pytest.mark.parametrize("days", [40, -40])
async def test_listraks_clock_is_wrong(swift_folder: Path, days: int) -> None:
    """What was complete grows neither older nor younger by it."""
    async with account_of(swift_folder) as (rig, emails), living(rig, emails) as life:
        rig.listrak.faults.add(WrongDate(days=days))
        await anyio.sleep(LONG)
        assert all(is_between(life.age(one), 0, USUAL) for one in FREQUENT), life.ages()
        # A sweep was due by it, or none.
        assert is_between(life.age("sweep"), 0, LONG + USUAL)


async def test_a_restart(swift_folder: Path) -> None:
    """What is saved of a reading is told again; emails are complete once each was read."""
    async with account_of(swift_folder) as (rig, emails):
        async with living(rig, emails) as life:
            before = life.ages()
        rig.listrak.faults.add("status:code=503")
        rig.machine.sleep(10 * HOUR)
        rig.later(hours=10)
        async with living(rig, emails) as life:
            assert life.value(COMPLETE, list=LIST, reading="messages") == 0
            for reading in set(READINGS) - {"messages"}:
                expected = (before[reading] or 0) + 10 * HOUR + FIRST
                assert life.age(reading) == pytest.approx(expected, abs=10), reading
            rig.listrak.faults.clear()
            await anyio.sleep(USUAL)
            assert all(is_between(life.age(one), 0, USUAL) for one in FREQUENT), life.ages()
        async with living(rig, emails, LISTRAK_LISTS=str(LIST)) as life:
            assert set(life.ages(OTHER).values()) == {None}
            assert None not in life.ages(LIST).values()


async def test_a_sweep_whose_look_ups_fail(
    swift_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It isn't complete, in this run and the next; the one after it is."""
    monkeypatch.setattr(schedule, "SWEEP_INTERVAL", LONG / 2)
    async with account_of(swift_folder) as (rig, emails):
        async with living(rig, emails) as life:
            rig.world.delete_contact(LIST, PEOPLE[0])
            rig.fail(f"List/{LIST}/Contact/person0", "status:code=400")
            await anyio.sleep(LONG)
            assert is_between(life.age("sweep"), LONG, LONG + 2 * FIRST)
            assert is_between(life.age("sweep", OTHER), 0, LONG / 2 + USUAL)
        async with living(rig, emails) as life:
            assert is_between(life.age("sweep"), LONG, LONG + 3 * FIRST)
            rig.listrak.faults.clear()
            await anyio.sleep(LONG)
            assert is_between(life.age("sweep"), 0, LONG / 2 + USUAL)


async def test_a_sweep_that_a_restart_interrupts(swift_folder: Path) -> None:
    """It is as old as its beginning, though the run that ends it is younger."""
    async with account_of(swift_folder) as (rig, emails):
        async with in_process.running(rig) as (health, _):
            life = Life(rig, emails, health)
            rig.fail(f"List/{LIST}/Contact.*=Unsubscribed", "status:code=503")
            await anyio.sleep(LONG)
            assert is_between(life.age("subscribed"), LONG - FIRST, LONG)
            for reading in ("unsubscribed", "sweep"):
                assert life.value(COMPLETE, list=LIST, reading=reading) == 0
        rig.listrak.faults.clear()
        async with living(rig, emails) as life:
            assert is_between(life.age("sweep"), LONG, LONG + 2 * FIRST)
            await anyio.sleep(INTERVAL)
            assert is_between(life.age("subscribed"), 0, 1.2 * INTERVAL)


async def test_how_long_events_take(swift_folder: Path) -> None:
    """By their own dates: those of before the start apart, those without one not at all."""
    started = account_of(swift_folder, BRIDGE_SINCE="30d")
    async with started as (rig, emails), living(rig, emails) as life:
        assert life.delays("Email Sent", "before_start") == {3600.0: 0, 7200.0: len(PEOPLE)}
        assert life.delays("Email Sent") == {}
        rig.world.open(emails[LIST], PEOPLE[0])
        rig.world.order(emails[LIST], PEOPLE[0], 500)
        rig.world.unsubscribe(LIST, PEOPLE[1])
        await anyio.sleep(LONG)
        names = Counter(event.get("event") for event in rig.segment.received())
        assert names["Email Converted"] == names["Unsubscribed"] == 1
        for event, most in (("Email Opened", 6 * INTERVAL), ("Unsubscribed", LONG)):
            before, bound = life.delays(event)
            assert life.delays(event) == {before: 0, bound: 1}
            assert before < most
        assert life.delays("Email Converted") == life.delays("identify") == {}


async def test_a_catch_up(swift_folder: Path) -> None:
    """It notes what it has read as well, and not what it had to leave."""
    async with account_of(swift_folder) as (rig, emails):
        for fails in (True, False):
            bridge = Service(load(rig.with_settings({})), once=True)
            life = Life(rig, emails, bridge._health)
            if fails:
                rig.fail(f"List/{LIST}/Message/.*/Activity", "status:code=400")
            with in_process.undisturbed_process(rig):
                with suppress(BaseExceptionGroup):
                    await bridge.run()
                ages = {**life.ages(), "other": life.age("messages", OTHER)}
            messages = ages.pop("messages")
            assert all(is_between(age, 0, FIRST) for age in ages.values()), ages
            assert is_between(messages, 0, FIRST) is not fails
            rig.listrak.faults.clear()


def is_between(age: float | None, least: float, most: float) -> bool:
    """Tells whether an age is known and within some."""
    return age is not None and least <= age <= most
