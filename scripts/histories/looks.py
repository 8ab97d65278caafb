"""Catch-ups and backfills of a history of settings, as its judge knows them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Final

from bridge.commands.backfill import backfill, wish_of
from bridge.errors import ConfigurationError, cause
from bridge.sandbox.history import Backfill, Configuration, Look, Step, is_read
from bridge.service import Service
from histories.configuration import DrawnSettings
from histories.reconciled import reconciled
from histories.service import Stage

BACKFILL_DAYS: Final = (3, 10, 25, 40, 60, 90)
"""How far back a backfill goes."""

ONE_EACH: Final = {"Email Sent", "Email Opened", "Email Link Clicked", "Email Bounced"}
"""Events of which Listrak counts as many as are sent."""

PAUSE: Final = timedelta(seconds=20)
"""Between a step and whatever happens, as instants of a step are not exact."""


class Looks:
    """The catch-ups and backfills.

    steps: those that counted so far, in order.
    """

    def __init__(self, stage: Stage) -> None:
        self.steps: list[Step] = []
        self._stage = stage
        self._settings = DrawnSettings()
        self._look: Look | None = None
        self._first_start: float | None = None

    def change(self, changes: Sequence[tuple[str, int]]) -> None:
        """Changes settings, each as its luck says."""
        for name, luck in changes:
            self._settings.change(name, luck)
        self._stage.environment |= self._settings.environment()

    def begin(self, minutes: float) -> bool:
        """Begins a catch-up; tells whether there may be lives in trouble before it.

        minutes: how long they would take.
        """
        self._stage.clock.advance(PAUSE)
        now = self._stage.now
        self._look = Look(now, self._begun(now))
        if not minutes or not self._is_sure(self._look, timedelta(minutes=2 * minutes)):
            return False
        # What it read is due, however it ends.
        self._note()
        return True

    async def end(self) -> str:
        """Ends it, in health; tells in a few words what there was to look at."""
        assert self._look is not None
        self._note()
        look, self._look = self._look, None
        try:
            await Service(self._stage.settings(), once=True).run()
        except BaseException as group:
            error = cause(group)
            # Of lists that the account hasn't the others are caught up.
            if not isinstance(error, ConfigurationError):
                raise
        self._stage.clock.advance(PAUSE)
        return _told(look.configuration)

    async def backfill(self, luck: int) -> str:
        """Makes a backfill to its end, if there is something that it could bring."""
        self._stage.clock.advance(PAUSE)
        now = self._stage.now
        configuration = self._settings.configuration(now)
        if not self.steps or not self._is_whole(Look(now, configuration)):
            return "no backfill: a list can't be read"
        step = _drawn_backfill(luck, now, configuration)
        wanted, since = self._stage.settings(), step.since
        wish = wish_of(
            wanted,
            None if since is None else since.isoformat(),
            events=step.withheld,
            warehouse_only=step.warehouse_only,
        )
        self.steps.append(step)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            await backfill(wanted, wish, only_list=step.list_id)
        self._stage.clock.advance(PAUSE)
        return f"backfilled from {since}, list {step.list_id}, withheld {step.withheld}"

    async def untrue(self) -> list[str]:
        """What `reconcile` says at the end and isn't so: how many events of an email were sent."""
        if not self.steps:
            return []
        told = await reconciled(self._stage.settings())
        arrived = Counter(
            (event["event"], event["properties"].get("email_id"), event["properties"]["list_id"])
            for event in {one["messageId"]: one for one in self._stage.segment.received()}.values()
            if event["type"] == "track"
        )
        found = []
        for line in told["lines"]:
            if line["event"] not in ONE_EACH or line["sent"] is None:
                continue
            number = arrived[line["event"], str(line["message"]), str(line["list"])]
            # Backfills send old sends as well of what goes on sending, of which it speaks apart.
            more = number if line["kind"] == "conversation" else line["sent"]
            if not line["sent"] <= number <= more:
                found.append(f"reconcile says {line['sent']} sent, {number} arrived: {line}")
        return found

    def _begun(self, now: datetime) -> Configuration:
        """The configuration of a look.

        A first start that can't read a list ends; the next one goes on with it, so much later as
        this machine's clock says.
        """
        if self.steps:
            return self._settings.configuration(now)
        boot_time = self._stage.machine.boot_time()
        if self._first_start is None:
            self._first_start = boot_time
        first = now - timedelta(seconds=boot_time - self._first_start)
        configuration = self._settings.configuration(first)
        return replace(configuration, since=configuration.since or first)

    def _note(self) -> None:
        """Counts the look as a step, once; a first one that can't read a list ends there."""
        look = self._look
        if look not in self.steps and look is not None and (self.steps or self._is_whole(look)):
            self.steps.append(look)

    def _is_whole(self, look: Look) -> bool:
        world = self._stage.world
        return all(is_read(world, look, list_id) for list_id in look.configuration.lists)

    def _is_sure(self, look: Look, longest: timedelta) -> bool:
        """Tells whether it says the same what is due at the end of lives before it as now."""
        ends = (
            fact.at + look.configuration.track
            for fact in self._stage.world.log
            if fact.what == "send"
        )
        return bool(self.steps) and not any(
            look.at - PAUSE <= end <= look.at + longest for end in ends
        )


def _drawn_backfill(luck: int, now: datetime, configuration: Configuration) -> Backfill:
    """A backfill of all or one of the lists, of all or a part of what there is."""
    withheld = luck % 2 == 0
    luck //= 2
    since = now - timedelta(days=BACKFILL_DAYS[luck % len(BACKFILL_DAYS)])
    lists = [None, *sorted(configuration.lists)]
    return Backfill(
        now,
        configuration,
        since=None if withheld and luck // 10 % 2 else since,
        list_id=lists[luck // 100 % len(lists)],
        withheld=withheld,
        warehouse_only=luck // 1000 % 3 == 0,
    )


def _told(configuration: Configuration) -> str:
    parts = (
        f"lists {dict(sorted(configuration.lists.items()))}",
        f"events {', '.join(sorted(configuration.events))}",
        f"{configuration.track_days:g} days",
        f"since {configuration.since}",
        f"zone {configuration.timezone}",
        f"extra {sorted(configuration.extra_properties)}",
    )
    return f"caught up: {'; '.join(parts)}"
