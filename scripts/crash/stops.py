"""SIGTERMs at drawn moments, with each side well, slow, silent, cutting connections, or gone."""

import signal
import time
from itertools import product
from random import Random
from typing import Final

import anyio

from bridge.sandbox.faults import Faults
from crash.moments import Moment
from crash.outcome import Outcome
from crash.stand import DRAIN, Stand, open_stand

PER_WORLD: Final = 25
"""Stops before a world is judged, and the next one begins: one for each pair of conditions."""

CONDITIONS: Final = {
    "well": "",
    "slow": "latency:seconds=0.5",
    "silent": "silent",
    "cuts": "reset",
    "gone": "",
}
"""The fault that makes each condition; where a side is gone, nobody listens at its address."""

NOBODY: Final = "http://127.0.0.1:9"
GONE: Final = {
    "listrak": {"LISTRAK_API_URL": f"{NOBODY}/email", "LISTRAK_TOKEN_URL": f"{NOBODY}/token"},
    "segment": {"SEGMENT_API_URL": f"{NOBODY}/v1"},
}
KILLED_AFTER: Final = DRAIN + 15.0


async def stops(seed: int, number: int) -> Outcome:
    """Stops a service so often in the world of a seed."""
    random, outcome = Random(seed), Outcome()
    pairs = list(product(CONDITIONS, repeat=2))
    random.shuffle(pairs)
    async with open_stand(seed) as stand:
        for one in range(number):
            listrak, segment = pairs[one % len(pairs)]
            where = f"seed {seed}, stop {one + 1}, Listrak {listrak}, Segment {segment}"
            sides = {"listrak": listrak, "segment": segment}
            await _stopped(stand, random, sides, (where, outcome))
        outcome.findings += [f"seed {seed}: {what}" for what in await stand.judged()]
        outcome.counts["worlds judged"] += 1
        outcome.counts["events delivered"] += stand.sandbox.segment.accepted
        outcome.counts["repeats, all identical"] += stand.sandbox.segment.duplicates
    return outcome


async def _stopped(
    stand: Stand, random: Random, sides: dict[str, str], told: tuple[str, Outcome]
) -> None:
    """One life that is told to end."""
    where, outcome = told
    sandbox, more = stand.sandbox, dict[str, str]()
    faults: dict[str, Faults] = {
        "listrak": sandbox.listrak.faults,
        "segment": sandbox.segment.faults,
    }
    for side, condition in sides.items():
        if condition == "gone":
            more |= GONE[side]
    late, moment = random.random() < 0.5, Moment.drawn(random)
    if not late:
        _strike(faults, sides)
    # What an earlier life has left, one that ends at once needn't have sent again.
    before = stand.unsaved()
    process = await stand.start(more=more)
    await moment.come(stand)
    if late:
        # It had begun its work while all was well.
        _strike(faults, sides)
        await anyio.sleep(random.uniform(0.0, 0.3))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    with anyio.move_on_after(KILLED_AFTER):
        await process.wait()
    took = time.monotonic() - began
    if process.returncode is None:
        process.kill()
        await process.wait()
    for each in faults.values():
        each.clear()
    await stand.settle()
    outcome.seconds.setdefault("/".join(sides.values()), []).append(took)
    _judge(stand, process.returncode, took, (where, outcome))
    if set(sides.values()) == {"well"} and (left := stand.unsaved()) > before:
        outcome.findings.append(f"{where}: {left - before} events were not saved")


def _strike(faults: dict[str, Faults], sides: dict[str, str]) -> None:
    for side, condition in sides.items():
        if text := CONDITIONS[condition]:
            faults[side].add(text)


def _judge(stand: Stand, code: int | None, took: float, told: tuple[str, Outcome]) -> None:
    where, outcome = told
    outcome.counts["stops"] += 1
    if code == -signal.SIGTERM and not stand.log.read_bytes():
        # Python itself hadn't started yet.
        outcome.counts["ended before the service began"] += 1
    elif code != 0:
        outcome.findings.append(f"{where}: it ended with {code}: {stand.last_words()}")
    if took > DRAIN:
        outcome.findings.append(f"{where}: it took {took:.2f} s, {DRAIN:g} are promised")
    if stand.has_crashed:
        outcome.findings.append(f"{where}: an error of its own: {stand.last_words()}")
    if (left := stand.unsaved()) < 0:
        outcome.findings.append(f"{where}: {-left} events are called delivered that never came")
    outcome.counts["stops that left something on its way"] += left > 0
