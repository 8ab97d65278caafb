"""Drawn histories of configurations: nothing is missing, sent twice, or from before a horizon.

`HISTORIES=500 pytest tests/service/test_histories.py` draws more of them, `HISTORIES=137:138` one.
"""

import os
from typing import Any

import in_process
import pytest
from drawn_account import DrawnAccount, drawn_account
from drawn_history import Deed, drawn_history
from drawn_settings import DrawnSettings
from rig import Rig

from bridge.sandbox.history import Backfill, History, Look, Step
from bridge.sandbox.verdict import Verdict

pytestmark = pytest.mark.anyio


def seeds() -> range:
    """The seeds to draw from."""
    first, _, last = os.environ.get("HISTORIES", "0:30").rpartition(":")
    return range(int(first or 0), int(last))


class Story:
    """A history as it goes on: the steps of the bridge between the deeds of the account."""

    def __init__(self, rig: Rig) -> None:
        self.steps: list[Step] = []
        self._rig = rig
        self._account = DrawnAccount(rig.world)
        self._settings = DrawnSettings()

    async def go_through(self, deeds: list[Deed]) -> Verdict:
        """Does all deeds; the judge's word on what was sent."""
        for deed in deeds:
            self._rig.later(minutes=deed.wait)
            if deed.what.startswith("set "):
                self._settings.change(deed.what.removeprefix("set "), deed.luck)
            elif deed.what == "look" or deed.what.startswith("backfill"):
                await self._step(deed)
            elif deed.what != "rest":
                self._rig.later(seconds=deed.luck % 2_000 / 100)
                self._account.do(deed.what, deed.luck)
                self._rig.later(seconds=20 - deed.luck % 2_000 / 100)
        return self._rig.verdict_on(History(self.steps))

    async def _step(self, deed: Deed) -> None:
        """A catch-up or a backfill, half a minute away from whatever happens."""
        self._rig.later(seconds=20)
        now = self._rig.clock.now
        environment = self._settings.environment()
        configuration = self._settings.configuration(now)
        if deed.what == "look":
            self.steps.append(Look(now, configuration))
            await in_process.caught_up(self._rig, environment)
        self._rig.later(seconds=20)


@pytest.mark.parametrize("seed", seeds())
async def test_drawn_histories(rig_of: Any, seed: int) -> None:
    deeds = drawn_history(seed)
    async with rig_of(world=drawn_account()) as rig:
        verdict = await Story(rig).go_through(deeds)
        assert verdict.ok, "\n".join((*map(str, deeds), str(verdict)))
        assert not rig.complaints()
