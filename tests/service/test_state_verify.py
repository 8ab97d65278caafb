"""`state verify`, and what else looks at all of the state file: `check` and `preview`."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from rig import retailer

from bridge.state.checksums import Connection

pytestmark = pytest.mark.anyio


async def test_sound_or_damaged(rig_of: Any) -> None:
    """It tells what it looked at; of damage every command that reads all of it tells the same."""
    async with rig_of(world=retailer()) as rig:
        none_yet = await rig.run("state", "verify")
        assert (none_yet.code, "no state file" in none_yet.err) == (73, True)
        await rig.caught_up()
        before = rig.state.read_bytes()
        told = await rig.run("state", "verify")
        assert told.code == 0, told.err
        assert "is sound" in told.out
        for_programs = json.loads((await rig.run("state", "verify", "--json")).out)
        assert for_programs["sound"]
        assert for_programs["checksums"]
        assert for_programs["rows"] == sum(for_programs["tables"].values()) > 50
        assert for_programs["tables"]["contacts"] > 10
        assert for_programs["bytes"] == len(before)
        assert rig.state.read_bytes() == before
        with closing(sqlite3.connect(rig.state, isolation_level=None, factory=Connection)) as db:
            # A row that is lost.
            db.execute("DELETE FROM contacts WHERE email = (SELECT min(email) FROM contacts)")
        before = rig.state.read_bytes()
        for command in (["state", "verify"], ["state", "verify", "--json"], ["preview"], ["run"]):
            damaged = await rig.run(*command)
            assert damaged.code == 65, (command, damaged.err)
            assert "its table contacts" in damaged.err
            assert "Restore a backup" in damaged.err
            assert "Traceback" not in damaged.err
            assert "@" not in damaged.err
            assert not damaged.out
        checked = await rig.run("check")
        assert checked.code == 65
        assert "its table contacts" in checked.out
        assert rig.state.read_bytes() == before
