"""Histories, drawn from a seed: how Listrak behaves, the settings, and one episode after another.

Any part of a history is a history as well, so that one that fails can be made small.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from histories.account import MAIL, PEOPLE_DO
from histories.troubles import Trouble, drawn_troubles

Kind = Literal["serve", "once", "rest"]
Ending = Literal["stop", "kill", "vanish"]

RESTS: Final = ((1, 30), (60, 300), (600, 3000), (4000, 12_000))
"""Minutes that nothing runs: shortest and longest."""

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

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "BRIDGE_POLL_INTERVAL": ("20", "45", "90"),
    "BRIDGE_POLL_CONCURRENCY": ("1", "4", "16"),
    "BRIDGE_QUEUE_PAGES": ("1", "8", "64"),
    "BRIDGE_BATCH_EVENTS": ("1", "7", "100", "2500"),
    "BRIDGE_SEND_CONCURRENCY": ("1", "4"),
    "BRIDGE_FLUSH_INTERVAL": ("0", "1", "10"),
    "BRIDGE_EVENTS_PER_SECOND": ("0", "0", "20"),
    "LISTRAK_REQUESTS_PER_SECOND": ("0", "20", "5", "2"),
}
"""Settings that change how it is done, and nothing of what is due."""

CHANGES_SETTINGS: Final = 0.3
"""Episodes before which some settings change, as a share of all."""


class Deed(NamedTuple):
    """Something that somebody does.

    at: minutes after the beginning of the episode.
    luck: says with whom, and how.
    """

    at: float
    what: str
    luck: int


class Episode(NamedTuple):
    """A part of a history.

    kind: the service runs (`serve`), catches up (`once`), or nothing does (`rest`).
    minutes: how long at most.
    settings: those that are changed before.
    ending: of `serve`, how it ends: it is stopped, killed, or the machine dies with it.
    turns: of the loop, after which that happens; 0 for at the end of the time.
    """

    kind: Kind
    minutes: float
    deeds: tuple[Deed, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    ending: Ending = "stop"
    turns: int = 0


class History(NamedTuple):
    """A history.

    seed: of what the emulators draw.
    switches: those of the emulated Listrak that aren't as usual.
    """

    seed: int
    switches: tuple[tuple[str, str], ...]
    episodes: tuple[Episode, ...]


def drawn(seed: int) -> History:
    """The history of a seed."""
    rng = random.Random(seed)
    switches = tuple(
        (name, rng.choice(values)) for name, values in SWITCHES.items() if rng.random() < 0.5
    )
    return History(seed, switches, tuple(_episodes(rng)))


def _episodes(rng: random.Random) -> Iterator[Episode]:
    yield Episode("rest", 30, _deeds(rng, 30, rng.randint(3, 20)))
    for number in range(rng.randint(2, 6)):
        if number and rng.random() < 0.4:
            minutes = rng.uniform(*rng.choice(RESTS))
            yield Episode("rest", minutes, _deeds(rng, minutes, rng.randint(0, 12)))
        settings: tuple[tuple[str, str], ...] = ()
        if number == 0 or rng.random() < CHANGES_SETTINGS:
            names = rng.sample([*SETTINGS], 4)
            settings = tuple((name, rng.choice(SETTINGS[name])) for name in names)
        minutes = rng.choice((rng.uniform(1, 8), rng.uniform(8, 25)))
        episode = Episode(
            "serve" if rng.random() < 0.75 else "once",
            minutes,
            _deeds(rng, minutes, rng.randint(0, 15)),
            drawn_troubles(rng) if rng.random() < 0.8 else (),
            settings,
        )
        ending: Ending = rng.choice(("stop", "stop", "kill", "kill", "vanish"))
        # As likely early, where little happens at a turn, as late.
        turns = int(2 ** rng.uniform(4, 17)) if ending != "stop" or rng.random() < 0.5 else 0
        yield episode._replace(ending=ending, turns=turns)


def _deeds(rng: random.Random, minutes: float, number: int) -> tuple[Deed, ...]:
    return tuple(
        Deed(at, rng.choice(rng.choice((MAIL, PEOPLE_DO, PEOPLE_DO))), rng.randrange(10**6))
        for at in sorted(rng.uniform(0, minutes) for _ in range(number))
    )
