"""The command `estimate` as it is installed: what it needs, and what it prints."""

import json
from typing import Any

import pytest
from rig import retailer

pytestmark = pytest.mark.anyio

WITHOUT_SEGMENT = {"SEGMENT_WRITE_KEY": None, "SEGMENT_API_URL": None}
RARELY = {"BRIDGE_POLL_INTERVAL": "3600"}


async def test_it_needs_listrak_alone(rig_of: Any) -> None:
    """No write key, no state file, no lists; tables of 80 columns at most, and no address."""
    async with rig_of(world=retailer(contacts=15, days=10)) as rig:
        done = await rig.run("estimate", **WITHOUT_SEGMENT, **RARELY, LISTRAK_LISTS=None)
        assert done.code == 0, done.err
        assert "LISTRAK_LISTS isn't set: all lists of the account were estimated." in done.out
        assert "Nothing was sent or stored." in done.out
        assert "List 12345: its contacts" in done.err
        tables = [line for line in done.out.splitlines() if line.startswith(("│", "┃", "┏"))]
        assert tables
        assert max(map(len, tables)) <= 80
        assert "@" not in done.out + done.err
        assert not list(rig.folder.glob("bridge.db*"))

        told = await rig.run("estimate", "--json", **WITHOUT_SEGMENT, **RARELY)
        assert told.code == 0, told.err
        answer = json.loads(told.out)
        assert [one["list"] for one in answer["lists"]] == [12345, 13456]
        assert answer["calls_a_second_allowed"] == 0


async def test_what_is_wrong_is_said(rig_of: Any) -> None:
    """A setting that can't be read is not taken for one that isn't there."""
    async with rig_of() as rig:
        done = await rig.run("estimate", LISTRAK_LISTS="12345=")
        assert (done.code, "LISTRAK_LISTS" in done.err) == (78, True), done.err
