"""From acknowledged events to saved checkpoints, on a real state file."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from flow_parts import HORIZON, event_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planner_parts import snapshot_of

from bridge.delays import moments
from bridge.errors import TemporaryError
from bridge.flow.acks.checkpoint import checkpoint_of
from bridge.flow.acks.journal import journaled_events
from bridge.flow.acks.key_runs import KeyRuns
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.acks.page_acks import OutboxAck, PollPageAck
from bridge.flow.acks.poll_ends import TrackedPollEnd
from bridge.flow.delivery import Refusal
from bridge.flow.in_flight import InFlight
from bridge.flow.ledger import Ledger
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.message_cache import MessageCache
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.page import ActivityPage
from bridge.flow.planner.plan import PollPlan
from bridge.metrics import Metrics
from bridge.segment import events
from bridge.state.cursors import PollCursor
from bridge.state.keys import SeenKeys, merged
from bridge.state.records import MessageRef
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

NOW = 1_778_500_000.0


class Desk:
    """A ledger over a state file, with one tracked message that is being polled in full."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.metrics = Metrics()
        self.ledger = Ledger(store, self.metrics)
        self.cache = MessageCache(self.ledger)

    async def poll(self) -> MessagePoll:
        """A poll that has begun."""
        async with self.store.transaction():
            await self.store.messages.add([MessageRef(5, "broadcast", 7)], NOW)
        (message,) = await self.store.messages.tracked()
        async with self.store.transaction():
            await self.store.polls.begin(message.id, NOW, "{}")
        snapshot = snapshot_of(message, counted={"Email Sent": 3.0}, now=NOW)
        planned = PlannedPoll(snapshot, PollPlan(full=True), "{}")
        window = PollWindow(HORIZON, floor=0)
        return MessagePoll(planned, window, SeenKeys(), {}, TrackedPollEnd(self.cache))

    def page(self, poll: MessagePoll, name: str) -> PollPageAck:
        """The acknowledgement of a page with one send, whose cursor is the page's name."""
        mapped = MappedPage(names=Counter(["Email Sent"]))
        mapped.reproducible.events.append(event_of(len(name)))
        mapped.reproducible.keys[0].append(events.digest(name.encode()))
        mapped.reproducible.seen["Email Sent"] += 1
        page = ActivityPage(poll, poll.acks.open(), PollCursor("activity", 0, name), [], None)
        runs = KeyRuns.of(mapped.reproducible)
        runs.add_to(poll)
        checkpoint = checkpoint_of(page, mapped, runs, None)
        return PollPageAck(poll, page.number, checkpoint, self.ledger, self.metrics)

    def last(self, poll: MessagePoll) -> PollPageAck:
        """The acknowledgement of the end of a poll."""
        return PollPageAck(poll, poll.acks.open(), None, self.ledger, self.metrics)

    async def cursor(self, poll: MessagePoll) -> str | None:
        """Where the poll would go on after a crash; None for its first page."""
        open_poll = await self.store.polls.open_one(poll.message.id)
        return open_poll.cursor.page if open_poll and open_poll.cursor else None


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_store(tmp_path / "bridge.db") as store:
        yield Desk(store)


async def test_only_the_prefix_is_saved(desk: Desk) -> None:
    """A page that is acknowledged early waits for those before it: cursor, keys and numbers."""
    poll = await desk.poll()
    first, second, third = (desk.page(poll, name) for name in ("a", "bb", "ccc"))
    second.done([])
    third.done([])
    await desk.ledger.flush()
    assert await desk.cursor(poll) is None
    assert await desk.store.seen_events.runs(poll.message.id) == []
    assert await desk.store.counters.all() == {"in_flight": 0}
    first.done([])
    await desk.ledger.flush()
    assert await desk.cursor(poll) == "ccc"
    assert len(merged(await desk.store.seen_events.runs(poll.message.id))) == 3
    assert await desk.store.counters.all() == {"fetched": 3, "delivered": 3, "in_flight": 0}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(order=st.permutations(range(5)), crash_after=st.integers(0, 5))
async def test_in_any_order(
    order: list[int], crash_after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the order, and wherever a crash comes: what is saved is a prefix of the poll."""
    async with open_store(tmp_path_factory.mktemp("acks") / "bridge.db") as store:
        desk = Desk(store)
        poll = await desk.poll()
        acks = [desk.page(poll, "x" * (number + 1)) for number in range(5)]
        for number in order[:crash_after]:
            acks[number].done([])
            await desk.ledger.flush()
        acked = set(order[:crash_after])
        prefix = next(number for number in range(6) if number not in acked)
        assert await desk.cursor(poll) == ("x" * prefix if prefix else None)
        counts = await store.event_counts.of(poll.message.id)
        assert (counts["Email Sent"].seen if counts else 0) == prefix


async def test_refused_events_are_dead_letters(desk: Desk) -> None:
    """What Segment refuses is kept with the reason, and counted as that, everywhere."""
    poll = await desk.poll()
    desk.page(poll, "a").done([Refusal(event_of(17), "Segment answered 400")])
    await desk.ledger.flush()
    ((_, _, name, message_id, reason),) = await desk.store.dead_letters.all()
    assert (name, message_id) == ("Email Sent", f"listrak-{17:032x}")
    assert reason == "Segment answered 400"
    expected = {"fetched": 1, "delivered": 0, "dead_lettered": 1, "in_flight": 0}
    counters = await desk.store.counters.all()
    assert {name: counters.get(name, 0) for name in expected} == expected
    assert (await desk.store.event_counts.of(poll.message.id))["Email Sent"].dead == 1
    value = desk.metrics.registry.get_sample_value
    assert value("bridge_events_total", {"outcome": "dead_lettered"}) == 1
    assert value("bridge_dead_letters") == 1


async def test_the_end_of_a_poll(desk: Desk) -> None:
    """With the last page the poll is complete, evaluated, and what it showed is known at once."""
    poll = await desk.poll()
    pages = [desk.page(poll, name) for name in ("a", "bb", "ccc")]
    desk.last(poll).done([])
    assert not poll.completed.is_set()
    for page in reversed(pages):
        page.done([])
    await desk.ledger.flush()
    assert poll.completed.is_set()
    assert poll.result is not None
    assert poll.result.reconciled
    assert poll.is_proof
    assert await desk.store.polls.open_one(poll.message.id) is None
    message = await desk.store.messages.get(poll.message.id)
    assert (message.polled_at, message.changed_at) == (NOW, None), (
        "what a first poll finds may be old"
    )
    assert message.watermarks == poll.result.watermarks.text()
    assert desk.cache.reconciled_at(message.id, "Email Sent") == NOW
    assert (await desk.cache.counts_of(message))["Email Sent"].seen == 3


async def test_a_transaction_that_is_repeated(desk: Desk) -> None:
    """The end of a poll that a full disk rolled back is saved again, and comes to the same."""
    poll = await desk.poll()
    desk.page(poll, "a").done([])
    await desk.ledger.flush()
    end = poll.end

    async def save(*, full: bool) -> None:
        async with desk.store.transaction():
            await end.save(poll, desk.store)
            if full:
                raise TemporaryError("disk full")

    with pytest.raises(TemporaryError):
        await save(full=True)
    await save(full=False)
    once = poll.result
    assert once is not None
    end.committed(poll)
    message = await desk.store.messages.get(poll.message.id)
    assert message.watermarks == once.watermarks.text()
    attempts = [attempt.misses for attempt in once.watermarks.of("Email Sent").attempts]
    assert max(attempts) <= 1, "a repeated transaction is not a second attempt"


async def test_the_outbox_is_left_once_acknowledged(desk: Desk) -> None:
    """Journaled events stay until they are delivered, then they are gone, and told to be."""
    async with desk.store.transaction():
        outbox_id = await desk.store.outbox.put(7, 2, b"two events")
    in_flight = InFlight()
    in_flight.add()
    outcomes = Outcomes(7, {"delivered": 2, "dead_lettered": 0}, -2, Counter({"Email Sent": 2}))
    ack = OutboxAck(outbox_id, outcomes, in_flight, desk.ledger, desk.metrics)
    assert len(await desk.store.outbox.pages()) == 1
    ack.done([Refusal(event_of(3), "no")])
    await desk.ledger.flush()
    await in_flight.drained()
    assert await desk.store.outbox.pages() == []
    counters = await desk.store.counters.all()
    assert (counters["delivered"], counters["dead_lettered"]) == (1, 1)
    assert await desk.store.dead_letters.count() == 1


async def test_what_is_set_aside_is_saved_with_the_page(desk: Desk) -> None:
    """The page is done with, its cursor saved; the event stays in flight, in the outbox."""
    poll = await desk.poll()
    desk.page(poll, "a").done([], [event_of(17)])
    await desk.ledger.flush()
    assert await desk.cursor(poll) == "a"
    ((page, list_id, body),) = await desk.store.outbox.pages()
    assert (list_id, await desk.store.outbox.set_aside()) == (poll.message.list_id, {page: 1})
    assert journaled_events(body) == ([event_of(17)], {"Email Sent": 1})
    counters = await desk.store.counters.all()
    assert (counters["fetched"], counters.get("delivered", 0), counters["in_flight"]) == (1, 0, 1)
    value = desk.metrics.registry.get_sample_value
    assert (value("bridge_events_in_flight"), value("bridge_events_set_aside")) == (1, 1)


async def test_what_is_set_aside_again_stays(desk: Desk) -> None:
    """Of a page of the outbox only that stays, and the numbers add up until it is accepted."""
    poll = await desk.poll()
    desk.page(poll, "a").done([], [event_of(17)])
    await desk.ledger.flush()
    for aside in ([event_of(17)], []):
        ((page, list_id, _),) = await desk.store.outbox.pages()
        in_flight = InFlight()
        in_flight.add()
        numbers = {"delivered": 1, "dead_lettered": 0}
        outcomes = Outcomes(list_id, numbers, -1, Counter({"Email Sent": 1}), aside=-1)
        OutboxAck(page, outcomes, in_flight, desk.ledger, desk.metrics).done([], aside)
        await desk.ledger.flush()
        await in_flight.drained()
        counters = await desk.store.counters.all()
        assert counters["in_flight"] == len(aside)
        assert counters["fetched"] == counters.get("delivered", 0) + len(aside)
        value = desk.metrics.registry.get_sample_value
        assert value("bridge_events_set_aside") == len(aside)
    assert await desk.store.outbox.pages() == []


async def test_who_waits_for_the_outbox_is_told_of_a_failure(desk: Desk) -> None:
    """The page stays; whoever waits for it, or would add another, gets the reason."""
    in_flight = InFlight()
    in_flight.add()
    ack = OutboxAck(1, Outcomes(7, {}), in_flight, desk.ledger, desk.metrics)
    async with anyio.create_task_group() as tasks:
        waiting = anyio.Event()

        async def wait() -> None:
            waiting.set()
            with pytest.raises(TemporaryError, match="down"):
                await in_flight.drained()

        tasks.start_soon(wait)
        await waiting.wait()
        ack.failed(TemporaryError("down"))
    with pytest.raises(TemporaryError, match="down"):
        in_flight.add()


async def test_a_poll_ends_with_the_run(desk: Desk) -> None:
    """Nobody could go on without a page of it."""
    poll = await desk.poll()
    with pytest.raises(TemporaryError, match="down"):
        desk.page(poll, "a").failed(TemporaryError("down"))


def delayed(desk: Desk) -> dict[str, float]:
    """Numbers of events whose delay is told, by name."""
    (family,) = desk.metrics.delays.collect()
    return {
        sample.labels["event"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_count")
    }


async def test_delays_are_told_of_what_is_delivered(desk: Desk) -> None:
    """By when Segment accepted it, once it is saved; not of what is refused or set aside."""
    poll = await desk.poll()
    page = desk.page(poll, "a")
    outcomes = page.checkpoint.outcomes if page.checkpoint else Outcomes(0, {})
    sent, other = "2026-05-10T12:00:00.000Z", "2026-05-10T12:00:01.000Z"
    outcomes.happened = {
        "Email Sent": moments([sent, other, sent, sent]),
        "Email Opened": moments([sent]),
    }
    outcomes.names += Counter({"Email Sent": 3, "Email Opened": 1})
    outcomes.numbers["delivered"] += 4
    desk.metrics.delays.begin(lambda: NOW)
    page.done([Refusal(event_of(1), "no")], [event_of(2)])
    desk.metrics.delays.begin(lambda: NOW + 3600)
    assert delayed(desk) == {}
    await desk.ledger.flush()
    assert delayed(desk) == {"Email Sent": 2, "Email Opened": 1}
    registry = desk.metrics.registry
    labels = {"list": "5", "event": "Email Sent", "happened": "before_start"}
    total = registry.get_sample_value("bridge_event_delay_seconds_sum", labels)
    assert total == 2 * NOW - sum(moments([sent, other]))


async def test_a_backfill_tells_no_delays(desk: Desk) -> None:
    """What was asked for late isn't late."""
    poll = await desk.poll()
    mapped = MappedPage()
    mapped.dates.add("Email Sent", [0], moments(["2026-05-10T12:00:00.000Z"]))
    assert mapped.dates.moments().keys() == {"Email Sent"}
    mapped.dates.clear()
    page = ActivityPage(poll, poll.acks.open(), PollCursor("activity", 0, ""), [], None)
    runs = KeyRuns.of(mapped.reproducible)
    assert checkpoint_of(page, mapped, runs, None).outcomes.happened == {}
