"""Troubles: what goes wrong for a while, of both servers, the disk, the network and the clocks."""

import random
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Where = Literal["listrak", "segment", "disk", "network", "clock"]

REFUSED_PATHS: Final = ("Activity", "Summary", "Clicker", "Link", "Contact")
"""Ends of paths that may be refused for good: names, without which events differ, are none."""

OF_LISTRAK: Final = (
    *("status:500", "status:502", "status:503", "status:429", "throttle:zero", "throttle:date"),
    *("torn", "cut_short", "garbage", "no_http", "not_packed", "reset", "lost", "deep", "redirect"),
    *("blank:200", "blank:204", "charset:utf-16", "silent", "latency:seconds=7", "huge:20000000"),
    *("expire_token", "status:401", "denial:401", "wrong_date:40", "wrong_date:-40"),
    *("empty,path=/v1/List$", "empty,path=/v1/List$", "empty,path=/v1/List$"),
    *("status:404,path=SplitTest", "status:404,path=Activity"),
)
"""Answers that nobody can do anything with; each passes."""

REFUSALS: Final = ("status:400", "status:403", "status:422")

REFUSAL: Final = "some are refused"
"""Of Segment: some events are, for good, and so is each batch with one of them."""

OF_SEGMENT: Final = (
    *("status:401", "status:403", "status:408", "status:429", "status:500", "status:503"),
    *("torn", "cut_short", "garbage", "no_http", "reset", "lost", "silent", "blank:200"),
    *("throttle:zero", "throttle:date", "latency:seconds=12", "redirect"),
)

OF_DISK: Final = (
    *("full", "full", "I/O error", "I/O error", "slow", "done, and not told", "locked"),
)
"""`done, and not told`: a call that succeeds, and is answered with an error all the same."""

OF_NETWORK: Final = ("slow", "down", "jittery")
OF_CLOCK: Final = ("ahead", "behind", "hours ahead", "years behind", "asleep")

WEIGHTS: Final[Mapping[Where, int]] = {
    "listrak": 5,
    "segment": 4,
    "disk": 3,
    "network": 2,
    "clock": 2,
}


class Trouble(NamedTuple):
    """Something that goes wrong.

    what: of a server a fault as `bridge.sandbox.faults` parses it, else one of the lists here.
    begin: share of the episode's time after which it begins.
    end: likewise, its end; a jump of a clock has none.
    luck: says how much, and which call of the disk it is.
    """

    where: Where
    what: str
    begin: float
    end: float
    luck: int

    @property
    def kind(self) -> str:
        """What it is, without its options."""
        return f"{self.where}: {self.what.partition(',')[0]}"

    @property
    def is_of_time(self) -> bool:
        """Tells whether it has the service believe a wrong time."""
        return self.where == "clock" or self.what.startswith("wrong_date")


def drawn_troubles(rng: random.Random) -> tuple[Trouble, ...]:
    """One trouble, or some."""
    return tuple(_drawn(rng) for _ in range(rng.choice((1, 1, 2, 3, 5))))


def _drawn(rng: random.Random) -> Trouble:
    where = rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
    # A start meets what is there from the beginning.
    begin = rng.choice((0.0, rng.random(), rng.random() * rng.random()))
    end = min(1.0, begin + rng.choice((0.02, 0.2, 1.0)))
    return Trouble(where, _what(rng, where), begin, end, rng.randrange(10**6))


def _what(rng: random.Random, where: Where) -> str:
    match where:
        case "listrak" if rng.random() < 0.25:
            return f"{rng.choice(REFUSALS)},path={rng.choice(REFUSED_PATHS)}"
        case "listrak":
            return rng.choice(OF_LISTRAK) + _extent(rng)
        case "segment" if rng.random() < 0.1:
            return REFUSAL
        case "segment":
            return rng.choice(OF_SEGMENT) + _extent(rng)
        case "disk":
            return rng.choice(OF_DISK)
        case "network":
            return rng.choice(OF_NETWORK)
        case "clock":
            return rng.choice(OF_CLOCK)


def _extent(rng: random.Random) -> str:
    """All requests, some, or a few."""
    return rng.choice(("", ",probability=0.3", ",probability=0.05", f",times={rng.randint(1, 4)}"))
