"""Runs of the fuzzer: inputs are drawn, given to a target, and kept where they show anything new."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeVar

import anyio
import structlog
from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.surroundings import Machine, surroundings

from bridge.output.redaction import SECRETS
from fuzz.answers import ListrakAnswers, SegmentAnswers, TokenAnswers
from fuzz.local import Credentials, Environment, Requests
from fuzz.mutation import Mutator
from fuzz.network import Connections
from fuzz.shrinking import shrunk
from fuzz.state_files import StateFiles, StateRows
from fuzz.target import SECRET, Target, Verdict, judged

T = TypeVar("T")

CORPUS: Final = Path(__file__).parents[2] / "tests" / "fuzz" / "corpus"
NOW: Final = 1_778_600_000.0
"""The time of day in which all inputs are read, in seconds since 1970."""

MOST_KEPT: Final = 400
"""Inputs with something new that are gone on from."""

ENOUGH: Final = 20
"""Findings of a target after which it isn't tried any more."""

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        *(ListrakAnswers(), TokenAnswers(), SegmentAnswers(), Connections()),
        *(Environment(), Credentials(), Requests(), StateFiles(), StateRows()),
    )
}


class Finding(NamedTuple):
    """A rule that is broken.

    what: the rule.
    data: the smallest input found that breaks it.
    """

    target: str
    what: str
    data: bytes

    def save(self, corpus: Path) -> Path:
        """Puts the input into the corpus; returns its path."""
        name = f"found-{hashlib.sha256(self.data).hexdigest()[:12]}"
        place = corpus / self.target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.data)
        return place


@dataclass
class Tally:
    """The numbers of a target's inputs.

    seconds: of the processor.
    """

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    outcomes: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def inputs(target: str, corpus: Path = CORPUS) -> dict[str, bytes]:
    """The inputs of a target in the corpus, by name."""
    places = sorted((corpus / target).iterdir()) if (corpus / target).is_dir() else []
    return {place.name: place.read_bytes() for place in places}


def replayed(target: Target, data: Sequence[bytes]) -> list[Verdict]:
    """What comes of inputs, their memory measured as well."""

    async def each() -> list[Verdict]:
        return [await judged(target, one, traced=True) for one in data]

    return _on_virtual_clock(each)


def fuzzed(
    target: Target, seeds: Sequence[bytes], seed: int, goes_on: Callable[[Tally], bool]
) -> Tally:
    """Tries inputs as long as `goes_on` says, which is asked before each.

    seeds: what they are made of.
    seed: what they are drawn by: the same gives the same inputs.
    """
    return _on_virtual_clock(partial(_fuzzed, target, seeds, seed, goes_on))


async def _fuzzed(
    target: Target, seeds: Sequence[bytes], seed: int, goes_on: Callable[[Tally], bool]
) -> Tally:
    tally, began = Tally(), time.process_time()
    known: set[str] = set()
    kept: list[bytes] = []
    random = Random(f"{target.name} {seed}")
    mutator = Mutator(random, seeds)
    while goes_on(tally) and len(tally.findings) < ENOUGH:
        start = random.choice(kept if kept and random.random() < 0.4 else seeds)
        data = target.mutated(start, mutator)
        verdict = await judged(target, data)
        tally.tried += 1
        tally.refused += verdict.refused
        tally.accepted += not verdict.refused and not verdict.finding
        if verdict.finding:
            await _note(target, data, verdict.finding, tally)
        elif (kind := _kind(verdict.what)) not in known:
            known.add(kind)
            if len(data) < 100_000 and len(kept) < MOST_KEPT:
                kept.append(data)
    tally.outcomes = len(known)
    tally.seconds = time.process_time() - began
    return tally


async def _note(target: Target, data: bytes, what: str, tally: Tally) -> None:
    """Notes a finding, made small; each once."""
    if any(finding.what == what for finding in tally.findings):
        return

    async def shows_it(one: bytes) -> bool:
        return (await judged(target, one)).finding == what

    small = data
    if not what.startswith(("slow", "endless")):
        small = await shrunk(data, target.smaller, shows_it)
    tally.findings.append(Finding(target.name, what, small))


def _kind(what: str) -> str:
    """An outcome without its numbers and quoted texts."""
    return re.sub(r"'[^']*'|\d+", "#", what)[:200]


def _on_virtual_clock(work: Callable[[], "anyio.abc.Awaitable[T]"]) -> T:  # type: ignore[name-defined]
    """Does work on a loop whose waits pass at once, without threads."""
    loop = VirtualLoop()

    async def within() -> T:
        machine = Machine(loop, lambda: NOW + loop.time())
        with surroundings(machine, Disk(is_instant=True)), _quiet():
            result: T = await work()
            return result

    return anyio.run(within, backend_options={"loop_factory": lambda: loop})


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is logged meanwhile, and what is secret of the inputs is forgotten afterwards."""
    before = structlog.get_config()
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)
    SECRETS.add(SECRET)
    try:
        yield
    finally:
        SECRETS.clear()
        structlog.configure(**before)


def _dropped(*_: object) -> object:
    raise structlog.DropEvent
