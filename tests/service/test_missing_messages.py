"""Messages that Listrak says it doesn't have: they may be back, and are given up after a day."""

from pathlib import Path
from typing import Any

import in_process
import pytest
from histories.history import Deed, Episode, History
from histories.life import lived_through
from histories.troubles import Trouble
from rig import make_rig

from bridge.clock import DAY, HOUR

MINUTES_AWAY = 40 * DAY / 60


def test_a_message_may_be_back() -> None:
    """One that was sent and was over while nothing ran: a 404 at its first poll loses nothing."""
    sent = Episode("rest", MINUTES_AWAY, (Deed(60, "broadcast", 7), Deed(70, "click", 7)))
    trouble = (Trouble("listrak", "status:404,path=Activity", 0.0, 1.0, 0),)
    missing = Episode("look", 2, troubles=trouble)
    history = History(1, (), (Episode("look", 0), sent, missing, Episode("look", 0)))
    outcome = lived_through(history)
    assert outcome.logged["message.missing"] > 0
    assert not outcome.findings, "\n".join(outcome.story)
    assert outcome.counts["events"] > 0


@pytest.mark.anyio
async def test_what_stays_missing_is_given_up(swift_folder: Path) -> None:
    """After a day in which Listrak hasn't had it, and no sooner, by whatever runs."""
    async with make_rig(swift_folder) as rig:
        people = [one.email for one in rig.world.lists[12345].contacts.values() if one.subscribed]
        settings: dict[str, Any] = {"BRIDGE_SINCE": "60d", "BRIDGE_TRACK_DAYS": "7"}
        await in_process.caught_up(rig, settings)
        message = rig.world.add_message(12345, subject="Gone")
        rig.world.send(message, people[:2])
        rig.later(days=8)
        rig.fail(f"/Message/{message.message_id}/Activity", "status:404")

        async def tracked() -> bool:
            await in_process.caught_up(rig, settings)
            found = rig.rows(
                f"SELECT retired FROM messages WHERE message_id = {message.message_id}"
            )
            return found == [(0,)]

        assert await tracked()
        rig.later(hours=(DAY - HOUR) / HOUR)
        assert await tracked()
        rig.later(hours=2)
        assert not await tracked()
