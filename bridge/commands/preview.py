"""`preview`: what would be sent, on a copy of the state file that is thrown away."""

import sqlite3
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import click
from anyio.abc import ObjectReceiveStream

from bridge import service
from bridge.flow.page import Parcel
from bridge.settings import Settings
from bridge.state.database import translated


async def show_preview(settings: Settings, limit: int | None) -> None:
    """Prints the events of a catch-up as JSON lines; their number on standard error."""
    printer = _Printer(limit)
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-") as folder:
        copy = Path(folder) / "bridge.db"
        await anyio.to_thread.run_sync(_copy, settings.state, copy)
        trial = replace(settings, state=copy, status_bind=None)
        await service.run(trial, once=True, sink=lambda: printer)
    total = sum(printer.counts.values())
    click.echo(f"{total} events would be sent", err=True)
    for name, number in sorted(printer.counts.items()):
        click.echo(f"  {number:8} {name}", err=True)


class _Printer:
    """Takes parcels as Segment would."""

    def __init__(self, limit: int | None) -> None:
        self._left = sys.maxsize if limit is None else limit
        self.counts: Counter[str] = Counter()

    async def run(self, parcels: ObjectReceiveStream[Parcel]) -> None:
        async with parcels:
            async for parcel in parcels:
                shown = parcel.events[: self._left]
                self._left -= len(shown)
                sys.stdout.buffer.write(b"".join(event + b"\n" for event in shown))
                sys.stdout.buffer.flush()
                self.counts += parcel.names
                if parcel.events:
                    parcel.accept(len(parcel.events))


def _copy(original: Path, copy: Path) -> None:
    """A consistent copy, made beside a running service; none where there is no original."""
    if not original.exists():
        return
    try:
        source = sqlite3.connect(f"{original.absolute().as_uri()}?mode=ro", uri=True)
        try:
            target = sqlite3.connect(copy)
            try:
                source.backup(target)
            finally:
                target.close()
        finally:
            source.close()
    except sqlite3.Error as error:
        raise translated(error, original) from error
