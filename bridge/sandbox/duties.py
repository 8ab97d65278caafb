"""The rules of what a history of looks and backfills had to send of one happening: pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from .account import Kind
from .evidence import Duty
from .history import Backfill, ListHistory, Look, Step

GRACE = timedelta(days=1)
"""The time around an end of what is read, in which a send may be read or not."""

WEEK = timedelta(days=8)
"""The time by which a send of what goes on sending may be forgotten later than it might be.

That is done by whole weeks of local days."""

Shown = Callable[[datetime], frozenset[datetime]]


class Happening(NamedTuple):
    """One event of the world, as far as the rules go.

    event: the name of the track event.
    at: the true instant.
    shown: given an instant, all that the event may then be dated by, in the zone in which the
        list's start horizon was fixed.
    shown_ever: likewise, in any zone that was configured.
    exact: it has a date of its own, else that of the row's first activity.
    sent: what its send may be dated by, in any zone; of clicks in conversations, the click.
    kind: of the message.
    dated: its message shows a send date; else it is read whenever it was sent.
    """

    event: str
    at: datetime
    shown: Shown
    shown_ever: Shown
    exact: bool
    sent: frozenset[datetime]
    kind: Kind
    dated: bool

    @property
    def ends(self) -> bool:
        """Tells whether it is known in advance when its message is over."""
        return self.kind == "message" and self.dated


@dataclass(frozen=True)
class Due:
    """The duty of sending a happening.

    steps: those that may have sent it.
    reason: why, as the rest of a sentence.
    """

    duty: Duty
    steps: tuple[Step, ...]
    reason: str

    def or_else(self, other: Due) -> Due:
        """The better of this and another, open to the steps of both."""
        if other.duty is Duty.FORBIDDEN:
            return self
        if self.duty is Duty.FORBIDDEN:
            return other
        best = max(self, other, key=lambda due: due.duty)
        return replace(best, steps=(*self.steps, *other.steps))


def due_of(happening: Happening, history: ListHistory) -> Due:
    """Decides about a happening, in these cases:

    1. No look came after it: nothing.
    2. The first look that did decides: see `_due_at_look`.
    3. What that need not send, a later backfill may have to: see `_due_at_backfill`.
    """
    seen = history.look_after(happening.at)
    if seen is None:
        return _forbidden("no look came after it")
    place, look = seen
    due = _due_at_look(happening, history, place, look)
    # Backfills go on from where earlier ones that wanted the event have begun.
    covered = history.horizon
    for number, backfill in history.backfills:
        if due.duty is Duty.REQUIRED or number < place:
            continue
        if backfill.withheld:
            due = due.or_else(_due_of_withheld(happening, history, place, (number, backfill)))
        elif happening.event not in backfill.configuration.events:
            continue
        elif backfill.since is not None and backfill.since < covered:
            window = (backfill.since, covered)
            due = due.or_else(_due_of_history(happening, history, window, (number, backfill)))
            covered = backfill.since
    return due


def _due_at_look(happening: Happening, history: ListHistory, place: int, look: Look) -> Due:
    """Decides about the first look after a happening, in these cases:

    1. From before the horizon: nothing.
    2. Not wanted here, whatever looks before or after it want: nothing.
    3. Of a send that was forgotten, or never tracked: see `due_if_forgotten`.
    4. By its dates it is from before or after the horizon, as the API shows the first activity
       only: as it likes at the list's first look, afterwards it is known to be new. As it likes at
       any look where the horizon was fixed in another zone, which puts new things before it.
    5. Else it must be sent.
    """
    horizon = history.horizon
    before = history.look_before(place)
    instants = happening.shown(look.at)
    if max(instants) < horizon and (happening.exact or before is None):
        return _forbidden(f"it is from before the start horizon {horizon.isoformat()}")
    if happening.event not in look.configuration.events:
        return _forbidden(f"{look} didn't want it")
    forgotten = due_if_forgotten(happening, history, place, look)
    if forgotten is not None:
        return forgotten
    is_open = happening.exact or before is None or history.began_in_another_zone
    if min(instants) < horizon and is_open:
        return Due(Duty.OPTIONAL, (look,), f"around the horizon {horizon.isoformat()}, at {look}")
    since = f"after the horizon {horizon.isoformat()}"
    return Due(Duty.REQUIRED, (look,), f"{since}, its send remembered and it wanted, {look} saw it")


def due_if_forgotten(
    happening: Happening, history: ListHistory, place: float, step: Step
) -> Due | None:
    """Decides about a send that isn't remembered at a step; None where it is.

    What goes on sending is forgotten by whole weeks, later than it need be, so that is open; a
    broadcast ends with the first complete look after its time.
    """
    started = history.horizon - history.looks[0][1].configuration.track
    if max(happening.sent) < started:
        reason = f"its send was over by the horizon, {history.horizon.isoformat()}"
        if happening.ends and max(happening.sent) < started - GRACE:
            return _forbidden(reason)
        return Due(Duty.OPTIONAL, (step,), reason)
    looks = [history.forgetting_look(sent, place) for sent in happening.sent]
    if all(look is None for look in looks):
        return None
    look = next(look for look in looks if look is not None)
    reason = f"its send was over by {look}, for which {look.configuration.track_days:g} days count"
    if happening.ends and all(looks):
        return _forbidden(reason)
    return Due(Duty.OPTIONAL, (step,), reason)


def _due_of_withheld(
    happening: Happening, history: ListHistory, place: int, run: tuple[int, Backfill]
) -> Due:
    """Decides about a backfill of what wasn't wanted, in these cases:

    1. It doesn't want it either, or asks for later things only: nothing.
    2. It was not withheld at the look that saw it, or is from before the horizon: nothing.
    3. The send was forgotten since: see `due_if_forgotten`.
    4. Else it must be sent.
    """
    number, backfill = run
    look = dict(history.looks)[place]
    before = history.look_before(place)
    withheld = happening.event not in look.configuration.events
    instants = happening.shown(look.at)
    if backfill.since is not None:
        instants |= happening.shown_ever(look.at)
    earliest = max(history.horizon, backfill.since or history.horizon)
    if not (withheld and happening.event in backfill.configuration.events):
        return _forbidden(f"{backfill} didn't bring it")
    if max(instants) < earliest:
        return _forbidden(f"{backfill} asked for what came after it")
    for at, step in ((place, look), (number, backfill)):
        forgotten = due_if_forgotten(happening, history, at, step)
        if forgotten is not None:
            return replace(forgotten, steps=(backfill,) if forgotten.steps else ())
    if min(instants) < earliest and (happening.exact or before is None or backfill.since):
        return Due(Duty.OPTIONAL, (backfill,), f"around the instant asked for by {backfill}")
    reason = f"withheld at {look}, its send remembered and it wanted, it was for {backfill} to send"
    return Due(Duty.REQUIRED, (backfill,), reason)


def _due_of_history(
    happening: Happening,
    history: ListHistory,
    window: tuple[datetime, datetime],
    run: tuple[int, Backfill],
) -> Due:
    """Decides about a backfill of the time before the horizon, in these cases:

    1. The happening isn't of the time that is asked for: nothing.
    2. Tracked once and forgotten since: nobody knows what was sent, so that is open; likewise a
       send from so long before that it isn't read.
    3. Else it must be sent.
    """
    number, backfill = run
    since, before = window
    within = [since <= instant < before for instant in happening.shown_ever(backfill.at)]
    if not any(within):
        return _forbidden(f"it is nothing of what {backfill} asked for")
    started = history.horizon - history.looks[0][1].configuration.track
    margin = GRACE if happening.kind == "message" else WEEK
    if max(happening.sent) < started - margin:
        known = min(happening.sent) >= since - backfill.configuration.track + GRACE
    else:
        known = all(history.forgetting_look(sent, number) is None for sent in happening.sent)
    if not (all(within) and known):
        return Due(Duty.OPTIONAL, (backfill,), f"{backfill} can't tell")
    return Due(Duty.REQUIRED, (backfill,), f"from after {since.isoformat()}, {backfill} asked for")


def _forbidden(reason: str) -> Due:
    return Due(Duty.FORBIDDEN, (), reason)
