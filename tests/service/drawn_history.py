"""Histories of an account and of the bridge's configurations, drawn from a seed.

A history is a list of deeds, each with numbers that say whom it concerns: any part of the list is a
history as well, so that one that fails can be made small.
"""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from histories.account import DEEDS, MAIL

HOUR, DAY = 60, 24 * 60
"""In minutes."""

ABSENCES: Final = (
    (2, HOUR),
    (HOUR, DAY),
    (DAY, 6 * DAY),
    (7 * DAY, 30 * DAY),
    (30 * DAY, 90 * DAY),
)
"""Shortest and longest time between two looks, in minutes."""

SETTINGS: Final = (
    "track_days",
    "lists",
    "lists",
    "events",
    "since",
    "fields",
    "extra_properties",
    "timezone",
)
"""The settings that change."""


class Deed(NamedTuple):
    """Something that is done after so many minutes.

    wait: minutes since the deed before.
    what: a member of MAIL or DEEDS, or what the bridge is told to do: `set NAME`, `look`,
        `interrupted_look`, `backfill_events`, `backfill_since`.
    luck: says with whom, and how.
    """

    wait: int
    what: str
    luck: int

    @property
    def is_look(self) -> bool:
        """Tells whether it ends with a complete catch-up."""
        return self.what in ("look", "interrupted_look")

    @property
    def is_step(self) -> bool:
        """Tells whether the bridge does it."""
        return self.is_look or self.what.startswith("backfill")

    def __str__(self) -> str:
        days, minutes = divmod(self.wait, DAY)
        return f"after {days} d {minutes} min: {self.what} ({self.luck})"


def drawn_history(seed: int) -> list[Deed]:
    """The history of a seed: some catch-ups, with changed settings, and what happens meanwhile."""
    return list(_deeds(random.Random(seed)))


def _deeds(rng: random.Random) -> Iterator[Deed]:
    for _before in range(rng.randint(0, 25)):
        yield _deed(rng, rng.randrange(4 * DAY), rng.choice((*MAIL, *DEEDS)))
    for name in sorted(set(SETTINGS)):
        if rng.random() < 0.5:
            yield _deed(rng, 0, f"set {name}")
    for _look in range(rng.randint(3, 7)):
        yield _deed(rng, 1, "interrupted_look" if rng.random() < 0.15 else "look")
        yield from _absence(rng)
        if rng.random() < 0.6:
            for name in rng.sample(SETTINGS, rng.randint(1, 3)):
                yield _deed(rng, 0, f"set {name}")
    yield _deed(rng, 1, "look")


def _absence(rng: random.Random) -> Iterator[Deed]:
    """What happens between two looks; at its end perhaps a backfill."""
    length = rng.randint(*rng.choice(ABSENCES))
    waits = [rng.randrange(length) for _ in range(rng.randint(0, 30))]
    at = 0
    for wait in sorted(waits):
        yield _deed(rng, wait - at, rng.choice(rng.choice((MAIL, DEEDS, DEEDS))))
        at = wait
    if (luck := rng.random()) < 0.25:
        yield _deed(rng, length - at, "look")
        yield _deed(rng, 1, "backfill_events" if luck < 0.13 else "backfill_since")
    else:
        yield _deed(rng, length - at, "rest")


def _deed(rng: random.Random, wait: int, what: str) -> Deed:
    return Deed(wait, what, rng.randrange(10**6))
