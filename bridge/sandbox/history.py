"""The history of a bridge: each catch-up and backfill, with the configuration it ran with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .inspection import EVENT_NAMES
from .world import World

NOBODY = frozenset(
    ("", "0", "-1", "null", "none", "undefined", "nan", "n/a", "na", "anonymous", "unknown", "test")
)
"""Values of a profile field that are nobody's id, compared without case and outer spaces."""

NOWHERE = "nowhere"
"""Stands for a profile field that the list hasn't."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The settings of a run, as far as what is due depends on them.

    lists: by id, the profile field of the userId: its id, its name, or None for none.
    events: the names of the track events that are wanted.
    track_days: days after a send for which its message is read.
    since: start horizon of lists that are read for the first time; None for that moment.
    extra_properties: of `bounce_reason`, `link_description`, `campaign_id`.
    timezone: zone in which the API's naive times are read, None for the one that they are of.
    """

    lists: Mapping[int, int | str | None]
    events: frozenset[str] = EVENT_NAMES
    track_days: float = 30
    since: datetime | None = None
    extra_properties: frozenset[str] = frozenset()
    timezone: str | None = None

    @property
    def track(self) -> timedelta:
        """The time after a send for which its message is read."""
        return timedelta(days=self.track_days)


@dataclass(frozen=True, eq=False)
class Look:
    """A complete catch-up with everything that there is at an instant of the world."""

    at: datetime
    configuration: Configuration

    def __str__(self) -> str:
        return f"the look of {self.at.isoformat()}"


@dataclass(frozen=True, eq=False)
class Backfill:
    """A backfill that was run to its end by itself, which finds nothing that is new.

    since: what happened before is not asked for; None (with `withheld`) for all.
    list_id: None for all configured lists.
    withheld: it brings what was withheld as not wanted, else what was before the start horizon.
    warehouse_only: its events are marked to reach no destination but warehouses.
    """

    at: datetime
    configuration: Configuration
    since: datetime | None = field(default=None, kw_only=True)
    list_id: int | None = field(default=None, kw_only=True)
    withheld: bool = field(default=False, kw_only=True)
    warehouse_only: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.since is None and not self.withheld:
            raise ValueError("a backfill of what was before the horizon needs an instant")

    def __str__(self) -> str:
        return f"the backfill of {self.at.isoformat()}"


Step = Look | Backfill


@dataclass(frozen=True)
class History:
    """The expectation that at every step all came that was due under the configuration of its time.

    What happens, or is edited, at the very instant of a step is seen by it, so the clock has to be
    set forward after each.

    steps: in order; ValueError for any other.
    strict_cause: an Unsubscribed must name the message that caused it.
    extra_fields: value of the emulator's switch.
    slack: how far a timestamp may lie past what it stands for: one that is "best known" past the
        true instant, an identify's past that of its look.
    timezone: zone of the API's naive times.
    nobody: values of a profile field that are withheld.
    """

    steps: Sequence[Step]
    strict_cause: bool = field(default=True, kw_only=True)
    extra_fields: bool = field(default=False, kw_only=True)
    slack: timedelta = field(default=timedelta(seconds=60), kw_only=True)
    timezone: str = field(default="America/New_York", kw_only=True)
    nobody: frozenset[str] = field(default=NOBODY, kw_only=True)

    def __post_init__(self) -> None:
        instants = [step.at for step in self.steps]
        if instants != sorted(instants):
            raise ValueError("the steps of a history are in order")

    @property
    def lists(self) -> set[int]:
        """The lists that were ever configured."""
        return {list_id for step in self.steps for list_id in step.configuration.lists}


class ListHistory:
    """The history of one list: the steps at which it was configured and could be read.

    looks: the catch-ups, each with its place among all steps.
    backfills: likewise.
    """

    def __init__(self, history: History, world: World, list_id: int) -> None:
        self.list_id = list_id
        self.looks: list[tuple[int, Look]] = []
        self.backfills: list[tuple[int, Backfill]] = []
        for place, step in enumerate(history.steps):
            if not is_read(world, step, list_id):
                continue
            if isinstance(step, Look):
                self.looks.append((place, step))
            elif step.list_id in (None, list_id):
                self.backfills.append((place, step))

    @property
    def horizon(self) -> datetime:
        """The start horizon. IndexError where the list was never read."""
        _, first = self.looks[0]
        return first.configuration.since or first.at

    @property
    def beginning(self) -> list[Look]:
        """The first look, if there is one."""
        return [look for _, look in self.looks[:1]]

    @property
    def began_in_another_zone(self) -> bool:
        """Tells whether the start horizon divides times that are read in a zone not theirs."""
        return any(look.configuration.timezone is not None for look in self.beginning)

    def look_after(self, at: datetime) -> tuple[int, Look] | None:
        """The first look that sees what happened at an instant."""
        return next((one for one in self.looks if one[1].at >= at), None)

    def look_before(self, place: int) -> Look | None:
        """The last look before a place among all steps."""
        earlier = [look for number, look in self.looks if number < place]
        return earlier[-1] if earlier else None

    def forgetting_look(self, sent: datetime, place: float) -> Look | None:
        """The first look before a place that came after a send was tracked."""
        return next(
            (
                look
                for number, look in self.looks
                if number < place and look.at >= sent + look.configuration.track
            ),
            None,
        )


def is_read(world: World, step: Step, list_id: int) -> bool:
    """Tells whether a step reads a list: it is configured, there, and has the profile field."""
    if list_id not in step.configuration.lists or not world.has_list(list_id, step.at):
        return False
    return field_at(world, step, list_id) != NOWHERE


def field_at(world: World, step: Step, list_id: int) -> int | str | None:
    """The id of the profile field that a step has configured; NOWHERE if the list hasn't it."""
    wanted = step.configuration.lists[list_id]
    if wanted is None:
        return None
    names = world.field_names(list_id, step.at)
    return next((key for key, name in names.items() if wanted in (key, name)), NOWHERE)
