"""The history of a seed: half of them of lives in trouble, half of settings that change."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from histories.account import DEEDS, MAIL, PEOPLE_DO
from histories.configuration import CHANGES
from histories.history import Deed, Ending, Episode, History
from histories.troubles import drawn_troubles

SWITCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "activity_type": ("filters", "ignored", "refused"),
    "date_type": ("first", "latest"),
    "conversation_dates": ("send", "type", "ignored", "refused"),
    "counters_lag": ("0", "0", "40", "400"),
    "rows_late": ("0", "0", "30", "300"),
    "cursor_style": ("token", "uri"),
    "cursor_lifetime": ("30", "90"),
    "summary": ("exact", "exact", "more", "less"),
    "empty_pages": ("0", "0", "0.2"),
    "page_rows": ("2", "3", "7", "50"),
    "undated": ("kept", "dropped"),
}
"""What isn't known of Listrak, by the names of `bridge.sandbox.switches`."""

PROMPT: Final = ("activity_type", "cursor_style", "cursor_lifetime", "empty_pages", "page_rows")
"""Those of them with which a catch-up sees everything that has happened."""

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "BRIDGE_POLL_INTERVAL": ("30", "90", "240"),
    "BRIDGE_POLL_CONCURRENCY": ("1", "4", "16"),
    "BRIDGE_QUEUE_PAGES": ("1", "8", "64"),
    "BRIDGE_BATCH_EVENTS": ("1", "7", "100", "2500"),
    "BRIDGE_SEND_CONCURRENCY": ("1", "4"),
    "BRIDGE_FLUSH_INTERVAL": ("0", "1", "10"),
    "BRIDGE_EVENTS_PER_SECOND": ("0", "0", "20"),
    "LISTRAK_REQUESTS_PER_SECOND": ("0", "20", "5", "2"),
}
"""Settings that change how it is done, and nothing of what is due."""

ARRIVALS: Final = ("", "", "identify", "Email Sent", "Email Converted", "Unsubscribed")
"""The events that reach Segment before a service is killed, "" for any."""

CHANGES_SETTINGS: Final = 0.3
"""Episodes before which some settings change, as a share of all."""

RESTS: Final = ((1, 30), (60, 300), (600, 3000), (4000, 12_000))
"""Minutes between two lives: shortest and longest."""

HOUR, DAY = 60, 24 * 60
"""In minutes."""

ABSENCES: Final = (
    (2, HOUR),
    (HOUR, DAY),
    (DAY, 6 * DAY),
    (7 * DAY, 30 * DAY),
    (30 * DAY, 90 * DAY),
)
"""Minutes between two looks: shortest and longest."""


def drawn(seed: int) -> History:
    """The history of a seed."""
    rng = random.Random(seed)
    if seed % 2:
        switches = _switches(rng, PROMPT)
        return History(seed, switches, tuple(_looks(rng)), stands=rng.random() < 0.5)
    return History(seed, _switches(rng, [*SWITCHES]), tuple(_lives(rng)))


def _switches(rng: random.Random, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, rng.choice(SWITCHES[name])) for name in names if rng.random() < 0.5)


# Lives in trouble


def _lives(rng: random.Random) -> Iterator[Episode]:
    yield Episode("rest", 30, _deeds(rng, 30, rng.randint(3, 20), PEOPLE_DO))
    for number in range(rng.randint(2, 6)):
        if number and rng.random() < 0.4:
            minutes = rng.uniform(*rng.choice(RESTS))
            yield Episode("rest", minutes, _deeds(rng, minutes, rng.randint(0, 12), PEOPLE_DO))
        settings = _settings(rng) if number == 0 or rng.random() < CHANGES_SETTINGS else ()
        minutes = rng.choice((rng.uniform(1, 8), rng.uniform(8, 25)))
        episode = Episode(
            "serve" if rng.random() < 0.75 else "once",
            minutes,
            _deeds(rng, minutes, rng.randint(0, 15), PEOPLE_DO),
            drawn_troubles(rng) if rng.random() < 0.8 else (),
            settings,
        )
        yield _ended(rng, episode, may_run_on=True)


def _settings(rng: random.Random) -> tuple[tuple[str, str], ...]:
    names = rng.sample([*SETTINGS], 4)
    return tuple((name, rng.choice(SETTINGS[name])) for name in names)


def _ended(rng: random.Random, episode: Episode, *, may_run_on: bool) -> Episode:
    ending: Ending = rng.choice(("stop", "stop", "kill", "kill", "vanish"))
    if ending != "stop" and rng.random() < 0.5:
        # While what was sent is acknowledged and saved.
        turns = int(2 ** rng.uniform(0, 9))
        name = rng.choice(ARRIVALS)
        number = rng.randint(1, 4) if name else int(2 ** rng.uniform(0, 7))
        return episode._replace(ending=ending, turns=turns, arrivals=(name, number))
    runs_on = may_run_on and ending == "stop" and rng.random() < 0.5
    # As likely early, where little happens at a turn, as late.
    turns = 0 if runs_on else int(2 ** rng.uniform(4, 17))
    return episode._replace(ending=ending, turns=turns)


# Settings that change


def _looks(rng: random.Random) -> Iterator[Episode]:
    yield Episode("rest", 4 * DAY, _deeds(rng, 4 * DAY, rng.randint(0, 25), DEEDS))
    changes = tuple(_change(rng, name) for name in sorted(set(CHANGES)) if rng.random() < 0.5)
    for _look in range(rng.randint(3, 7)):
        yield _look_of(rng, changes)
        changes = ()
        minutes = rng.randint(*rng.choice(ABSENCES))
        yield Episode("rest", minutes, _deeds(rng, minutes, rng.randint(0, 30), DEEDS))
        if rng.random() < 0.25:
            yield _look_of(rng, ())
            yield Episode("backfill", 0, luck=rng.randrange(10**6))
        if rng.random() < 0.6:
            changes = tuple(_change(rng, name) for name in rng.sample(CHANGES, rng.randint(1, 3)))
    yield _look_of(rng, changes)


def _look_of(rng: random.Random, changes: tuple[tuple[str, int], ...]) -> Episode:
    settings = _settings(rng) if rng.random() < CHANGES_SETTINGS else ()
    look = Episode("look", 0, settings=settings, changes=changes)
    if rng.random() < 0.6:
        return look
    # By clocks that are wrong what is due can't be told exactly.
    troubles = tuple(one for one in drawn_troubles(rng) if not one.is_of_time)
    return _ended(
        rng, look._replace(minutes=rng.uniform(1, 20), troubles=troubles), may_run_on=True
    )


def _change(rng: random.Random, name: str) -> tuple[str, int]:
    return name, rng.randrange(10**6)


def _deeds(
    rng: random.Random, minutes: float, number: int, others: Sequence[str]
) -> tuple[Deed, ...]:
    return tuple(
        Deed(at, rng.choice(rng.choice((MAIL, others, others))), rng.randrange(10**6))
        for at in sorted(rng.uniform(0, minutes) for _ in range(number))
    )
