"""Sweeps over system calls: killed, or failed by the disk, at the nth sync or write.

Each is a first catch-up in a world of its own, and another one after it that has to find the rest.
"""

import re
import signal
from collections import Counter
from typing import Final

import anyio

from crash.injection import recorded, traced
from crash.outcome import Outcome
from crash.stand import CATCH_UP_WITHIN, Stand, open_stand

CALLS: Final = ("fdatasync", "pwrite64")
DEEDS: Final = {"SIGKILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
KINDS: Final = tuple((call, deed) for call in CALLS for deed in DEEDS)
FINISHED: Final = (0, 73, 75)
"""How a catch-up may end on a disk that fails: done, not writable, or to be done again."""

CONTACTS: Final = 30


async def made(seed: int) -> Counter[str]:
    """How many of each call a catch-up makes in one thread; none where there is no tracer."""
    async with open_stand(seed, contacts=CONTACTS) as stand:
        log = stand.folder / "calls"
        tracer = recorded(",".join(CALLS), log)
        if tracer is None:
            return Counter()
        await _ended(stand, tracer)
        lines = re.findall(r"^(\d+) +(\w+)\(", log.read_text(encoding="ascii"), re.MULTILINE)
        most: Counter[str] = Counter()
        for (_, call), number in Counter(lines).items():
            most[call] = max(most[call], number)
        return most


def spread_over(calls: Counter[str], number: int) -> list[tuple[str, str, int]]:
    """So many trials, evenly over the kinds and over the calls of a catch-up: call, deed, nth."""
    trials = []
    for place, (call, deed) in enumerate(KINDS):
        share = number // len(KINDS) + (place < number % len(KINDS))
        most = calls[call]
        step = max(1.0, most / max(1, share))
        trials += [(call, deed, 1 + int(step * each)) for each in range(min(share, most))]
    return trials


async def injected(seed: int, call: str, deed: str, nth: int) -> Outcome:
    """A catch-up that is struck at its nth call, and the next one."""
    outcome, where = Outcome(), f"seed {seed}, {deed} at {call} {nth}"
    async with open_stand(seed, contacts=CONTACTS) as stand:
        log = stand.folder / "calls"
        tracer = traced(f"{call}:{DEEDS[deed]}:when={nth}", log)
        assert tracer is not None
        code = await _ended(stand, tracer)
        killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
        kind = f"{call}, {deed}"
        outcome.counts[f"{kind}: tried"] += 1
        # A catch-up may make fewer calls than the one that was counted.
        outcome.counts[f"{kind}: struck"] += killed or b"(INJECTED)" in log.read_bytes()
        if killed and deed == "SIGKILL":
            outcome.counts[f"{kind}: killed"] += 1
        elif code in FINISHED:
            outcome.counts[f"{kind}: ended with {code}"] += 1
        else:
            outcome.findings.append(f"{where}: it ended with {code}: {stand.last_words()}")
        if stand.has_crashed:
            outcome.findings.append(f"{where}: an error of its own: {stand.last_words()}")
        await stand.settle()
        if (left := stand.unsaved()) < 0:
            outcome.findings.append(f"{where}: {-left} events are called delivered, never came")
        outcome.findings += [f"{where}: {what}" for what in await stand.judged()]
    return outcome


async def _ended(stand: Stand, tracer: list[str]) -> int | None:
    """The exit code of a catch-up under a tracer, which reports what ended its child."""
    process = await stand.start("--once", tracer=tracer)
    with anyio.move_on_after(CATCH_UP_WITHIN):
        await process.wait()
    return process.returncode
