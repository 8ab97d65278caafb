"""Decides what is to be read of a message, and what follows from what was found: pure functions.

A counter that moved says how much there is to be found, and the narrowest scan that may find it is
done first. What it leaves unexplained is looked for by the next step, as soon as what that costs
(the rows it will read) stands in a proportion to what is missing, or once it was waited for long
enough. Where all that Listrak counts was seen, nothing is read at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.flow import scheduler
from bridge.flow.scans.step import (
    ABUSE,
    ALL_CLICKS,
    BOUNCE,
    CLICK,
    CONVERSION,
    DAY,
    LADDERS,
    MINUTE,
    OPEN,
    TRACKED,
    UNSUBSCRIBE,
    WHOLE,
    Step,
)
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import EXACT, Numbers, Watch, Watching, copy_of
from bridge.listrak import wire
from bridge.state.records import Message
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM, UNSUBSCRIBED

ROWS_FOR_ONE: Final = 20
"""Rows that may be read again to find one event sooner."""

SMALL: Final = 1 / 50
"""Of a page: rows that count for nothing, as a call for fewer is a call all the same."""

REACH: Final = 15.0
"""Seconds by which a recent scan begins before the latest proof: clocks differ."""

RETRY: Final = 5 * MINUTE
"""Seconds until a scan that found nothing is done again: rows may appear later than they count."""

MARGIN: Final = 2 * DAY
"""Seconds by which a scan of all tracked sends begins earlier."""

GIVE_UP_AFTER: Final = 3
"""Whole looks in a row that don't find what Listrak counts, until it is taken for never shown."""

_EVENTS: Final = {
    OPEN: OPENED,
    BOUNCE: BOUNCED,
    ABUSE: SPAM,
    UNSUBSCRIBE: UNSUBSCRIBED,
    CONVERSION: CONVERTED,
    CLICK: CLICKED,
}


class Scan(NamedTuple):
    """A step that is due: `since` in seconds since 1970, None for from the beginning."""

    step: Step
    since: float | None = None
    only: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be read: everything, or some scans."""

    whole: bool = False
    scans: tuple[Scan, ...] = ()

    def __bool__(self) -> bool:
        return self.whole or bool(self.scans)


@dataclass(frozen=True)
class Case:
    """A message at a time: what Listrak counts (nothing where it has no Summary), what was seen.

    `now` in seconds since 1970; `track`: seconds that a send is tracked; `page`: rows of a page;
    `ignore`: events that nobody wants to be looked for; `last`: it is about to be given up.
    """

    message: Message
    counted: Numbers
    seen: Numbers
    watching: Watching
    trust: Trust
    now: float
    track: float
    page: int = wire.MOST_ROWS
    ignore: frozenset[str] = frozenset()
    last: bool = False

    @property
    def age(self) -> float:
        """Seconds; see the scheduler."""
        return scheduler.age(self.message, self.now)

    @property
    def size(self) -> float:
        """Rows of the whole message."""
        return max(self.counted.get(SENT, 0), self.seen.get(SENT, 0))

    @property
    def small(self) -> float:
        """Rows that count for nothing."""
        return self.page * SMALL

    def ladder(self, event: str) -> list[tuple[int, Step]]:
        """The steps that may be of use, with their numbers."""
        kind = self.message.kind
        return [
            (number, step)
            for number, step in enumerate(LADDERS[kind][event])
            if step.within or self.trust.useful(kind, step, self.now)
        ]

    def cost(self, event: str, number: int, step: Step) -> float:
        """Rows that a step will read, as far as one can tell."""
        watch = self.watching.watch(event)
        if step.recent:
            # What it will read is what moved, and little more.
            return 0 if watch.proven_at else self.size
        if step.name in (WHOLE, TRACKED):
            return self.size
        attempt = watch.attempt(number)
        if attempt.rows:
            return attempt.rows
        shown = _EVENTS[step.only] if step.only else event
        return max(self.counted.get(shown, 0), self.seen.get(shown, 0))


def plan(case: Case) -> Plan:
    """What is to be read now. Notes in `case.watching` which counters agree."""
    message = case.message
    if message.looked_at is None or message.asked:
        return Plan(whole=True)
    if not case.counted and case.size <= case.small:
        # One call reads all there is.
        return Plan(whole=True)
    due = {
        event: number
        for event in LADDERS[message.kind]
        if event not in case.ignore and (number := _due(case, event)) is not None
    }
    if case.last and (not case.counted or _doubtful(case)):
        return Plan(whole=True)
    scans: dict[str, Scan] = {}
    if case.last:
        due[SPAM] = 0
    for event, number in due.items():
        step = LADDERS[message.kind][event][number]
        if step.name == WHOLE:
            return Plan(whole=True)
        scan = _scan(case, event, step)
        other = scans.get(step.name)
        if other is None or _earlier(scan, other):
            scans[step.name] = scan
    if TRACKED in scans:
        scans = {name: scan for name, scan in scans.items() if name == TRACKED or scan.step.clicks}
    return Plan(scans=tuple(scans.values()))


def _due(case: Case, event: str) -> int | None:
    """The number of the step that is to be done for an event, None if none is."""
    watch = case.watching.watch(event)
    if event not in case.counted:
        return _due_by_clock(case, event, watch)
    counted = case.counted[event]
    lack = watch.lacking(counted, case.seen.get(event, 0))
    if lack == 0:
        watch.agree(case.now)
        return None
    steps = case.ladder(event)
    if lack < 0:
        # More was seen than is counted: it lags behind, or counts otherwise.
        moved = counted - watch.counted > EXACT
        return steps[0][0] if moved else _due_by_clock(case, event, watch)
    for number, step in steps:
        attempt = watch.attempt(number)
        missing = lack - attempt.left
        waited = case.now - max(watch.agreed_at, attempt.at)
        if missing < EXACT:
            if step.recent and lack <= watch.left:
                continue
            if waited >= watch.patience(number, max(step.patience, RETRY), case.age):
                return number
        elif case.cost(event, number, step) <= _worth(
            case, event, missing
        ) or waited >= watch.patience(number, step.patience, case.age):
            return number
    return None


def _worth(case: Case, event: str, missing: float) -> float:
    """Rows that may be read to find what is missing."""
    # Of orders, what is missing is an amount: there is one at least.
    return case.small + ROWS_FOR_ONE * (1 if event == CONVERTED else missing)


def _due_by_clock(case: Case, event: str, watch: Watch) -> int | None:
    """The widest step whose time has come, for events that nothing counts."""
    steps = case.ladder(event)
    due: int | None = None
    for place, (number, step) in enumerate(steps):
        waited = case.now - watch.attempt(number).at
        if step.recent:
            wait = 0.0
        elif step.name not in (WHOLE, TRACKED, ALL_CLICKS):
            wait = step.patience
        elif place and case.trust.proven(case.message.kind, steps[0][1], case.now):
            continue
        else:
            wait = max(step.patience, case.age / 4)
        if waited >= wait:
            due = number
    return due


def _doubtful(case: Case) -> bool:
    """Whether anything is left to be found in a message that is about to be given up."""
    differs = any(
        case.watching.watch(event).lacking(counted, case.seen.get(event, 0)) != 0
        for event, counted in case.counted.items()
        if event not in case.ignore
    )
    complaints = LADDERS[case.message.kind][SPAM][0]
    kind, now = case.message.kind, case.now
    return (
        differs
        or not case.trust.useful(kind, complaints, now)
        or not case.trust.proven(kind, complaints, now)
    )


def _scan(case: Case, event: str, step: Step) -> Scan:
    since: float | None = None
    if step.recent:
        proven = case.watching.watch(event).proven_at
        since = proven - REACH if proven else None
    elif step.within:
        since = case.now - step.within
    elif step.tracked and case.message.kind != "broadcast":
        since = case.now - case.track - MARGIN
    # Sends of a day are few enough to be read whole, where nothing filters them.
    only = step.only if step.only and case.trust.understood(step.only, case.now) else None
    return Scan(step, since, only)


def _earlier(scan: Scan, other: Scan) -> bool:
    return other.since is not None and (scan.since is None or scan.since < other.since)


class Lesson(NamedTuple):
    """What was learned of a step: it `found` something, did `miss` it, or is a `proof`."""

    what: str
    step: Step


@dataclass(frozen=True)
class Outcome:
    """What is known after a look.

    `agrees`: whether all that Listrak counted was seen. `unshown`: by event, what it counts and
    never shows, where that was found out by this look.
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
            _settle_event(case, done, rows, seen, outcome, event, max(numbers))
    return outcome


def _settle_event(
    case: Case,
    done: Plan,
    rows: Mapping[str, int],
    seen: Numbers,
    outcome: Outcome,
    event: str,
    top: int,
) -> None:
    watch = outcome.watching.watch(event)
    ladder = LADDERS[case.message.kind][event]
    found = seen.get(event, 0) - case.seen.get(event, 0)
    first = case.message.looked_at is None
    if not first:
        outcome.lessons.extend(_lessons(case, watch, event, top, found))
    counted = case.counted.get(event)
    lack = 0.0 if counted is None else watch.lacking(counted, seen.get(event, 0))
    watch.counted = -1.0 if counted is None else counted
    for number in range(top + 1):
        attempt = watch.attempt(number)
        attempt.at = case.now
        attempt.left = max(lack, 0.0)
        attempt.rows = rows.get(ladder[number].name, attempt.rows)
        attempt.misses = attempt.misses + 1 if lack > 0 and found < EXACT else 0
    if counted is None:
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
            if watch.attempt(number).misses and found - since >= EXACT
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
