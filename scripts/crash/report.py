"""Tables of what was tried, how often, and what was found."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.tables import table
from proofs.proof import Proof
from rich.table import Table

from crash.outcome import Outcome

KILLS: Final = "SIGKILL"
STOPS: Final = "SIGTERM"
CALLS: Final = "System calls that fail"
LOSSES: Final = "Power losses"
DAMAGE: Final = "Damaged state files"
ABOUT: Final = {
    KILLS: "Real processes killed at drawn moments while the world goes on (`make crash`): only"
    " what was on its way may come again.",
    STOPS: "Real processes told to end at drawn moments, while each server is well, slow, silent, "
    "cuts connections, or is gone.",
    CALLS: "A first catch-up that is killed, or fails by the disk, at its nth sync or write.",
    LOSSES: "What a catch-up wrote, cut at drawn places as by a power loss: what wasn't synced may"
    " be lost or torn.",
    DAMAGE: "State files damaged at random bits, bytes, rows, columns, pages and lengths: refused "
    "unchanged, or all is sent as if nothing was.",
}


def tables(title: str, outcome: Outcome) -> Iterator[Table]:
    """The tables of a kind of trial."""
    if title in (CALLS, DAMAGE):
        yield of_kinds(title, outcome)
    else:
        yield figures(title, outcome)
    if outcome.seconds:
        yield times("From SIGTERM to the end", outcome)


def proof_of(title: str, outcome: Outcome, seconds: float) -> Proof:
    """What is kept of it."""
    tried: dict[str, int | float | str] = dict(sorted(outcome.counts.items()))
    took = [each for times in outcome.seconds.values() for each in times]
    if took:
        tried |= {"seconds to the end: median": median(took), "longest": max(took)}
    if not tried:
        tried = {"left out": "this machine has no strace"}
    return Proof(title, ABOUT[title], tried, outcome.findings, seconds)


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
