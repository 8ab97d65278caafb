"""The lives that are simulated: whose, with which budget, what Listrak makes of filters."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

import numpy as np

from bridge.clock import DAY
from bridge.listrak import wire
from simulation.listrak import Reading
from simulation.people import People, people
from simulation.population import USUAL, Shares, send_of
from simulation.result import Result, Retailer
from simulation.service import Course, lived

BEGIN: Final = 1_780_272_000.0
"""1 June 2026, midnight UTC."""

TALKS: Final = 40
"""Conversation messages of a retailer."""

BUDGET: Final = 5.0
"""Calls a second of a retailer."""

QUIET_MESSAGES: Final = 100
QUIET_DAYS: Final = 11
"""Messages of which nothing happens: of all ages up to four weeks, and so many days later."""

QUIET: Final = Retailer("quiet", 1, 1, lists=1)


@dataclass(frozen=True)
class Life:
    """A life of the bridge.

    budget: calls a second, of all lists.
    eventful: something happens; else there are only messages of which nothing does.
    """

    name: str
    retailer: Retailer
    days: int
    reading: Reading = "filters"
    budget: float = BUDGET
    seed: int = 1
    eventful: bool = True


def lives(large: Retailer, small: Retailer, *, days: int, others: int, seed: int) -> list[Life]:
    """All lives: the main one of so many days, the others of theirs; the longest comes first."""
    return [
        Life("filters", large, days, seed=seed),
        *(Life(each, large, others, each, seed=seed) for each in ("ignored", "refused")),
        Life("0.5 calls/s", large, others, budget=0.5, seed=seed),
        *(
            Life(f"small, {each}", small, others, each, seed=seed)
            for each in ("ignored", "refused")
        ),
        Life("quiet", QUIET, QUIET_DAYS, seed=seed, eventful=False),
    ]


def live_all(each: Sequence[Life], processes: int) -> Iterator[Result]:
    """Lives them, so many at a time in processes of their own; yields each as it ends."""
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for future in as_completed([pool.submit(live, life) for life in each]):
            yield future.result()


def live(life: Life) -> Result:
    """Lives a life, from the first start of the service to its end."""
    course = course_of(life.retailer, life.days, life.reading, life.budget)
    return lived(life.name, life.retailer, people_of(life), course)


def course_of(retailer: Retailer, days: int, reading: Reading, budget: float = BUDGET) -> Course:
    """A course of so many days, of the simulated list.

    budget: calls a second, of all lists.
    """
    return Course(days, page_of(retailer), budget / retailer.lists, reading)


def page_of(retailer: Retailer) -> int:
    """Rows of a page as the simulated list has it."""
    return max(1, wire.MOST_ROWS // retailer.scale)


def people_of(life: Life) -> People:
    """Who is on the list, and what they do."""
    return listed(life.retailer, life.seed, BEGIN, life.days) if life.eventful else _quiet()


def listed(
    retailer: Retailer, seed: int, begin: float, days: int, shares: Shares = USUAL
) -> People:
    """The people of a retailer's simulated list; `begin` in seconds since 1970."""
    return people(
        seed=seed,
        begin=begin,
        days=days,
        audience=retailer.contacts // retailer.scale,
        talks=TALKS // retailer.lists,
        shares=shares,
    )


def _quiet() -> People:
    """A contact that was sent messages of all ages up to four weeks, and does nothing."""
    rng = np.random.default_rng(1)
    ages = 28 * np.arange(QUIET_MESSAGES) / QUIET_MESSAGES
    sends = [
        send_of(rng, number, np.array([BEGIN - DAY * age]), until=0, conversation=False)
        for number, age in enumerate(ages.tolist())
    ]
    return People(BEGIN, 1, 1, sends, [])
