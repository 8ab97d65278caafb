"""The running service under every reading of the API: what is due arrives, and nothing else.

Every two values of any two switches meet in one of the runs; READINGS=all runs all combinations,
which takes a quarter of an hour.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product
from typing import Any

import pytest
from rig import retailer

from bridge.sandbox.clock import Clock
from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio

LATE = 300.0
FAST = 20_000.0
"""Seconds of the world's time in one of the clock's: a day in 4 s."""

CHOICES: dict[str, tuple[Any, ...]] = {
    "activity_type": ("filters", "ignored", "refused"),
    "date_type": ("first", "latest"),
    "conversation_dates": ("send", "type", "ignored", "refused"),
    "counters_lag": (0.0, LATE),
    "rows_late": (0.0, LATE),
    "summary": ("exact", "more", "less"),
    "page_rows": (None, 15),
}


def pairs(values: tuple[Any, ...]) -> set[tuple[tuple[str, Any], ...]]:
    """All pairs of settings in one combination."""
    return set(combinations(zip(CHOICES, values, strict=True), 2))


def covering() -> Iterator[Switches]:
    """Combinations in which every two values of any two switches meet, few of them."""
    every = list(product(*CHOICES.values()))
    random.Random(1).shuffle(every)
    left = set().union(*map(pairs, every))
    while left:
        best = max(every, key=lambda values: len(pairs(values) & left))
        left -= pairs(best)
        yield Switches(**dict(zip(CHOICES, best, strict=True)))


def everything() -> Iterator[Switches]:
    """All combinations, whatever the pages are like."""
    for values in product(*CHOICES.values()):
        switches = Switches(**dict(zip(CHOICES, values, strict=True)))
        if switches.page_rows:
            yield switches


FEW = list(covering())
COMBINATIONS = list(everything()) if os.environ.get("READINGS") == "all" else FEW


def test_all_pairs_are_covered() -> None:
    """The three readings of activityType meet both of dateType, and so on for all."""
    assert len(FEW) <= 20
    met = {(one.activity_type, one.date_type) for one in FEW}
    assert len(met) == 6
    assert len({(one.conversation_dates, one.rows_late) for one in FEW}) == 8


@pytest.mark.parametrize(
    "switches",
    COMBINATIONS,
    ids=lambda one: "-".join(str(getattr(one, name)) for name in CHOICES),
)
async def test_exact_under_every_reading(rig_of: Any, switches: Switches) -> None:
    """The service polls while a retailer lives; what it left open is caught up with at the end."""
    world = retailer(contacts=20, days=2, seed=11)
    since = world.now - timedelta(days=5)
    clock = Clock(world.now, speed=FAST)
    async with rig_of(
        world=world,
        clock=clock,
        switches=replace(switches),
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.05",
    ) as rig:
        process = await rig.start("run")
        target = world.now + timedelta(hours=16)
        await rig.until(lambda: clock.now > target)
        clock.freeze()
        process.terminate()
        assert await process.wait() == 0
        clock.advance(timedelta(seconds=2 * LATE))
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(since, slack=timedelta(seconds=2 * LATE))
        assert verdict.ok, verdict
        assert not rig.complaints()


@pytest.mark.parametrize(
    "switches",
    [
        Switches(activity_type="filters"),
        Switches(activity_type="refused", conversation_dates="refused"),
        Switches(activity_type="ignored", rows_late=LATE, counters_lag=LATE, summary="more"),
    ],
    ids=lambda one: one.activity_type,
)
async def test_the_service_finds_everything_by_itself(rig_of: Any, switches: Switches) -> None:
    """Within a day of the last event, without a catch-up that reads everything again."""
    world = retailer(contacts=20, days=2, seed=11)
    since = world.now - timedelta(days=5)
    clock = Clock(world.now, speed=FAST)
    async with rig_of(
        world=world,
        clock=clock,
        switches=switches,
        BRIDGE_SINCE=since.isoformat(),
        BRIDGE_POLL_INTERVAL="0.05",
    ) as rig:
        await rig.start("run")
        lively = world.now + timedelta(hours=15)
        await rig.until(lambda: world.now > lively)
        world.rest()
        end = clock.now + timedelta(hours=30)
        await rig.until(lambda: clock.now > end)

        # A poll takes a quarter of an hour of the world's time: what is best known is that exact.
        def judged() -> Any:
            return rig.verdict(since, slack=timedelta(hours=1), strict_cause=False)

        await rig.until(lambda: judged().ok, within=20)
        assert not rig.complaints()
