"""What came of a history."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What came of a history.

    findings: sentences about what is wrong.
    story: lines, in order.
    digest: of all that was logged and received, and when.
    counts: lives, kills, stops, calls, events and others, by name.
    struck: how often each kind of trouble did.
    logged: how often each event was logged.
    virtual: seconds of the virtual clock; `seconds`: of the real one.
    """

    findings: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0
    seconds: float = 0.0
