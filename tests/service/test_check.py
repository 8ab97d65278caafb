"""What `check` finds around the service: whether it could write, disk, descriptors, proxies."""

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.commands.surroundings import CheckResult, surroundings
from bridge.environment.settings import load

SETTINGS = {
    "LISTRAK_CLIENT_ID": "the-cl1ent-1d",
    "LISTRAK_CLIENT_SECRET": "the-cl1ent-s3cret",
    "SEGMENT_WRITE_KEY": "the-wr1te-k3y",
    "LISTRAK_LISTS": "12345",
}


def found(state: Path, **more: str) -> dict[str, CheckResult]:
    """All that is found, by what it is about."""
    settings = load({**SETTINGS, "BRIDGE_STATE": str(state), **more})
    return {result.what: result for result in surroundings(settings)}


@pytest.mark.anyio
async def test_for_programs(rig_of: Any) -> None:
    """The same results as in the table, with the exit code that the table ends with."""
    async with rig_of() as rig:
        await rig.caught_up()
        done = await rig.run("check", "--json")
        report = json.loads(done.out)
        assert report["exit_code"] == done.code == 0
        rows = {row["what"]: row for row in report["checks"]}
        assert {row["state"] for row in rows.values()} <= {"ok", "unknown", "warning"}
        for what in ("state file", "state folder", "disk", "descriptors", "versions", "SQLite"):
            assert rows[what]["finding"]
        table = await rig.run("check", COLUMNS="300")
        assert all(what in table.out for what in rows)
        failing = await rig.run("check", "--json", LISTRAK_LISTS="99", HTTPS_PROXY="ftp://x")
        report = json.loads(failing.out)
        assert report["exit_code"] == failing.code == 78
        assert "failed" in {row["state"] for row in report["checks"]}


@pytest.mark.anyio
async def test_what_a_run_would_refuse(rig_of: Any) -> None:
    """Where nothing can be written it is said, with the exit code of the run."""
    async with rig_of() as rig:
        # The last one can't even be looked at, as what stands in another user's folder.
        long = f"{rig.folder}/{'x' * 300}"
        for state in ("/proc/bridge.db", "/sys/bridge.db", f"{rig.folder}/none/bridge.db", long):
            checked = await rig.run("check", COLUMNS="300", BRIDGE_STATE=state)
            ran = await rig.run("run", "--once", BRIDGE_STATE=state)
            assert checked.code == ran.code == 73, checked.out
            assert "state folder" in checked.out
            assert "failed" in checked.out
            assert "Traceback" not in checked.err


@pytest.mark.anyio
async def test_beside_a_running_service(rig_of: Any) -> None:
    """A state file in use is no fault; a second service would end."""
    async with rig_of() as rig:
        await rig.start("run")
        await rig.until(lambda: "bridge.ready" in rig.log())
        checked = await rig.run("check", COLUMNS="300")
        assert checked.code == 0, checked.out
        assert "a second one would end with 73" in checked.out


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """To look whether it could write leaves no file, and no other time of the folder."""
    before = tmp_path.stat().st_mtime_ns
    assert found(tmp_path / "bridge.db")["state folder"].state == "ok"
    assert not list(tmp_path.iterdir())
    assert tmp_path.stat().st_mtime_ns == before


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder or a pipe in its place is refused as by the run."""
    state = tmp_path / "bridge.db"
    make(state)
    result = found(state)["state folder"]
    assert (result.state, result.exit_code) == ("failed", 73)
    assert "it is no file" in result.text


def test_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that is mounted read-only lets nothing be made, whatever permissions say."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("bridge.commands.surroundings.TemporaryFile", refuse)
    result = found(tmp_path / "bridge.db")["state folder"]
    assert (result.state, result.exit_code) == ("failed", 73)
    assert f"{str(tmp_path)!r}: Read-only file system" in result.text


@pytest.mark.parametrize(
    ("free", "state", "code"), [(10**12, "ok", 0), (10**8, "warning", 0), (10**6, "failed", 75)]
)
def test_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str, code: int
) -> None:
    """The room that is left is compared with what the file has, and may need."""
    path = tmp_path / "bridge.db"
    path.write_bytes(bytes(30_000_000))
    path.with_name("bridge.db-wal").write_bytes(bytes(2_500_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    result = found(path)["disk"]
    assert (result.state, result.exit_code) == (state, code)
    assert "the state file has 30.0 MB, its -wal 2.5 MB" in result.text
    if state == "warning":
        assert "keep 124 MB free" in result.text


@pytest.mark.parametrize(
    ("limit", "state"),
    [(1024, "ok"), (95, "warning"), (96, "ok"), (-1, "ok")],
)
def test_descriptors(monkeypatch: pytest.MonkeyPatch, limit: int, state: str) -> None:
    """As many as may be open at once, by the settings and the status port."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    found_here = found(Path("bridge.db"))["descriptors"]
    assert found_here.state == state
    assert "96" in found_here.text
    more = found(Path("bridge.db"), BRIDGE_POLL_CONCURRENCY="64")["descriptors"]
    assert "216" in more.text


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is used for each server, without its credentials."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    names = ("LISTRAK_API_URL", "LISTRAK_TOKEN_URL", "SEGMENT_API_URL")
    rows = found(Path("bridge.db"))
    assert [rows[f"proxy of {name}"].text for name in names] == ["none"] * 3
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".segment.io")
    rows = found(Path("bridge.db"))
    assert [rows[f"proxy of {name}"].text for name in names] == [
        "http://proxy.example:3128",
        "http://proxy.example:3128",
        "none",
    ]
    monkeypatch.setenv("HTTPS_PROXY", "ftp://me:hush@proxy.example")
    result = found(Path("bridge.db"))["proxy of LISTRAK_API_URL"]
    assert (result.state, result.exit_code) == ("failed", 78)
    assert "hush" not in result.text
