"""Asks what Listrak counts of a message, and has read what that calls for."""

from collections.abc import Mapping
from typing import Final

import msgspec

from bridge.errors import BridgeError, MissingError
from bridge.flow.ledger import Ledger
from bridge.flow.look import Look, floor_of
from bridge.flow.readers.rows import RowReader
from bridge.flow.reconciliation import Comparison, counted_of, seen_of
from bridge.flow.scans.case import Case
from bridge.flow.scans.outcome import learn
from bridge.flow.scans.plan import plan
from bridge.flow.scans.survey import Survey
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import LATE, Watching, watching_of
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant
from bridge.state.keys import KnownKeys
from bridge.state.records import EventCount, Message
from bridge.telemetry import log
from bridge.vocabulary import CLICKED, UNSUBSCRIBED

TRUST: Final = "trust"
"""The name under which the state file keeps what the account has shown of its filters."""


class MessageReader:
    """Begins looks and learns from them. Raises what the Listrak client raises."""

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        rows: RowReader,
        *,
        horizon: Instant,
        track: float,
        wanted: frozenset[str],
        comparison: Comparison,
        page_rows: int = wire.MOST_ROWS,
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._rows = rows
        self._horizon = horizon
        self._track = track
        self._wanted = wanted
        self._comparison = comparison
        self._page_rows = page_rows
        self._trust: Trust | None = None
        self._trust_saved = ""
        self._watchings: dict[int, Watching] = {}
        self._counts: dict[int, Mapping[str, EventCount]] = {}

    async def ask(
        self, message: Message, *, full: bool = False, last: bool = False
    ) -> Survey | None:
        """Asks what Listrak counts of a message: what is to be read for that, None for nothing.

        `full`: everything is. `last`: the message is about to be given up.
        """
        started = self._listrak.clock.now()
        begun = await self._ledger.store.looks.open_one(message.id)
        if begun is None:
            summary, position = await self._summary(message), list[str | int | None]()
        else:
            started, text, position = begun
            summary = msgspec.json.decode(text, type=wire.Summary) if text else None
        counts = await self._counts_of(message)
        if summary is not None and begun is None:
            self._comparison.note(message, summary, counts)
        case = Case(
            message=message,
            counted={} if summary is None else counted_of(summary),
            seen=seen_of(counts),
            watching=self._watching_of(message),
            trust=await self._trusted(),
            now=started,
            track=self._track,
            page=self._page_rows,
            ignore=frozenset() if CLICKED in self._wanted else frozenset({CLICKED}),
            last=last,
        )
        chosen = plan(case, whole=full or begun is not None)
        if not chosen:
            return None
        text = "" if summary is None else msgspec.json.encode(summary).decode()
        return Survey(case, chosen, text, position)

    async def read(self, survey: Survey, source: SourceList) -> Look:
        """Reads it. The look is complete once its last page is committed: then it is `settled`."""
        message, started = survey.case.message, survey.case.now
        if survey.plan.whole and not survey.position:
            await self._ledger.write(
                lambda store: store.looks.begin(message.id, started, survey.summary)
            )
        look = await self._look(survey)
        try:
            await self._rows.read(look, source)
        except BridgeError:
            # What is on its way must be known before the message is read again.
            await look.idle()
            await self._ledger.flush()
            self._counts.pop(message.id, None)
            raise
        return look

    def knows_causes(self, message: int, at: float) -> bool:
        """Whether all are known who had unsubscribed through a message at a time (Listrak's)."""
        watching = self._watchings.get(message)
        return watching is not None and watching.watch(UNSUBSCRIBED).agreed_at >= at

    def settled(self, survey: Survey) -> None:
        """Takes note of what a look that is complete has shown."""
        message = survey.case.message
        self._counts.pop(message.id, None)
        outcome = survey.outcome
        if outcome is None:
            return
        self._watchings[message.id] = outcome.watching
        learn(survey.case.trust, survey.case, outcome.lessons)
        for event, number in outcome.unshown.items():
            log.warning("summary.unshown", message=message.path, counter=event, difference=number)
        text = survey.case.trust.text()
        if text != self._trust_saved:
            self._trust_saved = text
            self._ledger.later(lambda store: store.note(TRUST, text))

    async def retire(self, message: Message) -> None:
        """Forgets a message of which nothing counts any more."""
        await self._ledger.write(lambda store: store.messages.retire(message.id))
        self._comparison.forget(message)
        for remembered in (self._watchings, self._counts):
            remembered.pop(message.id, None)

    async def flush(self) -> None:
        """Somebody waits for the looks that were read so far."""
        await self._rows.flush()

    # What is known of a message: kept here between two checks, as most find that nothing moved

    async def _summary(self, message: Message) -> wire.Summary | None:
        """A message's counters; None where there are none, so that only its rows can tell."""
        if message.kind == "transactional":
            return None
        try:
            return await self._listrak.summary(message.path)
        except MissingError:
            return None

    async def _counts_of(self, message: Message) -> Mapping[str, EventCount]:
        if message.id not in self._counts:
            counts = await self._ledger.store.event_counts.of(message.id)
            self._counts[message.id] = counts
        return self._counts[message.id]

    def _watching_of(self, message: Message) -> Watching:
        return self._watchings.setdefault(message.id, watching_of(message.watch))

    async def _trusted(self) -> Trust:
        if self._trust is None:
            self._trust = Trust(await self._ledger.store.recall(TRUST))
        return self._trust

    async def _look(self, survey: Survey) -> Look:
        store = self._ledger.store
        case = survey.case
        message = case.message
        first = message.looked_at is None
        since = times.seconds(self._horizon) if first else case.now
        runs = await store.looks.runs(message.id)
        return Look(
            message=message,
            survey=survey,
            started_at=case.now,
            known=KnownKeys(runs) if survey.plan.whole else KnownKeys.unmerged(runs),
            totals=await store.looks.totals(message.id),
            previous="" if message.looked_at is None else times.from_seconds(message.looked_at),
            horizon=self._horizon,
            floor=floor_of(message, since - self._track),
            settled={
                event: times.from_seconds(watch.agreed_at - LATE)
                for event, watch in case.watching.watches.items()
                if watch.agreed_at > LATE
            },
        )
