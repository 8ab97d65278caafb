"""The command: looks all locked packages up in advisories, and says against which, and how old."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

from supply.advisories import Advisory, Database, UnavailableError, load, wheel_in
from supply.lock_file import ALL, RUNTIME, Pin, read

AFFECTED: Final = 1
"""Exit code where a locked version has an advisory."""

TOO_OLD: Final = 365
"""Days after which advisories say little of the versions that are locked by then."""


def report(database: Database, pins: list[Pin], running: set[str], today: date) -> Iterator[str]:
    """Yields the lines that tell what was looked up in what, and then what was found.

    `running` are the names of packages that run in production, not for developers alone.
    """
    days = (today - database.day).days
    yield (
        f"{len(pins)} locked packages looked up in {database.size} advisories of {database.day},"
        f" {days} days ago; {database.named(pins)} of them had one in some version."
    )
    yield "What was published since isn't among them."
    if days > TOO_OLD:
        yield f"They are too old to go by, more than {TOO_OLD} days: another source is needed."
    yield (
        f"They have GitHub's numbers, and are a private person's copy that {database.source} ships:"
        " something may be missing."
    )
    found = list(database.affecting(pins))
    yield from (_told(pin, advisory, pin.name in running) for pin, advisory in found)
    yield f"Affected: {len({pin.name for pin, _ in found}) or 'none'}."


def _told(pin: Pin, advisory: Advisory, runs: bool) -> str:
    where = "in production" if runs else "for developers"
    return (
        f"{pin.name} {pin.version} ({where}): {advisory.id}, {advisory.cve}, {advisory.severity},"
        f" versions {advisory.v}: {advisory.advisory}"
    )


def main() -> int:
    """Prints the report; returns AFFECTED where something was found, else 0, also if skipped."""
    try:
        database = load(wheel_in())
    except UnavailableError as error:
        print(f"Skipped, nothing was looked up: {error}")
        return 0
    except ValueError as error:
        sys.exit(f"Nothing was looked up: {error}")
    pins = list(read(ALL).values())
    today = datetime.now(UTC).date()
    for line in report(database, pins, set(read(RUNTIME)), today):
        print(line)
    return AFFECTED if any(database.affecting(pins)) else 0


if __name__ == "__main__":
    sys.exit(main())
