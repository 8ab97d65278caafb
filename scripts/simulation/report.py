"""The simulation's tables, and what its picture is drawn from."""

from dataclasses import dataclass

from rich.table import Table

from simulation.freshness import AGES
from simulation.population import DAY, HOUR, KINDS, MINUTE
from simulation.strategies import Result


@dataclass(frozen=True)
class Scale:
    """How the simulated list stands for the retailer: so many lists, each so many times larger."""

    lists: int
    audience: int
    days: int

    def calls(self, result: Result) -> int:
        """Calls of the whole retailer."""
        return result.calls * self.lists

    def rows(self, result: Result) -> int:
        """Rows of the whole retailer."""
        return (result.rows * self.audience + result.listed) * self.lists

    def calls_a_second(self, result: Result) -> float:
        """Of the whole retailer, on average."""
        return self.calls(result) / self.days / DAY

    def rows_per_event(self, result: Result) -> float:
        """Rows that were read for each event that was seen."""
        events = result.freshness.seen * self.audience * self.lists
        return self.rows(result) / max(1, events)


def costs(results: list[Result], scale: Scale) -> Table:
    """What each strategy cost and what it brought."""
    table = Table(title=f"{scale.days} days, as scaled to the whole retailer", show_lines=True)
    table.add_column("strategy")
    for column in (
        "calls a day",
        "calls/s",
        "rows, millions",
        "rows per new event",
        "events missed",
    ):
        table.add_column(column, justify="right")
    for result in results:
        missed = result.missed / max(1, result.missed + result.freshness.seen)
        table.add_row(
            result.name,
            f"{scale.calls(result) / scale.days:,.0f}",
            f"{scale.calls_a_second(result):.2f}",
            f"{scale.rows(result) / 1e6:,.0f}",
            f"{scale.rows_per_event(result):.2f}",
            f"{missed:.2%}" if missed else "none",
        )
    return table


def freshness(results: list[Result]) -> Table:
    """From happening to being seen."""
    table = Table(title="From happening to being seen: p50 / p95 / most", show_lines=True)
    for column in ("strategy", "event", *(name for name, *_ in AGES)):
        table.add_column(column, justify="left" if column in ("strategy", "event") else "right")
    for result in results:
        for kind in KINDS:
            cells = [result.freshness.of(kind, least, most) for _, least, most in AGES]
            if any(cells):
                shown = [" / ".join(map(span, cell)) if cell else "" for cell in cells]
                table.add_row(result.name, kind, *shown)
    return table


def state(results: list[Result]) -> Table:
    """The state file, where there is one."""
    table = Table(title="State file, bytes per tracked event", show_lines=True)
    table.add_column("strategy")
    kept = [result for result in results if result.state]
    days = sorted({*range(10, kept[0].days + 1, 10)}) if kept else []
    for day in days:
        table.add_column(f"day {day}", justify="right")
    for result in kept:
        cells = []
        for day in days:
            size, events = result.state[min(day, len(result.state)) - 1]
            cells.append(f"{size / max(1, events):.1f} ({size / 1e6:.1f} MB)")
        table.add_row(result.name, *cells)
    return table


def span(seconds: float) -> str:
    """Seconds as people say them."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def picture_of(results: list[Result], scale: Scale) -> dict[str, dict[str, float]]:
    """By strategy: rows per new event; p95 of first-day opens (minutes) and of orders (hours)."""
    figures: dict[str, dict[str, float]] = {}
    for result in results:
        opens = result.freshness.of("opened", 0, DAY)
        orders = result.freshness.of("ordered", 0, 1e12)
        figures[result.name] = {
            "rows": scale.rows_per_event(result),
            "opens": opens[1] / MINUTE if opens else 0.0,
            "orders": orders[1] / HOUR if orders else 0.0,
        }
    return figures
