"""The command `preview`: prints what would be sent, on a temporary copy of the state file."""

import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import click
from anyio.abc import ObjectReceiveStream

from bridge import service
from bridge.environment.settings import Settings
from bridge.errors import BridgeError
from bridge.flow.delivery import Delivery
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.inspection import translated
from bridge.state.lock import lock_of
from bridge.state.opening import look, verify


async def show_preview(settings: Settings, limit: int | None) -> None:
    """Prints a catch-up's events as JSON lines, at most `limit`; their number on standard error."""
    printer = _Printer(limit)
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-") as folder:
        copy = Path(folder) / "bridge.db"
        await anyio.to_thread.run_sync(_copy, settings.state, copy)
        trial = replace(settings, state=copy, status_bind=None)
        try:
            await service.run(trial, once=True, sink=lambda: printer)
        except BridgeError:
            if printer.counts:
                _tell(printer.counts, " of what could be read")
            raise
    _tell(printer.counts, "")


def _tell(counts: Counter[str], of: str) -> None:
    click.echo(f"{sum(counts.values())} events would be sent{of}", err=True)
    for name, number in sorted(counts.items()):
        click.echo(f"  {number:8} {name}", err=True)


class _Printer:
    """A sink that prints events, and accepts all of them."""

    def __init__(self, limit: int | None) -> None:
        self._left = sys.maxsize if limit is None else limit
        self.counts: Counter[str] = Counter()

    async def run(self, deliveries: ObjectReceiveStream[Delivery]) -> None:
        async with deliveries:
            async for delivery in deliveries:
                shown = delivery.events[: self._left]
                self._left -= len(shown)
                sys.stdout.buffer.write(b"".join(event + b"\n" for event in shown))
                sys.stdout.buffer.flush()
                self.counts += delivery.names
                if delivery.events:
                    delivery.accept(len(delivery.events))


def _copy(original: Path, copy: Path) -> None:
    """Makes a consistent copy, even beside a running service; none where there is no original.

    Raises StateDamagedError where the original isn't what it seems.
    """
    copied = look(original)
    if not original.exists():
        return
    with suppress(OSError):
        # Whether it has gone back is told by what is beside it.
        shutil.copy(lock_of(original.resolve()), lock_of(copy))
    verify(original)
    try:
        source = sqlite3.connect(f"{original.absolute().as_uri()}?mode=ro", uri=True)
        try:
            target = sqlite3.connect(copy)
            try:
                source.backup(target)
                # It is a copy on purpose, unless the original is one by mistake.
                version = target.execute("PRAGMA user_version").fetchone()[0]
                if version == SCHEMA_VERSION and not copied:
                    target.execute("UPDATE file_mark SET in_use = 0")
                    target.commit()
            finally:
                target.close()
        finally:
            source.close()
    except sqlite3.Error as error:
        raise translated(error, original) from error
