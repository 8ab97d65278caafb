"""The story of a drawn history: deeds of the account, and steps of the bridge between them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import in_process
from drawn_history import Deed
from drawn_settings import DrawnSettings
from histories.account import DrawnAccount
from rig import Rig

from bridge.sandbox.history import Backfill, Configuration, History, Look, Step, is_read
from bridge.sandbox.verdict import Verdict

BACKFILL_DAYS = (3, 10, 25, 40, 60, 90)
"""How far back a backfill goes."""

ONE_EACH = {"Email Sent", "Email Opened", "Email Link Clicked", "Email Bounced"}
"""Events of which Listrak counts as many as are sent."""

PAUSE = 20
"""Seconds between a step and whatever happens, as instants of a step are not exact."""


class Story:
    """A history as it goes on.

    steps: those of the bridge so far.
    untrue: what the bridge said at the end and wasn't so.
    """

    def __init__(self, rig: Rig) -> None:
        self.steps: list[Step] = []
        self.untrue: list[str] = []
        self._rig = rig
        self._account = DrawnAccount(rig.world)
        self._settings = DrawnSettings()

    def __str__(self) -> str:
        return "\n".join(map(_sentence, self.steps))

    async def go_through(self, deeds: Sequence[Deed]) -> Verdict:
        """Does all deeds; the judge's word on what was sent."""
        for deed in deeds:
            self._rig.later(minutes=deed.wait)
            if deed.what.startswith("set "):
                self._settings.change(deed.what.removeprefix("set "), deed.luck)
            elif deed.is_step:
                self._rig.later(seconds=PAUSE)
                await self._step(deed)
                self._rig.later(seconds=PAUSE)
            elif deed.what != "rest":
                hundredths = deed.luck % (100 * PAUSE)
                self._rig.later(seconds=hundredths / 100)
                self._account.do(deed.what, deed.luck)
                self._rig.later(seconds=PAUSE - hundredths / 100)
        self.untrue = await self._untrue_sentences() if self.steps else []
        return self._rig.verdict_on(History(self.steps))

    async def _untrue_sentences(self) -> list[str]:
        """What `reconcile` says at the end and isn't so: how many events of an email were sent."""
        told = await in_process.reconciled(self._rig, self._settings.environment())
        arrived = Counter(
            (event["event"], event["properties"].get("email_id"), event["properties"]["list_id"])
            for event in self._rig.delivered().values()
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

    async def _step(self, deed: Deed) -> None:
        environment = self._settings.environment()
        now = self._rig.clock.now
        configuration = self._settings.configuration(now)
        look = Look(now, configuration)
        is_whole = all(is_read(self._rig.world, look, i) for i in configuration.lists)
        if deed.what == "interrupted_look":
            # As likely early, where little happens at a turn, as late.
            await in_process.killed(self._rig, environment, int(2 ** (deed.luck % 1024 / 80)))
        if deed.is_look:
            # A first start that can't read a list ends there; later ones go on with the others.
            if is_whole or self.steps:
                self.steps.append(look)
            await in_process.caught_up(self._rig, environment)
        elif is_whole and self.steps:
            step = _backfill(deed, now, configuration)
            self.steps.append(step)
            await in_process.backfilled(self._rig, environment, step)


def _backfill(deed: Deed, now: datetime, configuration: Configuration) -> Backfill:
    """A backfill of all or one of the lists, of all or a part of what there is."""
    withheld, luck = deed.what == "backfill_events", deed.luck
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


def _sentence(step: Step) -> str:
    """A step with its configuration, for people."""
    configuration = step.configuration
    parts = [
        f"lists {dict(sorted(configuration.lists.items()))}",
        f"events {', '.join(sorted(configuration.events))}",
        f"{configuration.track_days:g} days",
        f"since {configuration.since}",
        f"zone {configuration.timezone}",
        f"extra {sorted(configuration.extra_properties)}",
    ]
    if isinstance(step, Backfill):
        parts.append(f"from {step.since}, list {step.list_id}, withheld {step.withheld}")
        parts.append(f"warehouse only {step.warehouse_only}")
    return f"{step}: {'; '.join(parts)}"
