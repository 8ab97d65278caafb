"""The running service under every reading of the API: what is due arrives, and nothing else.

Every two values of any two switches meet in one of the runs. With READINGS=all there is a run for
each combination of what activity may be like, as CI has it (two minutes).
"""

import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, cycle, product
from typing import Any

import pytest
from rig import START, Rig, retailer

from bridge.sandbox.clock import Clock
from bridge.sandbox.switches import Switches

pytestmark = pytest.mark.anyio

SINCE = START - timedelta(days=5)
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
    """All combinations; what conversations and pages are like takes turns."""
    asides = {name: CHOICES[name] for name in ("conversation_dates", "page_rows")}
    others = {name: values for name, values in CHOICES.items() if name not in asides}
    every = list(product(*others.values()))
    random.Random(1).shuffle(every)
    for values, turn in zip(every, cycle(product(*asides.values())), strict=False):
        chosen = zip((*others, *asides), (*values, *turn), strict=True)
        yield Switches(**dict(chosen))


FEW = list(covering())
ALL = list(everything())
COMBINATIONS = ALL if os.environ.get("READINGS") == "all" else FEW


@pytest.mark.parametrize(("runs", "most"), [(FEW, 20), (ALL, 72)])
def test_all_pairs_are_covered(runs: list[Switches], most: int) -> None:
    """The three readings of activityType meet both of dateType, and so on for all."""
    assert len(runs) <= most
    met = [tuple(getattr(one, name) for name in CHOICES) for one in runs]
    expected = set().union(*map(pairs, product(*CHOICES.values())))
    assert set().union(*map(pairs, met)) == expected


@asynccontextmanager
async def living(rig_of: Any, switches: Switches) -> AsyncIterator[tuple[Rig, Any]]:
    """A service that has polled for half of a retailer's day."""
    world = retailer(contacts=20, days=2, seed=11)
    clock = Clock(world.now, speed=FAST)
    async with rig_of(
        world=world,
        clock=clock,
        switches=replace(switches),
        BRIDGE_SINCE=SINCE.isoformat(),
        BRIDGE_POLL_INTERVAL="0.05",
    ) as rig:
        process = await rig.start("run")
        lived = world.now + timedelta(hours=12)
        await rig.until(lambda: clock.now > lived)
        yield rig, process


@pytest.mark.parametrize(
    "switches",
    COMBINATIONS,
    ids=lambda one: "-".join(str(getattr(one, name)) for name in CHOICES),
)
async def test_exact_under_every_reading(rig_of: Any, switches: Switches) -> None:
    """The service polls while a retailer lives; what it left open is caught up with at the end."""
    async with living(rig_of, switches) as (rig, process):
        rig.clock.freeze()
        # What happened in the very end would not show yet when rows are read for the last time.
        rig.world.rest()
        process.terminate()
        assert await process.wait() == 0
        rig.clock.advance(timedelta(seconds=2 * LATE))
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        verdict = rig.verdict(SINCE, slack=timedelta(seconds=2 * LATE))
        assert verdict.ok, verdict
        assert not rig.complaints()


@pytest.mark.parametrize(
    "switches",
    [
        Switches(activity_type="filters", conversation_dates="ignored"),
        Switches(activity_type="refused", conversation_dates="refused"),
        Switches(activity_type="ignored", rows_late=LATE, counters_lag=LATE, summary="more"),
    ],
    ids=lambda one: one.activity_type,
)
async def test_the_service_finds_everything_by_itself(rig_of: Any, switches: Switches) -> None:
    """Within a day of the last event, without a catch-up that reads everything again."""
    async with living(rig_of, switches) as (rig, _):
        rig.world.rest()
        end = rig.clock.now + timedelta(hours=30)
        await rig.until(lambda: rig.clock.now > end)

        # Between two polls hours of the world's time may pass, on a busy machine more: what is
        # best known is no more exact than that here.
        def judged() -> Any:
            return rig.verdict(SINCE, slack=timedelta(days=2), strict_cause=False)

        await rig.until(lambda: judged().ok, within=20)
        assert not rig.complaints()
