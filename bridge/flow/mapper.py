"""Turns pages into parcels: compares, encodes, and writes down what can't be made again."""

import gzip
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import anyio
import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from isal import igzip

from bridge.flow.ledger import Ledger, Work
from bridge.flow.look import Look
from bridge.flow.page import (
    ActivityPage,
    ClickPage,
    ContactPage,
    Flush,
    HeldPage,
    LastPage,
    Mapped,
    OutboxPage,
    Page,
    Parcel,
    Tally,
    name_of,
)
from bridge.flow.progress import Progress, progress_of
from bridge.flow.reconciliation import seen_of
from bridge.flow.rules.activity import ActivityRules
from bridge.flow.rules.contacts import ContactRules
from bridge.segment import events
from bridge.state.keys import heads, sorted_keys
from bridge.state.records import DeadLetter
from bridge.state.store import Store
from bridge.telemetry import Metrics, log


class Mapper:
    """One page after the other, in the order they come."""

    def __init__(
        self,
        ledger: Ledger,
        activity: ActivityRules,
        contacts: ContactRules,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._activity = activity
        self._contacts = contacts
        self._metrics = metrics

    async def run(
        self, pages: ObjectReceiveStream[Page], parcels: ObjectSendStream[Parcel]
    ) -> None:
        """Maps until there are no more pages, then closes the way to the sender."""
        async with pages, parcels:
            async for page in pages:
                await self._ledger.room()
                parcel = await self._map(page)
                # Nothing of a page may outlive it here: the next one may be long in coming.
                del page
                if parcel.events or parcel.flush:
                    await parcels.send(parcel)
                else:
                    parcel.settle(parcel)
                # A stream that has room and items never waits: let others run between pages.
                await anyio.lowlevel.checkpoint()

    async def _map(self, page: Page) -> Parcel:
        match page:
            case ActivityPage():
                return await self._look_page(page, self._activity.map_activity(page))
            case ClickPage():
                return await self._look_page(page, self._activity.map_clicks(page))
            case LastPage():
                look, number = page.look, page.number
                return Parcel([], Counter(), lambda _: self._close(look, number, None))
            case ContactPage():
                return await self._contact_page(page)
            case HeldPage():
                return await self._held_page(page)
            case Flush():
                return Parcel([], Counter(), lambda _: None, flush=True)
            case OutboxPage():
                packed = msgspec.json.decode(gzip.decompress(page.body), type=list[msgspec.Raw])
                again = [bytes(event) for event in packed]
                return self._parcel(again, Counter(map(name_of, again)), page.outbox_id, page.tally)

    # Pages of a look: progress follows the acknowledgement

    async def _look_page(self, page: ActivityPage | ClickPage, mapped: Mapped) -> Parcel:
        look = page.look
        runs, withheld, planned_runs, planned_withheld = (
            {bucket: sorted_keys(heads(prints)) for bucket, prints in found.items()}
            for share in (mapped.derived, mapped.planned)
            for found in (share.keys, share.withheld)
        )
        for found in (runs, withheld, planned_runs, planned_withheld):
            for run in found.values():
                look.known.add(run)
            look.found = look.found or bool(found)
        look.found = look.found or bool(mapped.totals)
        outbox_id: int | None = None
        planned = mapped.planned
        if planned.seen or planned.amounts:

            async def effects(store: Store) -> None:
                for bucket, run in planned_runs.items():
                    await store.looks.add_run(look.message.id, bucket, run)
                for bucket, run in planned_withheld.items():
                    await store.looks.add_run(look.message.id, bucket, run, withheld=True)
                await store.looks.set_totals(look.message.id, mapped.totals)
                await store.event_counts.add(look.message.id, planned.tally())

            outbox_id = await self._plan(mapped, effects)
        events = mapped.derived.events + planned.events
        number = page.number
        progress = progress_of(look, page.position, mapped, runs, withheld, outbox_id)

        def settle(parcel: Parcel) -> None:
            progress.bury(parcel.dead)
            self._close(look, number, progress)

        return Parcel(events, mapped.names, settle)

    def _close(self, look: Look, number: int, progress: Progress | None) -> None:
        """A page is settled: what is now a contiguous prefix of its look can be saved.

        The last page of a look has no progress of its own: with it the look is complete.
        """
        for ready in look.pages.close(number, progress):
            if ready is None:
                self._ledger.later(partial(_complete, look), look.completed.set)
            else:
                self._ledger.later(ready.save, partial(self._count_progress, ready))
        look.moved.set()

    def _count_progress(self, progress: Progress) -> None:
        self._count(progress.counts, -progress.planned, progress.names, progress.dead)

    # Pages whose progress is committed before they are sent

    async def _contact_page(self, page: ContactPage) -> Parcel:
        emails = [row.email_address or "" for row in page.rows] + page.lost
        known = await self._ledger.store.contacts.known(page.list_id, emails)
        mapped = self._contacts.map_contacts(page, known)
        more = {
            "fetched": mapped.known + mapped.filtered + len(mapped.unsubscribes),
            "known": mapped.known,
            "filtered": mapped.filtered,
        }

        async def work(store: Store) -> None:
            await store.contacts.set(page.list_id, mapped.contacts.values())
            await store.unsubscribes.forget_causes(page.list_id, mapped.resubscribed)
            await store.unsubscribes.hold(page.list_id, mapped.unsubscribes, time.time())
            if page.sweep and page.subscribed:
                met = sorted_keys(heads([events.digest(email.encode()) for email in emails]))
                await store.contacts.add_met(page.list_id, met)
            await store.contacts.move_look(page.list_id, page.position)
            await store.count(more)

        planned = mapped.planned
        if mapped.contacts or planned.events or mapped.unsubscribes or planned.dead:
            outbox_id = await self._plan(mapped, work)
            self._count(more, len(mapped.unsubscribes))
        else:
            # Nothing to send: its progress can share a later transaction.
            outbox_id = None
            self._ledger.later(work, partial(self._count, more, 0))
        return self._parcel(planned.events, mapped.names, outbox_id, page.tally)

    async def _held_page(self, page: HeldPage) -> Parcel:
        mapped = self._contacts.map_held(page)
        more = {"filtered": mapped.filtered}

        async def work(store: Store) -> None:
            await store.unsubscribes.release(page.list_id, page.rows)
            await store.count(more)

        # They were counted as fetched when they were noted.
        outbox_id = await self._plan(mapped, work, fetched=0)
        self._count(more, -len(page.rows))
        return self._parcel(mapped.planned.events, mapped.names, outbox_id, page.tally)

    def _parcel(
        self, planned: list[bytes], names: Counter[str], outbox_id: int | None, tally: Tally
    ) -> Parcel:
        """A parcel of written-down events: once they are settled, they leave the outbox."""

        size = len(planned)

        def settle(parcel: Parcel) -> None:
            dead = parcel.dead
            settled = {"delivered": size - len(dead), "dead_lettered": len(dead)}
            names.subtract(letter.event for letter in dead)

            async def work(store: Store) -> None:
                if outbox_id is not None:
                    await store.outbox.remove(outbox_id)
                await store.dead_letters.bury(dead, time.time())
                await store.count(settled)

            def then() -> None:
                self._count(settled, -size, names, dead)
                tally.leave()

            self._ledger.later(work, then)

        return Parcel(planned, names, settle)

    async def _plan(
        self, mapped: Mapped, effects: Work, *, fetched: int | None = None
    ) -> int | None:
        """Writes down a page's planned events together with all that follows from them."""
        outbox_id: int | None = None
        planned = mapped.planned
        new = len(planned.events) + len(planned.dead)
        counts = {
            "fetched": new if fetched is None else fetched,
            "dead_lettered": len(planned.dead),
        }

        async def work(store: Store) -> None:
            nonlocal outbox_id
            if planned.events:
                body = igzip.compress(b"[" + b",".join(planned.events) + b"]", 1)
                outbox_id = await store.outbox.put(len(planned.events), body)
            await store.dead_letters.bury(planned.dead, time.time())
            await store.count(counts)
            await effects(store)

        await self._ledger.write(work)
        self._count(counts, len(planned.events), dead=planned.dead)
        return outbox_id

    def _count(
        self,
        counts: dict[str, int],
        in_flight: int,
        names: Counter[str] | None = None,
        dead: Sequence[DeadLetter] = (),
    ) -> None:
        """The same numbers in the metrics, once they are in the state file."""
        for outcome, number in counts.items():
            self._metrics.events.labels(outcome).inc(number)
        self._metrics.in_flight.inc(in_flight)
        self._metrics.dead_letters.inc(counts.get("dead_lettered", 0))
        for letter in dead:
            log.error("event.dead", event_name=letter.event, reason=letter.reason)
        for name, number in (names or {}).items():
            self._metrics.delivered.labels(name).inc(number)


async def _complete(look: Look, store: Store) -> None:
    message = look.message.id
    if look.past is not None:
        await store.backfills.complete(look.past)
        return
    if look.survey.plan.whole:
        await store.looks.complete(message, look.floor, found=look.found)
    else:
        await store.looks.glimpse(message, look.started_at, look.floor, found=look.found)
    outcome = look.survey.settle(seen_of(await store.event_counts.of(message)))
    await store.messages.watch(message, outcome.watching.text(), look.survey.summary)
