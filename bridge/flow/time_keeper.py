"""Keeps Listrak's time over restarts, tells of doubts, and has what a wrong clock left mended."""

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
import msgspec

from bridge import clock
from bridge.errors import BridgeError, TemporaryError
from bridge.flow.ledger import Ledger
from bridge.flow.message_cache import FILTER_SUPPORT
from bridge.flow.planner.watermarks import Watermarks, read_watermarks
from bridge.flow.scheduling.schedule import is_over
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, from_seconds, seconds
from bridge.output.logs import log
from bridge.source_time import DIFFERENCE, DOUBTED_AT_LEAST, EARLIEST, Anchor
from bridge.state.store import Store

CLOCK: Final = "clock"
"""The name under which the state file keeps an anchor of Listrak's time."""

WAITING: Final = "waiting"
"""The name under which it keeps one of the clock for what waits."""

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks at what the clocks tell."""

SAVE_INTERVAL: Final = 600.0
"""Seconds between two anchors, so that a restart on another machine knows the time by and large."""

MOST_QUESTIONS: Final = 3 * DOUBTED_AT_LEAST
"""Answers that are asked for at a start at most, until it is clear what to believe."""

AGREED: Final = "Listrak's clock and this machine's agree again"
STEADY: Final = (
    "Listrak's answers have told one time steadily for hours, so it counts; this machine's clock "
    "is wrong: set it (NTP)"
)

TOLD_FROM: Final = 3
"""Doubted answers in a row from which on it is told."""

CALM_AFTER: Final = 600.0
"""Seconds without a doubt after which it is told that there is none, where this machine's clock
doesn't bear that out: an emulated one that runs fast gives cause for a doubt every few seconds."""


class TimeKeeper:
    """The keeper of Listrak's time, for one run of the service.

    track: seconds that a send is tracked.
    horizon_at: the start horizon of a list that is first read at a time; None where a person fixed
        it, which may be at a time that is to come.
    """

    def __init__(
        self,
        ledger: Ledger,
        listrak: Listrak,
        track: float,
        horizon_at: Callable[[float], Instant] | None = None,
    ) -> None:
        self.ledger = ledger
        self._listrak = listrak
        self._track = track
        self._horizon_at = horizon_at
        self._time = listrak.clock.evidence
        self._mended_steps = 0
        self._saved = (0.0, 0.0)
        self._told = False
        self._doubted_at = 0.0

    async def recall(self) -> None:
        """Goes on from what the state file remembers; to be called before the first request."""
        store = self.ledger.store
        if anchor := await _anchor(store, CLOCK):
            self._time.recall(anchor, clock.moment(), clock.boot_id())
        latest = await store.unsubscribes.latest_noted()
        waited = await _anchor(store, WAITING)
        store.waiting.go_on(waited, latest)
        if waited is None:
            # Whatever this machine's clock is set to from now on, it counts from here.
            await self.ledger.commit(_save_waiting)

    async def ascertain(self) -> None:
        """Returns when it is clear what time it is, as far as that can be; mends, and saves it.

        Where the first answers and this machine's clock disagree, a few more are asked for. Raises
        TemporaryError where no clock tells the time.
        """
        time = self._time
        for _ in range(MOST_QUESTIONS):
            enough = 1 if time.recalled else DOUBTED_AT_LEAST
            if time.agrees_with_wall or time.agreeing >= enough or not time.answers:
                break
            if time.doubted >= DOUBTED_AT_LEAST:
                time.give_in(clock.moment())
                break
            try:
                await self._listrak.lists()
            except BridgeError as error:
                log.info("clock.not_asked", reason=str(error))
                break
        if self._listrak.clock.now() < EARLIEST:
            raise TemporaryError(
                "this machine's clock was never set, and no answer of Listrak's tells the time: "
                "set it, and see to it that it is set at each start (NTP)"
            )
        self._tell()
        await self._mend()
        await self.ledger.commit(self._save)

    async def run(self, turn: anyio.Event) -> None:
        """Tells of doubts, and saves anchors, until an earlier time is believed than before.

        Then sets `turn`, as what was saved meanwhile has to be mended.
        """
        saved_at = clock.boot_time()
        while self._time.steps_back == self._mended_steps:
            await anyio.sleep(LOOK_INTERVAL)
            self._tell()
            is_due = clock.boot_time() - saved_at >= SAVE_INTERVAL
            if is_due or self._saved != self._state():
                saved_at = clock.boot_time()
                await self._resume_or_forget(all_of_them=False)
                self.ledger.enqueue(self._save)
        turn.set()

    def _state(self) -> tuple[float, float]:
        # An anchor holds as long as neither changes: time goes on by itself.
        return self._time.unconfirmed, float(self._time.steps_back)

    async def _save(self, store: Store) -> None:
        self._saved = self._state()
        anchor = self._time.anchor(clock.moment(), clock.boot_id())
        await store.meta.set(CLOCK, msgspec.json.encode(anchor).decode())
        await _save_waiting(store)

    def _tell(self) -> None:
        time = self._time
        doubted = time.doubted >= TOLD_FROM
        if doubted or time.unconfirmed > DIFFERENCE:
            self._doubted_at = clock.boot_time()
            if not self._told:
                log.warning(
                    "clock.distrusted",
                    ahead=round(time.doubt if doubted else time.unconfirmed),
                    note="Listrak's answers tell a time that this machine's clock doesn't bear "
                    "out. All goes on; until it does, what ends by that time is kept",
                )
            self._told = True
        elif self._told:
            calm = clock.boot_time() - self._doubted_at >= CALM_AFTER
            if time.agrees_with_wall or calm:
                self._told = False
                log.info("clock.trusted", note=AGREED if time.agrees_with_wall else STEADY)

    async def _mend(self) -> None:
        """Replaces stored times that are still to come, and undoes what was done by such a time."""
        went_back = self._time.steps_back != self._mended_steps
        self._mended_steps = self._time.steps_back
        await self._resume_or_forget(all_of_them=went_back)
        if went_back:
            await self.ledger.commit(lambda store: store.future_times.lower_floors())
        await self._mend_horizons()
        limit = self._listrak.clock.now() + DIFFERENCE
        if not await self.ledger.store.future_times.any_after(limit):
            return

        async def work(store: Store) -> None:
            await store.future_times.forget(limit)
            await store.meta.set(FILTER_SUPPORT, "{}")
            for message, text in await store.future_times.watermarks():
                watermarks = read_watermarks(text)
                if clamp(watermarks, limit):
                    await store.future_times.replace_watermarks(message, watermarks.text())

        await self.ledger.commit(work)
        log.warning(
            "clock.mended",
            note="the state file had times that are still to come, as a clock was wrong: what they "
            "may have hidden is read again",
        )

    async def _mend_horizons(self) -> None:
        """Replaces start horizons that are still to come, where both clocks say that they are."""
        if self._horizon_at is None or self._time.unconfirmed or not self._time.agrees_with_wall:
            return
        now = self._listrak.clock.now()
        times_of = self.ledger.store.future_times
        latest, horizon = from_seconds(now + DIFFERENCE), self._horizon_at(now)
        lists = await times_of.lists_beginning_after(latest)
        if not lists:
            return
        tracked_from = from_seconds(seconds(horizon) - self._track)
        await self.ledger.commit(
            lambda store: store.future_times.lower_horizons(latest, horizon, tracked_from)
        )
        log.warning(
            "clock.horizon_mended",
            lists=lists,
            horizon=horizon,
            note="their start horizon was still to come, as a clock was wrong when they were first "
            "read: it is this one now. What happened from then until it is brought by "
            "`listrak-bridge backfill --since`, but for unsubscribes",
        )

    async def _resume_or_forget(self, *, all_of_them: bool) -> None:
        """Tracks suspended messages again if they aren't over, forgets those that surely are.

        all_of_them: they are all tracked again, as the time by which they were over was wrong.
        """
        now, certain = self._listrak.clock.now(), self._listrak.clock.certain()
        for message in await self.ledger.store.messages.suspended():
            if all_of_them or not is_over(message, self._track, now):
                await self.ledger.commit(partial(_resume, message.id))
            elif is_over(message, self._track, certain):
                await self.ledger.commit(partial(_untrack, message.id))


def clamp(watermarks: Watermarks, limit: float) -> bool:
    """Takes back what was noted at times later than a limit; tells whether there was any."""
    found = (watermarks.read_until or 0.0) > limit
    if found:
        watermarks.read_until = 0.0
    for watermark in watermarks.by_event.values():
        times = (watermark.reconciled_at, watermark.complete_until, watermark.pending_at)
        attempts = [attempt.started_at for attempt in watermark.attempts]
        if max(*times, *attempts) <= limit:
            continue
        found = True
        watermark.reconciled_at = watermark.complete_until = watermark.pending_at = 0.0
        for attempt in watermark.attempts:
            attempt.started_at = 0.0
    if found:
        watermarks.link_clicks.clear()
    return found


async def _resume(message: int, store: Store) -> None:
    await store.messages.resume(message)


async def _untrack(message: int, store: Store) -> None:
    await store.messages.untrack(message)


async def _save_waiting(store: Store) -> None:
    await store.meta.set(WAITING, msgspec.json.encode(store.waiting.anchor()).decode())


async def _anchor(store: Store, name: str) -> Anchor | None:
    text = await store.meta.get(name)
    try:
        return None if text is None else msgspec.json.decode(text, type=Anchor)
    except msgspec.DecodeError:
        # Without one it is as at a first start.
        return None
