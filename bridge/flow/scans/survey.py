"""What a look is to read, and what it has read so far."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.flow.scans.case import Case, Plan
from bridge.flow.scans.outcome import Outcome, settle
from bridge.flow.scans.watch import Numbers
from bridge.state.records import Position
from bridge.vocabulary import CLICKED


@dataclass(eq=False)
class Survey:
    """`rows` are counted by the name of the step; `undone` are steps that Listrak refused to do.

    `summary`: the counters as JSON, "" where there are none; `position`: where a whole look that
    was begun goes on. `links`: clicks that each link had when they were listed.
    """

    case: Case
    plan: Plan
    summary: str = ""
    position: Position = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    undone: set[str] = field(default_factory=set)
    links: dict[int, int] = field(default_factory=dict)
    outcome: Outcome | None = None

    @property
    def is_long(self) -> bool:
        """Whether it takes many calls, as far as one can tell."""
        return self.plan.rows > self.case.page

    def settle(self, seen: Numbers) -> Outcome:
        """What follows, now that everything read is saved and `seen` is what is known."""
        scans = tuple(scan for scan in self.plan.scans if scan.step.name not in self.undone)
        done = Plan(self.plan.whole, scans)
        self.outcome = settle(self.case, done, self.rows, seen)
        if not self.outcome.watching.watch(CLICKED).marked_at:
            # Else clicks are still to come: their links must not look as if they were read.
            self.outcome.watching.links.update(self.links)
        return self.outcome
