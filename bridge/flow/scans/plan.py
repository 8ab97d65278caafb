"""Decides what is to be read of a message: a pure function of what is known and of the time.

A counter that moved says how much there is to be found, and the narrowest scan that may find it is
done first. What it leaves unexplained is looked for by the next step, as soon as what that costs
(the rows it will read) stands in a proportion to what is missing, or once it was waited for long
enough. Where all that Listrak counts was seen, nothing is read at all.
"""

import math
from typing import Final

from bridge.flow.scans.case import Case, Plan, Scan
from bridge.flow.scans.step import ALL_CLICKS, DAY, LADDERS, MINUTE, TRACKED, WHOLE, Step
from bridge.flow.scans.watch import EXACT, Watch
from bridge.vocabulary import CONVERTED, SENT, SPAM

ROWS_FOR_ONE: Final = 20
"""Rows that may be read again to find one event sooner."""

REACH: Final = 15.0
"""Seconds by which a recent scan begins before the latest proof: clocks differ."""

RETRY: Final = 5 * MINUTE
"""Seconds until a scan that found nothing is done again: rows may appear later than they count."""

ASSURED_FOR: Final = 7 * DAY
"""Seconds until all tracked rows of what goes on sending are read again, agree or not."""

MARGIN: Final = 2 * DAY
"""Seconds by which a scan of all tracked sends begins earlier."""


def plan(case: Case, *, whole: bool = False) -> Plan:
    """What is to be read now: the `whole` message where somebody wants that.

    Notes in `case.watching` which counters agree.
    """
    message = case.message
    if whole or message.looked_at is None or message.asked:
        return _whole(case)
    if not case.counted and case.size <= case.small:
        # One call reads all there is.
        return _whole(case)
    due = {
        event: number
        for event in LADDERS[message.kind]
        if event not in case.ignore and (number := _due(case, event)) is not None
    }
    if case.last and _doubtful(case):
        return _whole(case)
    scans: dict[str, Scan] = {}
    rows = 0.0
    if case.last:
        due[SPAM] = 0
    for event, number in due.items():
        step = LADDERS[message.kind][event][number]
        if step.name == WHOLE:
            return _whole(case)
        rows += case.cost(event, number, step)
        scan = _scan(case, event, step)
        other = scans.get(step.name)
        if other is None or _earlier(scan, other):
            scans[step.name] = scan
    if TRACKED in scans:
        scans = {name: scan for name, scan in scans.items() if name == TRACKED or scan.step.clicks}
    return Plan(scans=tuple(scans.values()), rows=rows)


def _whole(case: Case) -> Plan:
    known = bool(case.counted) or case.message.looked_at is not None
    return Plan(whole=True, rows=case.size if known else math.inf)


def _due(case: Case, event: str) -> int | None:
    """The number of the step that is to be done for an event, None if none is."""
    watch = case.watching.watch(event)
    if event not in case.counted:
        return _due_by_clock(case, event, watch)
    counted = case.counted[event]
    lack = watch.lacking(counted, case.seen.get(event, 0))
    if lack == 0:
        watch.agree(case.now)
        return _due_for_assurance(case, event, watch)
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


def _due_for_assurance(case: Case, event: str, watch: Watch) -> int | None:
    """The step that shows now and then that counters which agree are right.

    A counter that is off may hide what is missing. Before a message is given up it has a proof of
    its own; those that go on sending never are, and are few rows.
    """
    if case.message.kind == "broadcast" or event != SENT:
        return None
    all_rows = [number for number, step in case.ladder(event) if step.name in (WHOLE, TRACKED)]
    assured_at = max(watch.attempt(number).at for number in all_rows)
    return all_rows[0] if case.now - assured_at >= ASSURED_FOR else None


def _worth(case: Case, event: str, missing: float) -> float:
    """Rows that may be read to find what is missing."""
    # Of orders, what is missing is an amount: there is one at least.
    return case.small + ROWS_FOR_ONE * (1 if event == CONVERTED else missing)


def _due_by_clock(case: Case, event: str, watch: Watch) -> int | None:
    """The widest step whose time has come, for events that nothing counts, or not reliably."""
    steps = case.ladder(event)
    due: int | None = None
    for place, (number, step) in enumerate(steps):
        waited = case.now - watch.attempt(number).at
        if step.recent and event in case.counted:
            # What happened since will move the counter.
            continue
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
    """Whether anything may be left to be found in a message that is about to be given up."""
    kind, now = case.message.kind, case.now
    to_be_shown = LADDERS[kind].keys() - case.ignore - {SPAM}
    differs = any(
        case.watching.watch(event).lacking(case.counted[event], case.seen.get(event, 0)) != 0
        for event in to_be_shown & case.counted.keys()
    )
    complaints = LADDERS[kind][SPAM][0]
    return (
        differs
        or not to_be_shown <= case.counted.keys()
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
