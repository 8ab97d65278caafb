"""The command `reconcile`: compares Listrak's counters with what was seen and sent."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bridge import spool
from bridge.clients import listrak_client
from bridge.commands.errand import configured_lists
from bridge.commands.readable import resolve_now, tell_problems
from bridge.commands.terminal import terminal
from bridge.errors import MissingError, StateError
from bridge.flow.figures import REVENUE
from bridge.flow.planner.watermarks import read_watermarks
from bridge.flow.reconciliation import Line, OwnNumbers, compare
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics
from bridge.settings import Settings
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.records import Message
from bridge.state.store import Store, open_store


@dataclass(frozen=True)
class Compared:
    """A message with a line for each counter; none where Listrak has no Summary of it."""

    message: Message
    lines: list[Line]

    @property
    def subject(self) -> str:
        """The subject of the message, "" where it isn't known."""
        known = msgspec.json.decode(self.message.properties or "{}", type=dict[str, str | float])
        return str(known.get("email_subject", ""))


async def reconcile(
    settings: Settings, *, only_list: int | None, everything: bool, repair: bool
) -> None:
    """Prints the differences, message by message, and the totals of each list.

    only_list: id of a list; None for all configured ones.
    everything: prints what agrees as well.
    repair: leaves a request for full polls of the messages whose differences nothing explains.

    A list that can't be read isn't compared; its problem is told, and raised at the end.
    """
    configured = configured_lists(settings, only_list)
    async with open_store(settings.state, read_only=True) as store:
        if await store.version() < SCHEMA_VERSION:
            raise StateError(
                f"BRIDGE_STATE: {str(settings.state)!r} was written by an older version, which "
                "kept no such numbers. Start the service once: it brings the file up to date"
            )
        async with listrak_client(settings, Metrics()) as listrak:
            reader = _Reader(store, listrak, settings)
            lists = await resolve_now(listrak, settings, configured)
            compare = (each.list_id for each in lists.found)
            by_list = {list_id: await reader.compare_list(list_id) for list_id in compare}
    console = terminal()
    everyone = [one for compared in by_list.values() for one in compared]
    if lists.found:
        _show(console, everyone, everything=everything)
    for list_id, compared in by_list.items():
        _show_totals(console, list_id, compared)
    wanting = [
        one.message.id
        for compared in by_list.values()
        for one in compared
        if any(line.repairable for line in one.lines)
    ]
    tell_problems(lists, console, "it was not compared")
    if repair:
        _repair(settings, wanting, console)
    lists.require()


def _repair(settings: Settings, wanting: list[int], console: Console) -> None:
    """Leaves a request for full polls of messages."""
    if not wanting:
        console.print("Nothing to repair.")
        return
    spool.leave(settings.state, spool.Repair(wanting))
    console.print(
        f"To be read again from end to end: {len(wanting)}. The running service begins within "
        "seconds, else its next start does. What was sent before isn't sent again."
    )


class _Reader:
    """Reads Summaries, several at once; the client limits the rate."""

    def __init__(self, store: Store, listrak: Listrak, settings: Settings) -> None:
        self._store = store
        self._listrak = listrak
        self._wanted = settings.events
        self._slots = anyio.Semaphore(settings.poll_concurrency)
        self._bar = Console(stderr=True)

    async def compare_list(self, list_id: int) -> list[Compared]:
        """The comparisons of all tracked messages of a list."""
        messages = await self._store.messages.tracked(list_id)
        compared: list[Compared] = []
        with Progress(console=self._bar, transient=True) as progress:
            task = progress.add_task(f"list {list_id}", total=len(messages))

            async def one(message: Message) -> None:
                async with self._slots:
                    compared.append(Compared(message, await self._lines(message)))
                progress.advance(task)

            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(one, message)
        return sorted(compared, key=lambda one: one.message.id)

    async def _lines(self, message: Message) -> list[Line]:
        if message.kind == "transactional":
            return []
        try:
            summary = await self._listrak.summary(message.path)
        except MissingError:
            return []
        # Read after the Summary, or events seen in between would appear to be missing.
        store = self._store
        message = await store.messages.get(message.id)
        watermarks = read_watermarks(message.watermarks)
        own = OwnNumbers(
            counts=await store.event_counts.of(message.id),
            reading=await store.polls.open_one(message.id) is not None,
            wanted=self._wanted,
            never_shown={
                event: watermark.never_shown for event, watermark in watermarks.by_event.items()
            },
        )
        return compare(message, summary, own)


COLUMNS = ("Listrak", "seen", "sent", "dead", "difference")


def _show(console: Console, compared: Sequence[Compared], *, everything: bool) -> None:
    table = Table("list", "message", "subject", "event", title="Message by message")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("likely reason")
    for one in compared:
        message = one.message
        name = f"{message.kind} {message.message_id}"
        if not one.lines and everything:
            reason = "Listrak keeps no Summary of it"
            table.add_row(str(message.list_id), name, one.subject, *[""] * 6, reason)
        for line in one.lines:
            if everything or line.difference:
                figures = [_figure(figure) for figure in (*line.figures, line.difference)]
                event = line.event
                table.add_row(str(message.list_id), name, one.subject, event, *figures, line.reason)
    if table.row_count:
        console.print(table)
    else:
        console.print("No differences, message by message.")


def _show_totals(console: Console, list_id: int, compared: Sequence[Compared]) -> None:
    sums: dict[str, list[float | None]] = defaultdict(lambda: [None] * len(COLUMNS))
    for line in (line for one in compared for line in one.lines):
        shown = (*line.figures, line.difference)
        pairs = zip(sums[line.event], shown, strict=True)
        sums[line.event] = [
            total if figure is None else (total or 0) + figure for total, figure in pairs
        ]
    table = Table("event", title=f"List {list_id}: {len(compared)} tracked messages")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for event, figures in sums.items():
        # Only the revenue is an amount; all else is a number of events.
        table.add_row(event, *(_figure(figure, cents=event == REVENUE) for figure in figures))
    console.print(table)


def _figure(figure: float | None, *, cents: bool = False) -> str:
    if figure is None:
        return ""
    return f"{figure:,.2f}" if cents or figure % 1 else f"{figure:,.0f}"
