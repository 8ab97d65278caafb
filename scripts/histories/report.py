"""Tables of what was lived, what struck, and which rare paths were reached."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from bench.tables import table
from proofs.proof import Proof
from rich.table import Table

from bridge.clock import HOUR
from histories.outcome import Outcome
from histories.paths import PATHS

ABOUT: Final = (
    "The whole service on a virtual clock, each history drawn from a seed "
    "(`make histories SEEDS=...`): lives in trouble, and settings that change."
)
ABOUT_TROUBLES: Final = (
    "How often each trouble struck in these histories: answers, statements, jumps."
)
ABOUT_PATHS: Final = "How often these histories came to what seldom happens."


def proofs_of(outcomes: Sequence[Outcome], seconds: float) -> list[Proof]:
    """What is kept of them all."""
    findings = [one for outcome in outcomes for one in outcome.findings]
    lived = {
        "histories": len(outcomes),
        "virtual hours": round(sum(one.virtual for one in outcomes) / HOUR),
        **dict(_sum(one.counts for one in outcomes).most_common()),
    }
    struck, logged = (_sum(getattr(one, name) for one in outcomes) for name in ("struck", "logged"))
    return [
        Proof("Histories", ABOUT, lived, findings, seconds),
        Proof("Troubles in histories", ABOUT_TROUBLES, dict(sorted(struck.items()))),
        Proof(
            "Rare paths in histories", ABOUT_PATHS, {PATHS[name]: logged[name] for name in PATHS}
        ),
    ]


def totals(outcomes: Sequence[Outcome]) -> Table:
    """What was lived, in numbers."""
    made = table("Histories", "what", "number")
    made.add_row("histories", f"{len(outcomes):,}")
    made.add_row("with findings", f"{sum(bool(one.findings) for one in outcomes):,}")
    made.add_row("virtual hours", f"{sum(one.virtual for one in outcomes) / HOUR:,.0f}")
    for name, number in _sum(one.counts for one in outcomes).most_common():
        made.add_row(name, f"{number:,}")
    return made


def troubles(outcomes: Sequence[Outcome]) -> Table:
    """How often each kind of trouble struck."""
    made = table("Troubles", "kind", "struck")
    for kind, number in sorted(_sum(one.struck for one in outcomes).items()):
        made.add_row(kind, f"{number:,}")
    return made


def reached(outcomes: Sequence[Outcome]) -> tuple[Table, list[str]]:
    """How often each rare path was taken, and those that never were."""
    logged = _sum(one.logged for one in outcomes)
    made = table("Rare paths", "logged", "what happens", "times")
    for name, what in PATHS.items():
        made.add_row(name, what, f"{logged[name]:,}")
    return made, [name for name in PATHS if not logged[name]]


def _sum(counters: object) -> Counter[str]:
    summed: Counter[str] = Counter()
    for one in counters:  # type: ignore[attr-defined]
        summed.update(one)
    return summed
