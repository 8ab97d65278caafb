"""The commands `state`: what is done with the state file itself."""

from pathlib import Path

from anyio import to_thread
from rich.table import Table

from bridge.commands.terminal import print_json, terminal
from bridge.state.opening import verify


async def verify_state(path: Path, *, as_json: bool) -> None:
    """Prints what was looked at, all of it sound. Raises StateError and StateDamagedError."""
    # In a thread: a disk may hang, and no signal reaches a thread that waits for it.
    found = await to_thread.run_sync(verify, path, abandon_on_cancel=True)
    if as_json:
        print_json(
            {
                "path": str(path),
                "sound": True,
                "format": found.version,
                "checksums": found.checksums,
                "tables": dict(found.rows),
                "rows": found.number,
                "bytes": found.bytes,
                "seconds": round(found.seconds, 3),
            }
        )
        return
    table = Table("table", "rows")
    for name, rows in found.rows.items():
        table.add_row(name, f"{rows:,}")
    console = terminal()
    console.print(table)
    console.print(
        f"{path} is sound: {len(found.rows)} tables with {found.number:,} rows in "
        f"{found.bytes:,} bytes, looked at in {found.seconds:.2f} s."
    )
    if not found.checksums:
        console.print(
            "An older version wrote it, without checksums: SQLite finds it whole, and every value "
            "means something. The next start brings it up to date."
        )
