"""The settings that change what is due, as the command takes them and as the judge does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bridge.sandbox.history import Configuration
from bridge.sandbox.inspection import EVENT_NAMES
from histories.account import LISTS, START

CHANGES: Final = (
    "track_days",
    "lists",
    "lists",
    "events",
    "since",
    "fields",
    "extra_properties",
    "timezone",
)
"""The settings that change; the more often, the likelier."""

TRACK_DAYS: Final = (7, 14, 30, 45, 60)
SINCES: Final = (None, None, 5, 30, "fixed")
"""BRIDGE_SINCE: the first start, a number of days before, or an instant."""

TIMEZONES: Final = (None, None, "America/Chicago", "UTC", "Asia/Tokyo")
"""LISTRAK_TIMEZONE; Listrak's own is the default."""

EXTRA_PROPERTIES: Final = ("bounce_reason", "link_description", "campaign_id")
FIELDS: Final = (0, 1, "Customer ID", "Loyalty", None)
"""The profile field that holds the userId: which of the list's two, or its name; None for none."""

FIRST_FIELD: Final = 777
FIXED: Final = START - timedelta(seconds=30)


@dataclass
class DrawnSettings:
    """The settings of a run.

    fields: by list, see FIELDS.
    since: see SINCES.
    """

    lists: set[int] = field(default_factory=lambda: set(LISTS[:2]))
    fields: dict[int, int | str | None] = field(default_factory=dict)
    events: set[str] = field(default_factory=lambda: set(EVENT_NAMES))
    track_days: int = 30
    since: int | str | None = None
    extra_properties: set[str] = field(default_factory=set)
    timezone: str | None = None

    def change(self, name: str, luck: int) -> None:
        """Changes a setting of CHANGES."""
        if name == "track_days":
            self.track_days = TRACK_DAYS[luck % len(TRACK_DAYS)]
        elif name == "lists":
            changed = self.lists ^ {LISTS[luck % len(LISTS)]}
            self.lists = changed or self.lists
        elif name == "events":
            self._change_events(luck)
        elif name == "since":
            self.since = SINCES[luck % len(SINCES)]
        elif name == "fields":
            self.fields[LISTS[luck % len(LISTS)]] = FIELDS[luck // len(LISTS) % len(FIELDS)]
        elif name == "timezone":
            self.timezone = TIMEZONES[luck % len(TIMEZONES)]
        else:
            self.extra_properties ^= {EXTRA_PROPERTIES[luck % 3]}

    def _change_events(self, luck: int) -> None:
        """All are wanted, or all but one, two or three."""
        names = sorted(EVENT_NAMES)
        unwanted = {names[luck // 7**place % len(names)] for place in range(luck % 4)}
        self.events = set(EVENT_NAMES) - unwanted

    def environment(self) -> dict[str, str]:
        """The environment's variables: "" is as good as none."""
        fields = {list_id: self._field(list_id) for list_id in sorted(self.lists)}
        since = f"{FIXED:%Y-%m-%dT%H:%M:%S}Z" if self.since == "fixed" else f"{self.since}d"
        return {
            "LISTRAK_LISTS": ",".join(f"{i}={f}" if f else f"{i}" for i, f in fields.items()),
            "BRIDGE_EVENTS": ",".join(sorted(self.events)),
            "BRIDGE_TRACK_DAYS": str(self.track_days),
            "BRIDGE_SINCE": "" if self.since is None else since,
            "LISTRAK_TIMEZONE": self.timezone or "",
            "BRIDGE_EXTRA_PROPERTIES": ",".join(sorted(self.extra_properties)) or "none",
        }

    def configuration(self, at: datetime) -> Configuration:
        """The same for the judge, at an instant."""
        since = None if self.since is None else FIXED
        if isinstance(self.since, int):
            since = at - timedelta(days=self.since)
        return Configuration(
            lists={list_id: self._field(list_id) for list_id in self.lists},
            events=frozenset(self.events),
            track_days=self.track_days,
            since=since,
            extra_properties=frozenset(self.extra_properties),
            timezone=self.timezone,
        )

    def _field(self, list_id: int) -> int | str | None:
        """The id or name of the profile field of a list."""
        field = self.fields.get(list_id, 0)
        return FIRST_FIELD + 2 * LISTS.index(list_id) + field if isinstance(field, int) else field
