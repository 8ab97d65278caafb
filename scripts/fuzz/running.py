"""Runs of the fuzzer: inputs are drawn, given to targets, and kept where they show anything new.

No coverage is looked at: in Python that costs thirty times what the inputs do. An input is new by
what comes of it, in words; others are made of it then.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from fuzz.corpus import Finding, inputs
from fuzz.mutation import Mutator
from fuzz.quiet import on_virtual_clock
from fuzz.shrinking import shrunk
from fuzz.target import Target, Verdict, judged

MOST_KEPT: Final = 400
"""Inputs with something new of which others are made."""

LONGEST_KEPT: Final = 50_000
"""Bytes of one of them at most."""

ENOUGH: Final = 20
"""Findings of a target after which it isn't tried any more."""

ROUND: Final = 20.0
"""Seconds of a target in a row: each time it begins with the corpus alone."""


@dataclass
class Tally:
    """The numbers of a target's inputs.

    outcomes: what came of them, told apart by words; in the round that had the most.
    seconds: of the processor.
    findings: one of a kind.
    """

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    outcomes: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def has(self, what: str) -> bool:
        """Tells whether a rule is known to be broken."""
        return any(finding.what == what for finding in self.findings)


def replayed(target: Target, data: Sequence[bytes], *, traced: bool = True) -> list[Verdict]:
    """What comes of inputs; `traced`: their memory is measured as well."""

    async def each() -> list[Verdict]:
        return [await judged(target, one, traced=traced) for one in data]

    return on_virtual_clock(each)


def campaign(
    targets: Mapping[str, Target], corpus: Path, seed: int, seconds: float
) -> Iterator[tuple[dict[str, Tally], list[Finding]]]:
    """Tries inputs of all targets in turns; after each, yields the numbers and its new findings.

    seconds: for how long, of all together; each target has one turn at least.
    """
    tallies = {name: Tally() for name in targets}
    ends = time.monotonic() + seconds
    turn, is_first = min(ROUND, seconds / len(targets)), True
    while is_first or time.monotonic() < ends:
        for name, target in targets.items():
            until = time.monotonic() + turn
            seeds = [*inputs(name, corpus).values()]
            known = len(tallies[name].findings)
            fuzzed(target, seeds, seed, partial(_is_before, until), tallies[name])
            yield tallies, tallies[name].findings[known:]
        seed, is_first = seed + 1000, False
        if all(len(tally.findings) >= ENOUGH for tally in tallies.values()):
            return


def _is_before(until: float, _: Tally) -> bool:
    return time.monotonic() < until


def fuzzed(
    target: Target,
    seeds: Sequence[bytes],
    seed: int,
    goes_on: Callable[[Tally], bool],
    tally: Tally | None = None,
) -> Tally:
    """Tries inputs as long as `goes_on` says, which is asked before each.

    seeds: what they are made of.
    seed: what they are drawn by: the same gives the same inputs.
    tally: the numbers so far.
    """
    tally = tally or Tally()
    on_virtual_clock(partial(_Run(target, seeds, seed, tally).go, goes_on))
    return tally


class _Run:
    """Inputs of a target, one after the other."""

    def __init__(self, target: Target, seeds: Sequence[bytes], seed: int, tally: Tally) -> None:
        self._target = target
        self._seeds = seeds
        self._random = Random(f"{target.name} {seed}")
        self._mutator = Mutator(self._random, seeds)
        self._tally = tally
        self._known: set[str] = set()
        self._kept: list[bytes] = []

    async def go(self, goes_on: Callable[[Tally], bool]) -> None:
        tally, began = self._tally, time.process_time()
        while goes_on(tally) and len(tally.findings) < ENOUGH:
            data = self._target.mutated(self._start(), self._mutator)
            verdict = await judged(self._target, data)
            tally.tried += 1
            tally.refused += verdict.refused
            tally.accepted += not verdict.refused and not verdict.finding
            if verdict.finding:
                if not tally.has(verdict.finding):
                    tally.findings.append(await self._small(data, verdict.finding))
            else:
                self._keep(data, verdict)
        tally.outcomes = max(tally.outcomes, len(self._known))
        tally.seconds += time.process_time() - began

    def _start(self) -> bytes:
        """What the next input is made of."""
        return self._random.choice(
            self._kept if self._kept and self._random.random() < 0.4 else self._seeds
        )

    def _keep(self, data: bytes, verdict: Verdict) -> None:
        """Keeps an input, if it shows anything new; of what is refused few others can be made."""
        kind = re.sub(r"'[^']*'|\d+", "#", verdict.what)[:200]
        if kind not in self._known:
            self._known.add(kind)
            wanted = not verdict.refused or self._random.random() < 0.1
            if wanted and len(data) < LONGEST_KEPT and len(self._kept) < MOST_KEPT:
                self._kept.append(data)

    async def _small(self, data: bytes, what: str) -> Finding:
        """A finding, made small; what takes long is left as it is."""

        async def shows_it(one: bytes) -> bool:
            return (await judged(self._target, one)).finding == what

        if not what.startswith(("slow", "endless")):
            data = await shrunk(data, self._target.smaller, shows_it)
        return Finding(self._target.name, what, data)
