"""Listrak's time by evidence: which of its answers' dates are believed. Pure, without any clock.

Between two looks, time is counted by a clock of this machine that never jumps. An answer's date is
believed where it fits; where it doesn't, either it is wrong or what was believed before is:

1. It differs by no more than DIFFERENCE: clocks drift, and Dates are cut. The lower middle of the
   latest WITNESSES counts.
2. This machine's other clock, which may be set at any time, says the same, or has moved alike: two
   that know nothing of each other don't agree by chance. It is believed at once.
3. Otherwise it is doubted: one bad server, or a proxy's old answer. What was believed goes on.
4. DOUBTED_AT_LEAST answers in a row, over DOUBTED_FOR seconds, say so: it is believed. But what it
   jumped ahead is unconfirmed: until 2 confirms it, nothing is forgotten by it. Unless this
   machine's clock was WRONG_FROM off before: that one bears out and denies nothing.
5. Meanwhile it is followed wherever it goes, up to FASTEST times as fast as time: an emulated
   account's clock runs ahead for ever.
6. Where this machine's other clock is wrong for good, Listrak's answers alone confirm it: for
   STEADY_FOR seconds each agreed with the clock that never jumps, and none contradicted.
7. The first answer of all is believed, as somebody has to be; what it is ahead of a clock that was
   ever set is unconfirmed.
"""

from collections import deque
from statistics import median_low
from typing import Final, NamedTuple

import msgspec

DIFFERENCE: Final = 600.0
"""Seconds by which clocks may differ without a doubt."""

WRONG_FROM: Final = 86_400.0
"""Seconds by which a clock is off that was never set, or that runs beside an emulated account's."""

CLOSE_ENOUGH: Final = 2.0
"""Seconds of difference that count as none, as a Date header is cut to the second."""

EARLIEST: Final = 1_577_836_800.0
"""2020-01-01: the bridge is younger, so a clock that says less was never set."""

WITNESSES: Final = 5
"""Answers of which the middle counts."""

FASTEST: Final = 10_000
"""Seconds of an emulated account's clock in a second, at most."""

DOUBTED_AT_LEAST: Final = 8
DOUBTED_FOR: Final = 5.0
"""Answers in a row, and seconds from the first to the last, that are doubted before they count."""

STEADY_FOR: Final = 6 * 3600.0
"""Seconds for which answers have to agree with the clock that never jumps, without a doubt, until
what they jumped ahead counts as confirmed."""

LONGEST_GAP: Final = 3600.0
"""Seconds between two answers that count of it at most: it takes more than a few to bear it out."""


class Moment(NamedTuple):
    """A moment by this machine's clocks.

    boot: seconds since it was started, in which it slept too: they never jump.
    wall: seconds since 1970, which may be set at any time.
    """

    boot: float
    wall: float


class Anchor(msgspec.Struct, frozen=True):
    """A moment of Listrak's time as a state file keeps it, for a later start to go on from.

    boot_id: tells the starts of machines apart.
    unconfirmed, steady: as of SourceTime.
    drift: seconds by which it has slowly gone ahead, not counted in `unconfirmed` yet.
    """

    source: float
    boot: float
    wall: float
    boot_id: str
    unconfirmed: float = 0.0
    steady: float = 0.0
    drift: float = 0.0


class SourceTime:
    """Listrak's time, as far as its answers and this machine's clocks tell. Seconds since 1970.

    answers: number of those with a date.
    agreeing: those in a row, up to the latest, that were not doubted.
    doubted: those in a row, up to the latest, that were.
    doubt: seconds by which the latest of these was ahead of what is believed.
    unconfirmed: seconds of it that only Listrak's answers bear out.
    steady: seconds for which they have done so, each agreeing with the clock that never jumps.
    recalled: it went on from an anchor.
    agrees_with_wall: this machine's clock says the same.
    steps_back: how often an earlier time was believed than before.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.agreeing = 0
        self.doubted = 0
        self.doubt = 0.0
        self.unconfirmed = 0.0
        self.steady = 0.0
        self.recalled = False
        self.agrees_with_wall = False
        self.steps_back = 0
        # What is believed, less `boot`; what `unconfirmed` was last counted at, less `wall`.
        self._line: float | None = None
        self._lead: float | None = None
        self._lines: deque[float] = deque(maxlen=WITNESSES)
        self._agreed_at = 0.0
        self._doubted_since = 0.0
        self._latest = 0.0
        self._only_by_wall = 0.0
        # What `unconfirmed` was last counted at, less `boot`; up to when `steady` is counted.
        self._base = 0.0
        self._steady_at = 0.0

    def now(self, at: Moment) -> float:
        """Listrak's time; this machine's before anything is known."""
        return at.wall if self._line is None else self._line + at.boot

    def certain(self, at: Moment) -> float:
        """A time that it is at least: what is forgotten goes by it."""
        return self.now(at) - self.unconfirmed

    def recall(self, anchor: Anchor, at: Moment, boot_id: str) -> None:
        """Goes on from an anchor, before the first answer.

        1. The machine wasn't started anew: its clock that never jumps has counted.
        2. It was: the other clock tells how long that took. Only the time since the start is sure;
           nor is it counted as steady.
        3. That clock is behind the anchor, so it is wrong: nothing is known but the time since.
        """
        if anchor.boot_id == boot_id and at.boot >= anchor.boot:  # 1
            elapsed = sure = at.boot - anchor.boot
            counted = anchor.boot
        elif at.wall >= anchor.wall:  # 2
            elapsed = at.wall - anchor.wall
            sure = min(elapsed, at.boot)
            counted = at.boot
        else:  # 3
            elapsed = sure = counted = at.boot
        self.recalled = True
        self._line, self._agreed_at = anchor.source + elapsed - at.boot, at.boot
        self.steady, self._steady_at = anchor.steady, counted
        self._base = self._line - anchor.drift
        self._lead = anchor.source - anchor.drift - anchor.wall
        self._only_by_wall = elapsed - sure
        self.unconfirmed = anchor.unconfirmed + self._only_by_wall

    def anchor(self, at: Moment, boot_id: str) -> Anchor:
        """The present, for a state file to keep."""
        now = self.now(at)
        drift = 0.0 if self._line is None else self._line - self._base
        return Anchor(now, at.boot, at.wall, boot_id, self.unconfirmed, self.steady, drift)

    def testify(self, said: float, at: Moment) -> None:
        """Takes the date of an answer, in seconds since 1970, as evidence."""
        if said < EARLIEST:
            return
        self.answers += 1
        line = said - at.boot
        if self._line is None:  # 7
            self._believe(line, said, at)
            if EARLIEST <= at.wall < said - DIFFERENCE:
                self.unconfirmed = said - at.wall
        elif abs(line - self._line) <= DIFFERENCE:  # 1
            self._agree(line, said, at)
        elif self._is_confirmed(said, at):  # 2
            self._move(line, said, at, confirmed=True)
        elif self.unconfirmed and 0 < line - self._line <= FASTEST * (
            at.boot - self._agreed_at
        ):  # 5
            self._move(line, said, at, confirmed=False)
        else:
            self._doubt(line, at)  # 3
            waited = at.boot - self._doubted_since
            if self.doubted >= DOUBTED_AT_LEAST and waited >= DOUBTED_FOR:  # 4
                self._move(line, said, at, confirmed=False)

    def give_in(self, at: Moment) -> None:
        """Believes the doubted answers, if there are enough: there was no time before them."""
        if self.doubted >= DOUBTED_AT_LEAST:
            self._move(self._latest, self._latest + at.boot, at, confirmed=False)

    def _is_confirmed(self, said: float, at: Moment) -> bool:
        ahead = said - at.wall
        moved_alike = self._lead is not None and abs(ahead - self._lead) <= DIFFERENCE
        return abs(ahead) <= DIFFERENCE or moved_alike

    def _agree(self, line: float, said: float, at: Moment) -> None:
        self._lines.append(line)
        # The lower middle: its instants serve as lower bounds.
        middle = median_low(self._lines)
        wall = at.wall - at.boot
        self._line = wall if abs(middle - wall) <= CLOSE_ENOUGH else middle
        self._agreed_at = at.boot
        self.agreeing += 1
        self.doubted, self.doubt = 0, 0.0
        # What this machine's clock alone had counted is borne out.
        self.unconfirmed = max(0.0, self.unconfirmed - self._only_by_wall)
        self._only_by_wall = 0.0
        self.agrees_with_wall = abs(said - at.wall) <= DIFFERENCE
        if abs(self._line - self._base) > DIFFERENCE:
            # Little by little, as a clock that runs fast does: that is a jump as well.
            self.unconfirmed = max(0.0, self.unconfirmed + self._line - self._base)
            self._base, self.steady = self._line, 0.0
        else:
            self.steady += min(max(0.0, at.boot - self._steady_at), LONGEST_GAP)
        self._steady_at = at.boot
        if self.agrees_with_wall:
            self._base = self._line
        self._lead = self._base + at.boot - at.wall
        if self.agrees_with_wall or self.steady >= STEADY_FOR:  # 6
            self.unconfirmed = 0.0

    def _doubt(self, line: float, at: Moment) -> None:
        if not self.doubted or line < self._latest - DIFFERENCE:
            # Answers that contradict each other bear out nothing; a fast clock's go ahead.
            self.doubted, self._doubted_since = 0, at.boot
        self.doubted += 1
        self.agreeing, self.steady = 0, 0.0
        self._latest = line
        self.doubt = line - (self._line or 0.0)

    def _move(self, line: float, said: float, at: Moment, *, confirmed: bool) -> None:
        """Believes another time than before."""
        if line < (self._line or 0.0):
            self.steps_back += 1
        denied = self._lead is None or abs(self._lead - self.unconfirmed) <= WRONG_FROM
        # What this machine's clock alone had counted is borne out, as far as the answers go.
        unconfirmed = self.unconfirmed - self._only_by_wall
        if denied and not confirmed:
            unconfirmed += line - self._base
        self.unconfirmed = max(0.0, unconfirmed)
        self._only_by_wall = 0.0
        self._believe(line, said, at)

    def _believe(self, line: float, said: float, at: Moment) -> None:
        self._line = self._base = line
        self.steady, self._steady_at = 0.0, at.boot
        self._lines.clear()
        self.agreeing = 0
        self._agree(line, said, at)
