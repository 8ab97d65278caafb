"""The simulation's tables, and what its picture is drawn from."""

from collections.abc import Iterable, Sequence

from bench.tables import table
from rich.table import Table

from bridge.clock import DAY, HOUR, MINUTE
from simulation.freshness import AGES, ALWAYS
from simulation.population import CONTACT_KINDS, KINDS
from simulation.result import Result


def costs(results: Iterable[Result]) -> Table:
    """What each strategy cost and what it brought."""
    made = table(
        "As scaled to the whole retailer",
        "strategy",
        "days",
        "scale",
        "calls a day",
        "calls/s",
        "rows, millions",
        "events, millions",
        "rows per new event",
        "missed",
        "took",
    )
    for result in results:
        missed = result.missed / max(1, result.missed + result.freshness.seen)
        made.add_row(
            result.name,
            f"{result.days}",
            f"1:{result.retailer.scale}",
            f"{result.calls_a_day:,.0f}",
            f"{result.calls_a_second:.2f}",
            f"{result.all_rows / 1e6:,.1f}",
            f"{result.all_events / 1e6:,.1f}",
            f"{result.rows_per_event:.2f}",
            f"{missed:.2%}" if missed else "none",
            f"{result.seconds:,.0f} s" if result.seconds else "",
        )
    return made


def calls(results: Sequence[Result]) -> Table:
    """Calls a day of the whole retailer, by resource; the most frequent first."""
    own = [result for result in results if result.calls_of]
    made = table("Calls a day by resource", "resource", *(result.name for result in own))
    resources = {name for result in own for name in result.calls_of}
    for name in sorted(resources, key=lambda name: (-own[0].calls_of.get(name, 0), name)):
        numbers = (one.calls_of.get(name, 0) * one.retailer.lists / one.days for one in own)
        made.add_row(name, *(f"{number:,.0f}" for number in numbers))
    return made


def freshness(results: Iterable[Result]) -> Table:
    """From happening to being seen, of emails."""
    made = table(
        "From happening to being delivered, by age of the email: p50 / p95 / most",
        "strategy",
        "event",
        *(name for name, *_ in AGES),
    )
    for result in results:
        for kind in KINDS:
            cells = [result.freshness.of(kind, least, most) for _, least, most in AGES]
            if any(cells):
                made.add_row(result.name, kind, *(_times(cell) for cell in cells))
    return made


def contacts(results: Sequence[Result]) -> Table:
    """From a contact's change to being told."""
    own = [result for result in results if result.identifies]
    made = table(
        "Contacts, from the change to the identify: p50 / p95 / most",
        "strategy",
        *CONTACT_KINDS,
        "states told",
    )
    for result in own:
        cells = (result.freshness.of(kind, 0.0, 1.0) for kind in CONTACT_KINDS)
        made.add_row(result.name, *map(_times, cells), f"{result.identifies:,}")
    return made


def state(results: Iterable[Result]) -> Table:
    """The state file, where there is one."""
    kept = [result for result in results if result.state]
    most = max((result.days for result in kept), default=0)
    days = [*range(10, most + 1, 10)] or [most]
    made = table(
        "State file, bytes per tracked event; without contacts, and what an empty file has",
        "strategy",
        *(f"day {day}" for day in days),
    )
    for result in kept:
        there = [result.state[day - 1] for day in days if day <= len(result.state)]
        cells = [f"{size / max(1, events):.1f} ({size / 1e6:.2f} MB)" for size, events in there]
        made.add_row(result.name, *cells)
    return made


def digests(results: Iterable[Result]) -> Table:
    """What two runs with the same seed have in common."""
    made = table("The same seed, the same digests", "strategy", "calls", "events")
    for result in results:
        if result.digest:
            made.add_row(result.name, result.digest, result.events_digest)
    return made


def _times(cell: tuple[float, float, float] | None) -> str:
    return " / ".join(map(span, cell)) if cell else ""


def span(seconds: float) -> str:
    """Seconds as people say them."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def picture_of(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """By strategy: rows per new event; p95 of first-day opens (minutes) and of orders (hours)."""
    figures: dict[str, dict[str, float]] = {}
    for result in results:
        opens = result.freshness.of("opened", 0, DAY)
        orders = result.freshness.of("ordered", 0, ALWAYS)
        figures[result.name] = {
            "rows": result.rows_per_event,
            "opens": opens[1] / MINUTE if opens else 0.0,
            "orders": orders[1] / HOUR if orders else 0.0,
        }
    return figures
