"""What follows from a look that is complete: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.flow.scans.case import Case, Plan
from bridge.flow.scans.step import LADDERS, TRACKED, WHOLE, Step
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import EXACT, Numbers, Watch, Watching, copy_of
from bridge.vocabulary import CLICKED, SPAM

GIVE_UP_AFTER: Final = 3
"""Whole looks in a row that don't find what Listrak counts, until it is taken for never shown."""


class Lesson(NamedTuple):
    """What was learned of a step: it `found` something, did `miss` it, or is a `proof`."""

    what: str
    step: Step


@dataclass(frozen=True)
class Outcome:
    """What is known after a look.

    `agrees`: whether all that Listrak counted was seen. `unshown`: by event, what it counts and
    never shows (below 0 where it shows more), where that was found out by this look.
    """

    watching: Watching
    agrees: bool
    lessons: list[Lesson] = field(default_factory=list)
    unshown: dict[str, float] = field(default_factory=dict)


def settle(case: Case, done: Plan, rows: Mapping[str, int], seen: Numbers) -> Outcome:
    """What follows from a look that is complete.

    `case` is as it was when the look began, `done` what was read in truth, `rows` how many rows of
    each step, `seen` what is seen by now.
    """
    watching = copy_of(case.watching)
    agrees = all(
        watching.watch(event).lacking(counted, seen.get(event, 0)) == 0
        for event, counted in case.counted.items()
        if event not in case.ignore
    )
    outcome = Outcome(watching, agrees)
    names = {scan.step.name for scan in done.scans}
    for event, ladder in LADDERS[case.message.kind].items():
        if event in case.ignore:
            continue
        numbers = [
            number
            for number, step in enumerate(ladder)
            if done.whole or step.name in names or (TRACKED in names and step.name != WHOLE)
        ]
        if TRACKED in names and event == CLICKED and case.message.kind != "transactional":
            numbers = [number for number in numbers if ladder[number].name in names]
        if numbers:
            _settle_event(case, done, rows, seen, outcome, event, numbers)
    return outcome


def _settle_event(
    case: Case,
    done: Plan,
    rows: Mapping[str, int],
    seen: Numbers,
    outcome: Outcome,
    event: str,
    numbers: list[int],
) -> None:
    """What follows for one event, of whose ladder the steps with those numbers were done."""
    watch = outcome.watching.watch(event)
    ladder = LADDERS[case.message.kind][event]
    top = max(numbers)
    found = seen.get(event, 0) - case.seen.get(event, 0)
    first = case.message.looked_at is None
    if not first:
        outcome.lessons.extend(_lessons(case, watch, event, top, found))
    counted = case.counted.get(event)
    lack = 0.0 if counted is None else watch.lacking(counted, seen.get(event, 0))
    watch.counted = -1.0 if counted is None else counted
    for number in numbers:
        attempt = watch.attempt(number)
        attempt.at = case.now
        attempt.left = max(lack, 0.0)
        attempt.rows = rows.get(ladder[number].name, attempt.rows)
        attempt.misses = attempt.misses + 1 if lack > 0 and found < EXACT else 0
    if counted is None:
        if any(ladder[number].recent or not ladder[number].only for number in numbers):
            watch.proven_at = case.now
        if done.whole or ladder[top].only or ladder[top].name == TRACKED:
            watch.agreed_at = case.now
        return
    if lack > 0 and done.whole:
        if _is_not_shown(case, watch, top, first=first):
            watch.base += lack
            lack = 0.0
        if not first and (lack == 0.0 or case.last):
            outcome.unshown[event] = watch.base + lack
    if lack < 0 and done.whole and case.last:
        outcome.unshown[event] = lack
    if lack > 0:
        watch.mark(case.now, counted, seen.get(event, 0), whole=done.whole)
    else:
        watch.agree(case.now)
    if watch.base > 0:
        # What it counted and didn't show turned up after all, or a part of it.
        watch.base = max(0.0, min(watch.base, counted - seen.get(event, 0)))


def _is_not_shown(case: Case, watch: Watch, top: int, *, first: bool) -> bool:
    """Whether what a whole look didn't find is taken for what isn't there."""
    if first:
        # Of what goes on sending, Listrak counts all sends there ever were.
        return case.message.kind != "broadcast"
    return watch.attempt(top).misses >= GIVE_UP_AFTER


def _lessons(case: Case, watch: Watch, event: str, top: int, found: float) -> list[Lesson]:
    ladder = LADDERS[case.message.kind][event]
    lessons: list[Lesson] = []
    if found >= EXACT:
        # What was counted since may have been found as well by what was tried before.
        since = case.counted.get(event, 0.0) - max(watch.counted, 0.0)
        lessons = [
            Lesson("miss", ladder[number])
            for number in range(top)
            # Of older sends a scan of a day's is not to find anything.
            if watch.attempt(number).misses and found - since >= EXACT and not ladder[number].within
        ]
        lessons.append(Lesson("found", ladder[top]))
    if top and event == SPAM and watch.attempt(0).at:
        if found >= EXACT and watch.attempt(0).at > watch.attempt(1).at:
            lessons.append(Lesson("miss", ladder[0]))
        elif case.seen.get(event, 0) > 0:
            lessons.append(Lesson("proof", ladder[0]))
    return lessons


def learn(trust: Trust, case: Case, lessons: list[Lesson]) -> None:
    """Takes lessons to heart."""
    kind = case.message.kind
    for lesson in lessons:
        match lesson.what:
            case "found":
                trust.found(kind, lesson.step)
            case "miss":
                trust.miss(kind, lesson.step, case.now)
            case "proof":
                trust.prove(kind, lesson.step, case.now)
