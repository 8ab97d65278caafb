"""The command `erase`: has all that is kept of an address erased."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import msgspec
from rich.console import Console
from rich.table import Table

from bridge import clock, spool
from bridge.clients import RETRY_DEADLINE_ONCE
from bridge.commands.errand import USUALLY_TAKEN_UP
from bridge.commands.requirements import require_current
from bridge.commands.terminal import print_json, terminal
from bridge.errors import StateError
from bridge.flow.eraser import Eraser
from bridge.flow.ledger import Ledger
from bridge.metrics import Metrics
from bridge.state.erasures import Erasure, Removed
from bridge.state.lock import is_locked
from bridge.state.store import open_store

ASK_INTERVAL: Final = 0.2
"""Seconds between two looks at whether the running service has done it."""

LINES: Final = {
    "contacts": "contacts, list by list",
    "user_ids": "userIds of other contacts",
    "pending_unsubscribes": "unsubscribes waiting to be sent",
    "withheld_unsubscribes": "unsubscribes withheld by BRIDGE_EVENTS",
    "attributions": "emails known to be unsubscribed through",
    "outbox_events": "events saved and not acknowledged yet",
    "dead_letters": "dead letters",
    "marks": "marks in open sweeps and in runs of identify --all",
    "cursors": "places where a reading goes on",
    "texts": "names and subjects that held it",
}
"""The names of what may have been removed, in people's words."""


async def erase(state: Path, address: str, *, as_json: bool) -> None:
    """Has all that is kept of an address erased, and prints what that was.

    Raises StateError where there is no state file, or it can't be written.
    """
    async with open_store(state, read_only=True) as store:
        await require_current(store)
    place = spool.leave(state, spool.Erase(address))
    console = terminal(stderr=True)
    erasure = await _outcome(state, place)
    while erasure is None or not erasure.overwritten:
        if is_locked(state):
            await _follow_service(state, place, console)
        else:
            try:
                await _erase_alone(state)
            except StateError as error:
                # A service may have been started at this instant: then it does it.
                if not is_locked(state):
                    left = f". {spool.LEFT}" if place.exists() else ""
                    raise StateError(f"{error}{left}") from None
        erasure = await _outcome(state, place)
    if as_json:
        print_json(msgspec.to_builtins(erasure.removed) | {"overwritten": True})
    else:
        _tell(erasure.removed)


async def _outcome(state: Path, place: Path) -> Erasure | None:
    async with open_store(state, read_only=True) as store:
        return await store.erasures.of(place.name)


async def _erase_alone(state: Path) -> None:
    """Does it in this process, which locks the state file meanwhile."""
    async with open_store(state) as store, anyio.create_task_group() as tasks:
        metrics = Metrics()
        ledger = Ledger(store, metrics, patience=RETRY_DEADLINE_ONCE)
        tasks.start_soon(ledger.run)
        tasks.start_soon(store.watch)
        await Eraser(ledger, metrics, patience=RETRY_DEADLINE_ONCE).take()
        tasks.cancel_scope.cancel()


async def _follow_service(state: Path, place: Path, console: Console) -> None:
    """Waits for the running service to do it, until it is done or the service is gone."""
    console.print("The running service does it; Ctrl-C ends the waiting only.")
    began, warned = clock.monotonic(), False
    while is_locked(state):
        erasure = await _outcome(state, place)
        if erasure is not None and erasure.overwritten:
            return
        if not warned and clock.monotonic() - began > USUALLY_TAKEN_UP:
            warned = True
            console.print(
                "The service has not taken it up yet; it does as soon as it can write its state "
                "file."
                if erasure is None
                else "It is removed. Its bytes are overwritten as soon as there is room on the "
                "disk, and no other program reads the state file."
            )
        await anyio.sleep(ASK_INTERVAL)


def _tell(removed: Removed) -> None:
    console = terminal()
    table = Table("erased from the state file", "")
    for name, words in LINES.items():
        if number := getattr(removed, name):
            table.add_row(words, f"{number:,}")
    if table.row_count:
        console.print(table)
    else:
        console.print("Nothing was kept of this address.")
    for sentence in _sentences(removed):
        console.print(sentence)


def _sentences(removed: Removed) -> Iterator[str]:
    """Sentences of what follows from it, and of what it can't do."""
    yield "No byte of what was removed is left in the state file, nor in the -wal beside it."
    if removed.contact_of:
        lists = ", ".join(map(str, removed.contact_of))
        yield (
            f"Still a contact of list {lists} when it was last read: delete it in Listrak, or it "
            "comes back with the next sweep, is identified as new, and an unsubscribe of it is "
            "sent once more."
        )
    else:
        yield (
            "No list had it as a contact when it was last read; should one have it, it comes back "
            "with the next sweep as a new contact."
        )
    yield (
        "As long as Listrak shows rows of it in emails that are tracked, what is new in them is "
        "sent."
    )
    if removed.no_longer_in_flight:
        yield (
            f"{removed.no_longer_in_flight:,} events that waited to be sent are not sent any more, "
            "and count as filtered; what was on its way at that moment may have arrived."
        )
    yield "What Segment has of it stays there: Privacy > Deletion and Suppression in Segment."
