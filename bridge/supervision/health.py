"""The health of the service, as others see it."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.errors import BridgeError, TemporaryError
from bridge.flow.set_aside import SetAside
from bridge.listrak import times
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.state.set_aside import WHOLE_KINDS, PartSetAside

MOST_SHOWN: Final = 100
"""Parts that are set aside, and named one by one."""


class Health:
    """The state of the service as others see it: started, stopping, or waiting."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.ready = False
        self.stopping = False
        self.degraded: dict[int, str] = {}
        """The lists that can't be read, by id, with the reason."""
        self.nothing_left = False
        """Tells whether none of the lists can be read."""
        self.set_aside: SetAside | None = None
        """The parts that are set aside, once there is a state file."""
        self.unserved = False
        """Tells whether the status can't be served, as with a port that is taken."""
        self._problems: dict[str, str] = {}

    def set_problem(self, name: str, sentence: str | None) -> None:
        """Notes what is wrong besides, under a name of its own; None once it is no longer."""
        if sentence is None:
            self._problems.pop(name, None)
        else:
            self._problems[name] = sentence

    def problems(self) -> dict[str, str]:
        """The sentences of what is wrong, besides lists and what is waited for, by name."""
        whole = [] if self.set_aside is None else self.set_aside.records(kinds=WHOLE_KINDS)
        if not whole:
            return dict(self._problems)
        named = ", ".join(sorted(f"{one.part.name} of list {one.part.list_id}" for one in whole))
        return self._problems | {"reading": f"not complete, as it can't be read: {named}"}

    def waiting_for(self) -> list[str]:
        """Names of what keeps the bridge waiting: listrak, segment, state, or a list."""
        samples = next(iter(self._metrics.blocked.collect())).samples
        blocked = sorted(sample.labels["by"] for sample in samples if sample.value)
        return blocked + [f"list {list_id}" for list_id in sorted(self.degraded)]

    def report(self) -> dict[str, Any]:
        """The readiness, and what stands in its way."""
        waiting, problems = self.waiting_for(), self.problems()
        return {
            "ready": self.ready and not self.stopping and not waiting and not problems,
            "status": self.sentence(),
            "waiting_for": waiting,
            "degraded": {str(list_id): reason for list_id, reason in self.degraded.items()},
            "set_aside": [
                {
                    "list": one.part.list_id,
                    "part": one.part.name,
                    "since": times.from_seconds(one.since),
                    "reason": one.reason,
                }
                for one in self._parts_set_aside()[:MOST_SHOWN]
            ],
            "problems": problems,
        }

    def degrade(
        self, problems: Mapping[int, BridgeError], *, nothing_left: bool, once: bool
    ) -> None:
        """Notes which lists can't be read for now, none for all can; logs what has changed of it.

        nothing_left: there are no others.
        once: nobody looks for them again in this run.
        """
        others = "no other list is left" if nothing_left else "the other lists go on"
        for list_id, problem in problems.items():
            if self.degraded.get(list_id) == str(problem):
                continue
            again = "every minute" if isinstance(problem, TemporaryError) else "every ten minutes"
            log.error(
                "list.degraded",
                list=list_id,
                reason=str(problem),
                note=f"{others}; it is looked for again {'at the next start' if once else again}",
            )
        for list_id in self.degraded.keys() - problems.keys():
            log.info("list.back", list=list_id)
        self.nothing_left = nothing_left
        self.degraded = {list_id: str(problem) for list_id, problem in problems.items()}
        self._metrics.degraded.clear()
        for list_id in problems:
            self._metrics.degraded.labels(str(list_id)).set(1)

    def sentence(self) -> str:
        """One line for the service manager."""
        if self.stopping:
            return "stopping: letting what was read arrive"
        if not self.ready:
            return "starting"
        waiting = self.waiting_for()
        state = f"waiting for {', '.join(waiting)}" if waiting else "running"
        state = "; ".join([*self.problems().values(), *([state] if waiting else [])]) or state
        if self.nothing_left:
            state = f"none of the configured lists can be read: {state}"
        if parts := self._parts_set_aside():
            first = f"{parts[0].part.name} of list {parts[0].part.list_id}"
            more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
            state = f"{state}; set aside: {first}{more}"
        return f"{state}; health and metrics can't be served" if self.unserved else state

    def _parts_set_aside(self) -> list[PartSetAside]:
        return [] if self.set_aside is None else self.set_aside.records()
