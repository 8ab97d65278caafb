"""The command `dead-letters`: prints events that can't be sent."""

from pathlib import Path

from rich.table import Table

from bridge.commands.terminal import terminal
from bridge.listrak import times
from bridge.output import texts
from bridge.state.store import open_store


async def show_dead_letters(path: Path) -> None:
    """Prints all dead letters. Raises StateError and StateDamagedError."""
    async with open_store(path, read_only=True) as store:
        letters = await store.dead_letters.all()
    console = terminal()
    if not letters:
        console.print("No dead letters: everything could be sent.")
        return
    table = Table("id", "noted", "event", "messageId", "reason")
    for number, at, event, message_id, reason in letters:
        noted = times.from_seconds(at)[:19] + "Z"
        table.add_row(str(number), noted, event, message_id, texts.harmless(reason))
    console.print(table)
