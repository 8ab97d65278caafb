"""Copies of a state file: none starts as a fresh bridge without a word."""

import shutil
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rig import Rig
from test_change import LIST, PEOPLE, account, sent

from bridge.state.file_mark import wal_of
from bridge.state.lock import lock_of

pytestmark = pytest.mark.anyio


async def running(rig: Rig) -> Any:
    """The service, once it has told all contacts."""
    process = await rig.start("run")
    await rig.segment.wait_for(len(PEOPLE), timeout=20)
    return process


async def test_a_copy_of_a_running_service_is_noticed(rig_of: Any, tmp_path: Path) -> None:
    """It goes on from what was in the file, and says what is missing; contacts are told again."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.1") as rig:
        await running(rig)
        copy = tmp_path / "copy.db"
        shutil.copy(rig.state, copy)
        told = await rig.run("check", BRIDGE_STATE=str(copy), COLUMNS="300")
        assert "warning" in row(told.out, "state file")
        assert "copied" in told.out
        log = await rig.caught_up(BRIDGE_STATE=str(copy))
        assert "state.copied" in log
        assert "state.went_back" in log
        told_again = Counter(event["anonymousId"] for event in rig.segment.received())
        assert told_again == Counter(dict.fromkeys(PEOPLE, 2)), "once more, each"
        assert set(sent_ids(rig).values()) == {1}, "under ids of their own"
        log = await rig.caught_up(BRIDGE_STATE=str(copy))
        assert "state.copied" not in log
        assert "state.went_back" not in log
        assert sum(sent_ids(rig).values()) == 2 * len(PEOPLE)


def row(table: str, what: str) -> str:
    """The row of `check` about something."""
    return next(line for line in table.splitlines() if what in line)


def sent_ids(rig: Rig) -> dict[str, int]:
    """How often each messageId arrived at the wire."""
    numbers: dict[str, int] = {}
    for event in rig.segment.received():
        numbers[event["messageId"]] = numbers.get(event["messageId"], 0) + 1
    return numbers


async def test_an_empty_database_is_refused(rig_of: Any, tmp_path: Path) -> None:
    """What a plain copy of a file in its first moments is: 65, and what to do."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        empty = tmp_path / "empty.db"
        with sqlite3.connect(empty) as db:
            db.execute("PRAGMA journal_mode = WAL")
        db.close()
        assert empty.stat().st_size == 4096
        done = await rig.run("run", "--once", BRIDGE_STATE=str(empty))
        assert done.code == 65
        assert "-wal" in done.err
        assert not sent(rig)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_neither_a_stop_nor_a_crash_is_a_copy(rig_of: Any, how: signal.Signals) -> None:
    """After a crash the -wal is there; after a stop the mark is gone."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.1") as rig:
        process = await running(rig)
        process.send_signal(how)
        await process.wait()
        assert "state.copied" not in await rig.caught_up()


async def test_a_file_moved_with_its_wal_is_no_copy(rig_of: Any, tmp_path: Path) -> None:
    """Moved together after a crash, both go on as one."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.1") as rig:
        process = await running(rig)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        for end in ("", "-wal"):
            shutil.move(f"{rig.state}{end}", tmp_path / f"moved.db{end}")
        log = await rig.caught_up(BRIDGE_STATE=str(tmp_path / "moved.db"))
        assert "state.copied" not in log


async def test_a_wal_of_another_moment_is_refused(rig_of: Any, tmp_path: Path) -> None:
    """By the service, by `check` and by `preview`: 65, nothing is sent, and nothing is changed."""
    async with rig_of(world=account(), lists=str(LIST), BRIDGE_POLL_INTERVAL="0.1") as rig:
        await rig.caught_up()
        older = rig.state.read_bytes()
        rig.world.subscribe(LIST, "new@example.com")
        await rig.caught_up()
        rig.world.subscribe(LIST, "newer@example.com")
        process = await rig.start("run")
        await rig.segment.wait_for(len(PEOPLE) + 2, timeout=20)
        process.kill()
        await process.wait()
        mixed = tmp_path / "mixed.db"
        mixed.write_bytes(older)
        shutil.copy(f"{rig.state}-wal", f"{mixed}-wal")
        before = {file.name: file.read_bytes() for file in mixed.parent.glob("mixed*")}
        posts = rig.segment.requests[200]
        for command in (["run", "--once"], ["check"], ["preview"]):
            done = await rig.run(*command, BRIDGE_STATE=str(mixed), COLUMNS="400")
            assert done.code == 65, done.err
            assert "mixed.db-wal" in done.out + done.err
        after = {file.name: file.read_bytes() for file in mixed.parent.glob("mixed*")}
        assert after == before
        assert rig.segment.requests[200] == posts
        wal_of(mixed).unlink()
        await rig.caught_up(BRIDGE_STATE=str(mixed))
        await rig.caught_up()


async def test_a_lost_file_is_noticed(rig_of: Any) -> None:
    """Its lock file tells: 65, by `check` as well, until the person has moved that away."""
    async with rig_of(world=account(), lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.state.unlink()
        for command in (["run", "--once"], ["check"], ["preview"]):
            done = await rig.run(*command, COLUMNS="400")
            assert done.code == 65, done.err
            assert f"{rig.state.name}.lock" in done.out + done.err
        assert not rig.state.exists()
        lock_of(rig.state).unlink()
        await rig.caught_up()
        assert set(sent_ids(rig).values()) == {2}, "the same ids as before"
