"""Every command that touches the state file, where BRIDGE_STATE names something else: 73."""

import os
from pathlib import Path
from typing import Any

import pytest
from test_change import LIST, account

pytestmark = pytest.mark.anyio

COMMANDS = [
    ["run"],
    ["run", "--once"],
    ["check"],
    ["preview"],
    ["reconcile"],
    ["backfill", "--since", "30d"],
    ["identify", "--all"],
    ["explain", "a@example.com"],
    ["erase", "a@example.com"],
    ["dead-letters", "list"],
]


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


async def test_every_command(rig_of: Any, tmp_path: Path) -> None:
    """A device, a FIFO that would hang, a link to nothing: told in a line, and left as they are."""
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to("gone")
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        for number, command in enumerate(COMMANDS):
            place = [Path("/dev/null"), fifo, link][number % 3]
            done = await rig.run(*command, BRIDGE_STATE=str(place), COLUMNS="300")
            assert done.code == 73, (command, done.err)
            assert f"BRIDGE_STATE: '{place}' is a" in done.out + done.err
            assert "Traceback" not in done.err
        assert not list(rig.segment.received())
    assert not names(tmp_path) & {"fifo.lock", "gone", "gone.lock", "link.lock"}
