"""Reads older history: what was not sent because it was from before the start horizon."""

import math
from typing import Any

from bridge.errors import MissingError
from bridge.flow.ledger import Ledger
from bridge.flow.look import NO_BUCKET, Look, floor_of
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.rows import RowReader
from bridge.flow.scans.case import Case, Plan
from bridge.flow.scans.survey import Survey
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import Watching
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant
from bridge.pacing import Urgency
from bridge.state.keys import KnownKeys, OnlyKeys
from bridge.state.records import Backfill, Past
from bridge.state.store import Store
from bridge.telemetry import log


class HistoryReader:
    """Brings a list's backfill on, a message at a time.

    What is told apart: rows that are tracked, of which it is known what was withheld; rows too old
    to have been tracked ever, of which nothing was sent; and rows between, which are left out.
    """

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        discovery: Discovery,
        rows: RowReader,
        *,
        horizon: Instant,
        track: float,
    ) -> None:
        self._clock = listrak.clock
        self._ledger = ledger
        self._discovery = discovery
        self._rows = rows.with_urgency(Urgency.HISTORY)
        self._horizon = horizon
        self._track = track

    async def begin(self, list_id: int, since: Instant) -> bool:
        """Queues a backfill; False if nothing is to be done, or another one is under way."""
        begun = False

        async def work(store: Store) -> None:
            nonlocal begun
            begun = await store.backfills.begin(list_id, since, self._horizon)

        await self._ledger.write(work)
        return begun

    async def read_next(self, source: SourceList) -> bool:
        """Reads the next message of a list's backfill; False when none is left.

        Returns when all that was found is delivered. Raises what the Listrak client raises.
        """
        store = self._ledger.store
        backfill = await store.backfills.of(source.list_id)
        if backfill is None or backfill.finished:
            return False
        if not backfill.listed:
            await self._list(source, backfill)
        past = await store.backfills.next(source.list_id)
        if past is None:
            await self._ledger.write(lambda store: store.backfills.finish(source.list_id))
            log.info("backfill.finished", list=source.list_id, since=backfill.since)
            return False
        look = await self._look(past, backfill)
        try:
            await self._rows.read(look, source)
        except MissingError as error:
            log.info("message.missing", message=look.message.path, reason=str(error))
            await self._ledger.write(lambda store: store.backfills.complete(past))
            return True
        await self._rows.flush()
        await look.completed.wait()
        return True

    async def _list(self, source: SourceList, backfill: Backfill) -> None:
        """Queues the messages that may have history in the span."""
        store = self._ledger.store
        oldest = times.from_seconds(times.seconds(backfill.since) - self._track)
        never = times.from_seconds(times.seconds(self._horizon) - self._track)
        listed = await self._discovery.emails(source.list_id, oldest)
        met = {
            (message.kind, message.message_id): message
            for message in await store.messages.all_of(source.list_id)
        }
        queued: list[tuple[Any, ...]] = []
        left_out = 0
        for _, kind, message_id, conversation, campaign, listed_at in listed:
            message = met.get((kind, message_id))
            row = message.id if message and not message.retired else 0
            sent = (message.sent_at if message else "") or listed_at
            of = (row, kind, message_id, conversation, campaign, sent)
            if kind != "broadcast":
                queued.append(("old", *of))
            if row:
                queued.append(("withheld", *of))
            elif kind == "broadcast" and sent and sent < never:
                queued.append(("old", *of))
            elif kind == "broadcast" and (not sent or sent < backfill.before):
                left_out += 1
        await self._ledger.write(
            lambda store: store.backfills.queue(source.list_id, queued, left_out=left_out)
        )
        log.info("backfill.listed", list=source.list_id, messages=len(queued), left_out=left_out)

    async def _look(self, past: Past, backfill: Backfill) -> Look:
        store = self._ledger.store
        message = await store.messages.get(past.tracked) if past.tracked else past.message
        if past.properties is not None and message.properties is None:
            message = past.message
        first_floor = floor_of(message, times.seconds(self._horizon) - self._track)
        known: KnownKeys
        if past.part == "withheld":
            floor, ceiling = floor_of(message, self._clock.now() - self._track), NO_BUCKET
            known = OnlyKeys(await store.looks.runs(message.id, withheld=True))
        else:
            floor, ceiling = 0, NO_BUCKET if message.kind == "broadcast" else first_floor
            known = KnownKeys()
        now = self._clock.now()
        case = Case(message, {}, {}, Watching(), Trust(), now, self._track)
        return Look(
            message=message,
            survey=Survey(case, Plan(whole=True, rows=math.inf), position=past.position),
            started_at=now,
            known=known,
            totals=await store.looks.totals(message.id) if past.part == "withheld" else {},
            previous="",
            horizon=backfill.since,
            floor=floor,
            ceiling=ceiling,
            before=backfill.before,
            past=past,
        )
