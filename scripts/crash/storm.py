"""A storm of SIGKILLs: the service is killed at drawn moments while the world goes on.

After each kill, what Segment has is compared with what the state file knows: nothing may be called
delivered that never came, and the next life may repeat only what was on its way. In the end the
judge of the emulators says what is missing, too much or wrong.
"""

from datetime import timedelta
from random import Random
from typing import Final

from crash.moments import Moment, calls_of
from crash.outcome import Outcome
from crash.stand import Stand, open_stand

PER_WORLD: Final = 50
"""Kills before a world is judged, and the next one begins."""

LONGEST_ABSENCE: Final = 4.0
"""Hours of the world that a service may be away after a kill."""


async def storm(seed: int, kills: int) -> Outcome:
    """Kills a service so often in the world of a seed."""
    random, outcome = Random(seed), Outcome()
    async with open_stand(seed) as stand:
        unsaved = 0
        for number in range(kills):
            where = f"seed {seed}, kill {number + 1}"
            unsaved = await _killed(stand, Moment.drawn(random), unsaved, (where, outcome))
            away = timedelta(hours=random.uniform(0.0, LONGEST_ABSENCE))
            stand.sandbox.clock.advance(away)
        outcome.findings += [f"seed {seed}: {what}" for what in await stand.judged()]
        outcome.counts["worlds judged"] += 1
        outcome.counts["events delivered"] += stand.sandbox.segment.accepted
        outcome.counts["repeats, all identical"] += stand.sandbox.segment.duplicates
    return outcome


async def _killed(stand: Stand, moment: Moment, unsaved: int, told: tuple[str, Outcome]) -> int:
    """One life, after one that left so many events unsaved; how many this one leaves."""
    where, outcome = told
    segment = stand.sandbox.segment
    repeats, calls = segment.duplicates, calls_of(stand, "listrak")()
    process = await stand.start()
    await moment.come(stand)
    if process.returncode is not None:
        outcome.findings.append(f"{where}: it ended by itself: {stand.last_words()}")
        return unsaved
    sending = segment.in_flight > 0
    process.kill()
    await process.wait()
    await stand.settle()
    left = stand.unsaved()
    outcome.counts["kills"] += 1
    if sending or left:
        outcome.counts["kills with events on their way"] += 1
    elif calls_of(stand, "listrak")() > calls:
        outcome.counts["kills while it read"] += 1
    else:
        outcome.counts["kills before its first call"] += 1
    if left < 0:
        outcome.findings.append(f"{where}: {-left} events are called delivered that never came")
    if (again := segment.duplicates - repeats) > unsaved:
        outcome.findings.append(f"{where}: {again} repeats, {unsaved} were on their way")
    if stand.has_crashed:
        outcome.findings.append(f"{where}: an error of its own: {stand.last_words()}")
    return left
