"""Tables of what was tried, how often, and what was found."""

from statistics import median

from bench.tables import table
from rich.table import Table

from crash.outcome import Outcome


def figures(title: str, outcome: Outcome) -> Table:
    """How many of each."""
    made = table(title, "what", "number")
    for name, number in outcome.counts.items():
        made.add_row(name, f"{number:,}")
    made.add_row("findings", f"{len(outcome.findings):,}")
    return made


def of_kinds(title: str, outcome: Outcome) -> Table:
    """What came of each kind, where counts are named `kind: what`."""
    ends = sorted({name.partition(": ")[2] for name in outcome.counts} - {"tried"})
    kinds = dict.fromkeys(name.partition(": ")[0] for name in outcome.counts)
    made = table(title, "kind", "tried", *ends)
    for kind in sorted(kinds):
        made.add_row(kind, *(f"{outcome.counts[f'{kind}: {end}']:,}" for end in ("tried", *ends)))
    sums = (sum(outcome.counts[f"{kind}: {end}"] for kind in kinds) for end in ("tried", *ends))
    made.add_row("all", *(f"{number:,}" for number in sums))
    return made


def times(title: str, outcome: Outcome) -> Table:
    """Seconds that each kind took."""
    made = table(title, "Listrak/Segment", "stops", "median s", "longest s")
    for kind, seconds in sorted(outcome.seconds.items()):
        made.add_row(kind, f"{len(seconds)}", f"{median(seconds):.2f}", f"{max(seconds):.2f}")
    return made
