"""Power losses: of what a catch-up wrote, only what was synced is sure to be there afterwards.

A catch-up is recorded while the world stands still. Then, for each of many places, the files are
laid as a power loss there may leave them, and the next catch-up has to bring what is missing; of
what Segment has only that counts which it had by then.
"""

import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import anyio

from crash.injection import recorded
from crash.outcome import Outcome
from crash.recording import OPTIONS, TRACED, Deed, left_by, recorded_deeds
from crash.stand import SOON, Stand, open_stand

PER_WORLD: Final = 30
"""Power losses of one recording."""

CONTACTS: Final = 30
STATE: Final = "bridge.db"


@dataclass
class Recording:
    """A catch-up: what it did to its files, and when Segment had how many events.

    arrivals: the time, in seconds since 1970, and the number of events up to then.
    """

    deeds: list[Deed]
    arrivals: list[tuple[float, int]]

    def arrived(self, by: float) -> int:
        """The number of events that Segment had for sure."""
        return max((number for when, number in self.arrivals if when <= by), default=0)


async def cuts(seed: int, number: int) -> Outcome:
    """Loses the power so often in the world of a seed."""
    outcome, random = Outcome(), Random(seed)
    async with open_stand(seed, contacts=CONTACTS) as stand:
        stand.sandbox.clock.freeze()
        recording = await _recorded(stand)
        for one in range(number if recording else 0):
            assert recording is not None
            place = random.randint(1, len(recording.deeds))
            where = f"seed {seed}, power lost behind write {place}, trial {one + 1}"
            _lay(stand, left_by(recording.deeds[:place], random))
            known = _received(stand)[: recording.arrived(recording.deeds[place - 1].when)]
            await _judge(stand, known, (where, outcome))
    return outcome


async def _recorded(stand: Stand) -> Recording | None:
    """A catch-up, recorded; None where this machine has no tracer."""
    log, arrivals = stand.folder / "calls", [(0.0, 0)]
    tracer = recorded(TRACED, log)
    if tracer is None:
        return None

    async def watch() -> None:
        while True:
            arrivals.append((time.time(), stand.sandbox.segment.accepted))
            await anyio.sleep(SOON / 5)

    process = await stand.start("--once", tracer=[*tracer, *OPTIONS])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await process.wait()
        tasks.cancel_scope.cancel()
    return Recording(recorded_deeds(log, STATE), arrivals)


def _lay(stand: Stand, files: dict[str, bytes]) -> None:
    """Replaces the state file and those beside it."""
    for path in stand.folder.glob(f"{STATE}*"):
        path.unlink()
    for name, content in files.items():
        path = stand.folder / name
        path.write_bytes(content)
        path.chmod(0o600)


def _received(stand: Stand) -> list[dict[str, Any]]:
    return [*stand.sandbox.segment.received()]


async def _judge(stand: Stand, known: list[dict[str, Any]], told: tuple[str, Outcome]) -> None:
    """The next catch-up, at a Segment that knows only these events."""
    where, outcome = told
    before = len(_received(stand))
    findings = await stand.caught_up()
    arrived = [*known, *_received(stand)[before:]]
    findings = findings or stand.verdict_on(arrived)
    again = Counter(event["messageId"] for event in arrived)
    outcome.counts["power losses"] += 1
    outcome.counts["repeats, all identical"] += again.total() - len(again)
    outcome.findings += [f"{where}: {what}" for what in findings]
    if stand.has_crashed:
        outcome.findings.append(f"{where}: an error of its own: {stand.last_words()}")
