"""What a look is to read, and what it has read so far."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.flow.scans.case import Case, Plan
from bridge.flow.scans.outcome import Outcome, settle
from bridge.flow.scans.watch import Numbers


@dataclass(eq=False)
class Survey:
    """`rows` are counted by the name of the step; `undone` are steps that Listrak refused to do.

    `links`: clicks that each link had when they were listed.
    """

    case: Case
    plan: Plan
    rows: Counter[str] = field(default_factory=Counter)
    undone: set[str] = field(default_factory=set)
    links: dict[int, int] = field(default_factory=dict)
    outcome: Outcome | None = None

    def settle(self, seen: Numbers) -> Outcome:
        """What follows, now that everything read is saved and `seen` is what is known."""
        scans = tuple(scan for scan in self.plan.scans if scan.step.name not in self.undone)
        done = Plan(self.plan.whole, scans)
        self.outcome = settle(self.case, done, self.rows, seen)
        self.outcome.watching.links.update(self.links)
        return self.outcome
