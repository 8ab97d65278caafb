"""What came of a trial."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Figures of a trial, and a sentence for each thing that was wrong.

    counts: how many of each.
    seconds: how long each of what is measured took, by its kind.
    """

    counts: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """All together."""
    whole = Outcome()
    for one in outcomes:
        whole.counts.update(one.counts)
        whole.findings += one.findings
        for kind, seconds in one.seconds.items():
            whole.seconds.setdefault(kind, []).extend(seconds)
    return whole
