"""Histories: how Listrak behaves, and one episode after another.

Any part of a history is a history as well, so that one that fails can be made small.
"""

from typing import Literal, NamedTuple

from histories.troubles import Trouble

Kind = Literal["serve", "once", "rest", "look", "backfill"]
Ending = Literal["stop", "kill", "vanish"]


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

    kind: the service runs (`serve`), catches up (`once`), or nothing does (`rest`). In a history of
        changes it catches up whatever happens, in the end in health (`look`), or brings history
        (`backfill`).
    minutes: how long at most.
    settings: those that are changed before, and nothing of what is due with them.
    changes: members of `configuration.CHANGES` that are changed before, each with what says how.
    ending: of `serve` and `look`, how it ends: it is stopped, killed, or the machine dies with it.
    turns: of the loop, after which that happens; 0 for at the end of the time.
    arrivals: events at Segment before these turns are counted, of one that is killed: their name,
        "" for any, and how many.
    luck: says which backfill it is.
    """

    kind: Kind
    minutes: float
    deeds: tuple[Deed, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, int], ...] = ()
    ending: Ending = "stop"
    turns: int = 0
    arrivals: tuple[str, int] = ("", 0)
    luck: int = 0


class History(NamedTuple):
    """A history.

    seed: of what the emulators draw.
    switches: those of the emulated Listrak that aren't as usual.
    stands: while nothing runs this machine's clocks stand still, and only the account's goes on.
    """

    seed: int
    switches: tuple[tuple[str, str], ...]
    episodes: tuple[Episode, ...]
    stands: bool = False

    @property
    def changes(self) -> bool:
        """Tells whether it is one of settings that change what is due, judged look by look."""
        return any(episode.kind == "look" for episode in self.episodes)
