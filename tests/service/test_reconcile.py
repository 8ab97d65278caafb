"""`reconcile`: Listrak's own numbers beside what arrived, and the repair of what is missing."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig import lay_older_format, retailer

from bridge.sandbox.world import World
from bridge.state.checksums import Writing

pytestmark = pytest.mark.anyio


def miss_a_message(state: Path) -> int:
    """Has the state file know nothing of a message's rows, as if its looks had missed them.

    Returns how many opens those are.
    """
    with closing(sqlite3.connect(state, factory=Writing)) as db, db:
        message, opens = db.execute(
            "SELECT message, seen FROM event_counts AS counts WHERE event = 'Email Opened'"
            # A complaint's date is that of the look that found it: not to be made again the same.
            " AND NOT EXISTS (SELECT 1 FROM event_counts WHERE message = counts.message"
            " AND event = 'Email Marked As Spam') ORDER BY seen DESC LIMIT 1"
        ).fetchone()
        db.execute("DELETE FROM runs WHERE message = ?", (message,))
        # What order totals come to is kept with the totals, which stay.
        db.execute(
            "DELETE FROM event_counts WHERE message = ? AND event != 'Email Converted'", (message,)
        )
        return int(opens)


def small_world() -> tuple[World, datetime]:
    """A retailer, and the start of all that is of interest."""
    world = retailer(contacts=12, days=2, seed=7)
    return world, world.now - timedelta(days=4)


async def test_all_agrees_after_a_catch_up(rig_of: Any) -> None:
    """Everything that Listrak counts was seen; a file that is no request is put aside."""
    world, since = small_world()
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        missing = await rig.run("reconcile")
        assert (missing.code, "no state file" in missing.err) == (73, True), missing.err
        rig.state.with_name("bridge.db.request-1").write_text("please")
        done = await rig.run("run", "--once")
        assert done.code == 0, done.err
        assert "request.refused" in done.err
        assert rig.state.with_name("bridge.db.request-1.refused").read_text() == "please"

        whole = await rig.run("reconcile", "--all", "--list", "12345", "--repair")
        assert whole.code == 0, whole.err
        assert "Email Bounced" in whole.out
        assert "List 12345" in whole.out
        assert "List 13456" not in whole.out
        assert "unexplained" not in whole.out
        assert "Nothing to repair." in whole.out

        stranger = await rig.run("reconcile", "--list", "99")
        assert (stranger.code, "LISTRAK_LISTS: doesn't name list 99" in stranger.err) == (78, True)
        lay_older_format(rig.state)
        older = await rig.run("reconcile")
        assert (older.code, "written by an older version" in older.err) == (73, True), older.err


@pytest.mark.parametrize("running", [False, True])
async def test_repair_brings_what_is_missing(rig_of: Any, running: bool) -> None:
    """A difference that nothing explains is shown, and gone after --repair; all ids are known."""
    world, since = small_world()
    async with rig_of(world=world, BRIDGE_SINCE=since.isoformat()) as rig:
        await rig.caught_up()
        opens = miss_a_message(rig.state)
        assert opens > 0
        if running:
            # Nothing moves and nothing is due: only the request makes it read the message.
            await rig.start("run", BRIDGE_POLL_INTERVAL="600")
            await rig.until(lambda: "bridge.ready" in rig.log())
        shown = await rig.run("reconcile", "--repair")
        assert shown.code == 0, shown.err
        assert "unexplained: --repair has the message read again" in shown.out
        assert "To be read again from end to end: 1." in shown.out
        if running:
            await rig.until(lambda: rig.segment.duplicates >= opens)
        else:
            assert list(rig.folder.glob("bridge.db.request-*"))
            await rig.caught_up()
            assert rig.segment.duplicates >= opens
        assert not list(rig.folder.glob("bridge.db.request-*"))

        async def agrees() -> bool:
            return "unexplained" not in (await rig.run("reconcile")).out

        await rig.until_async(agrees)
        verdict = rig.verdict(since)
        assert verdict.ok, verdict
