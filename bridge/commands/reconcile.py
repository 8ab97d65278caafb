"""The command `reconcile`: compares Listrak's counters with what was seen and sent."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.table import Table

from bridge import spool
from bridge.clients import listrak_client
from bridge.commands.comparison import lines_of
from bridge.commands.limits import limits_of, tell
from bridge.commands.progress import side_by_side
from bridge.commands.readable import resolve_now
from bridge.commands.requirements import configured_lists, require_current
from bridge.commands.terminal import print_json, terminal
from bridge.environment.settings import Settings
from bridge.errors import BridgeError, RefusedError, TemporaryError, is_isolated
from bridge.flow.figures import REVENUE
from bridge.flow.limits import Limit, not_counted, unread_counters, without_summary
from bridge.flow.reconciliation import Line
from bridge.flow.source import ResolvedLists
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics
from bridge.output import texts
from bridge.state.records import Message
from bridge.state.store import Store, open_store


@dataclass(frozen=True)
class Compared:
    """A message with a line for each counter; none where Listrak has no Summary of it.

    problem: why its Summary can't be read now, None where it can.
    """

    message: Message
    lines: list[Line]
    problem: BridgeError | None = None

    @property
    def subject(self) -> str:
        """The subject of the message, "" where it isn't known."""
        known = msgspec.json.decode(self.message.properties or "{}", type=dict[str, str | float])
        return str(known.get("email_subject", ""))


@dataclass(frozen=True)
class Comparison:
    """The comparison of lists: the messages of each, and what was not compared.

    lists: those that were asked for, with the problems of the ones that can't be read.
    """

    by_list: dict[int, list[Compared]]
    limits: list[Limit]
    lists: ResolvedLists

    @property
    def messages(self) -> list[Compared]:
        """The messages of all lists."""
        return [one for compared in self.by_list.values() for one in compared]

    @property
    def repairable(self) -> list[int]:
        """The rows of messages that may be better for being read again."""
        return [
            one.message.id for one in self.messages if any(line.repairable for line in one.lines)
        ]


async def reconcile(
    settings: Settings,
    *,
    only_list: int | None,
    everything: bool,
    repair: bool,
    as_json: bool = False,
) -> None:
    """Prints the differences, message by message, the totals, and what was not compared.

    only_list: id of a list; None for all configured ones.
    everything: prints what agrees as well.
    repair: leaves a request for full polls of the messages whose differences nothing explains.

    A list, or a message, that can't be read isn't compared; its problem is told, and raised at the
    end.
    """
    comparison = await _compare(settings, only_list)
    wanting = comparison.repairable if repair else []
    if wanting:
        spool.leave(settings.state, spool.Repair(wanting))
    if as_json:
        print_json(_as_json(comparison, everything=everything) | {"repairing": len(wanting)})
    else:
        _tell_all(comparison, everything=everything, repair=repair)
    comparison.lists.require()
    for problem in (one.problem for one in comparison.messages if one.problem is not None):
        raise TemporaryError(f"not everything could be compared: {problem}")


def _tell_all(comparison: Comparison, *, everything: bool, repair: bool) -> None:
    """Prints a comparison for people."""
    console = terminal()
    if comparison.by_list:
        _show(console, comparison.messages, everything=everything)
    for list_id, compared in comparison.by_list.items():
        _show_totals(console, list_id, compared)
    tell(comparison.limits, "Not compared, not sent or out of reach:", console)
    if repair and comparison.repairable:
        console.print(
            f"To be read again from end to end: {len(comparison.repairable)}. The running service "
            "begins within seconds, else its next start does. What was sent before isn't sent "
            "again."
        )
    elif repair:
        console.print("Nothing to repair.")


async def _compare(settings: Settings, only_list: int | None) -> Comparison:
    """Compares what can be compared of the configured lists, or of one."""
    lists = configured_lists(settings, only_list)
    async with open_store(settings.state, read_only=True) as store:
        await require_current(store)
        async with listrak_client(settings, Metrics()) as listrak:
            found = await resolve_now(listrak, settings, lists)
            reader = _Reader(store, listrak, settings.poll_concurrency)
            by_list = {
                each.list_id: await reader.compare_list(each.list_id) for each in found.found
            }
        limits = [not_counted(), *await limits_of(store, settings, lists, found.reasons)]
    for list_id, compared in by_list.items():
        if problems := [str(one.problem) for one in compared if one.problem is not None]:
            limits.append(unread_counters(list_id, len(problems), problems[-1]))
        if number := sum(not one.lines for one in compared) - len(problems):
            limits.append(without_summary(list_id, number))
    return Comparison(by_list, limits, found)


def _as_json(comparison: Comparison, *, everything: bool) -> dict[str, object]:
    """A comparison for programs: differences (or all lines) and limits."""
    lines = [
        {
            "list": one.message.list_id,
            "kind": one.message.kind,
            "message": one.message.message_id,
            "subject": one.subject,
            "event": line.event,
            **line.figures._asdict(),
            "difference": line.difference,
            "reason": line.reason or None,
        }
        for one in comparison.messages
        for line in one.lines
        if everything or line.difference
    ]
    compared = {str(list_id): len(those) for list_id, those in comparison.by_list.items()}
    limits = [limit.as_json() for limit in comparison.limits]
    return {"compared": compared, "lines": lines, "not_compared": limits}


class _Reader:
    """Reads Summaries, several at once; the client limits the rate."""

    def __init__(self, store: Store, listrak: Listrak, at_once: int) -> None:
        self._store = store
        self._listrak = listrak
        self._at_once = at_once

    async def compare_list(self, list_id: int) -> list[Compared]:
        """The comparisons of all tracked messages of a list."""
        messages = await self._store.messages.tracked(list_id)
        found: list[Compared] = []

        async def compare(message: Message) -> None:
            try:
                lines = await lines_of(self._store, self._listrak, message)
            except (TemporaryError, RefusedError) as error:
                if not is_isolated(error):
                    raise
                found.append(Compared(message, [], error))
            else:
                found.append(Compared(message, lines))

        await side_by_side(f"list {list_id}", messages, compare, at_once=self._at_once)
        return sorted(found, key=lambda one: one.message.id)


COLUMNS = ("Listrak", "seen", "sent", "dead", "difference")


def _show(console: Console, compared: Sequence[Compared], *, everything: bool) -> None:
    table = Table("list", "message", "subject", "event", title="Message by message")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("likely reason")
    for one in compared:
        message = one.message
        name = f"{message.kind} {message.message_id}"
        subject = texts.without_addresses(one.subject)
        if not one.lines and everything:
            reason = str(one.problem or "Listrak keeps no Summary of it")
            table.add_row(str(message.list_id), name, subject, *[""] * 6, reason)
        for line in one.lines:
            if everything or line.difference:
                figures = [_figure(figure) for figure in (*line.figures, line.difference)]
                event = line.event
                table.add_row(str(message.list_id), name, subject, event, *figures, line.reason)
    if table.row_count:
        console.print(table)
    else:
        console.print(f"No differences in what was compared: {_scope(compared)}.")


def _scope(compared: Sequence[Compared]) -> str:
    """The extent of a comparison, for people."""
    number = sum(bool(one.lines) for one in compared)
    return f"Listrak's counters of {number:,} tracked message{'' if number == 1 else 's'}"


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
