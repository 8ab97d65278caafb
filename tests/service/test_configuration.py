"""Bad input: one clear message that names the variable, the right exit code, nothing sent."""

import sqlite3
from typing import Any

import pytest
from rig import quiet_world

from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio


def small_account() -> World:
    """One list with one contact and a profile field."""
    world = quiet_world()
    list_id = world.add_list("News", list_id=12345).list_id
    world.add_field(list_id, "Customer ID")
    world.subscribe(list_id, "ann@example.com")
    return world


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LISTRAK_CLIENT_ID", None, "is not set"),
        ("LISTRAK_CLIENT_SECRET", "", "is not set"),
        ("SEGMENT_WRITE_KEY", None, "is not set"),
        ("LISTRAK_LISTS", None, "is not set"),
        ("LISTRAK_LISTS", "abc", "12345=777,67890"),
        ("LISTRAK_LISTS", "999", "12345 (News)"),
        ("LISTRAK_LISTS", "12345=Shoe size", "Customer ID"),
        ("LISTRAK_LISTS", "12345=31337", "no profile field '31337'"),
        ("LISTRAK_API_URL", "http://api.example.com", "loopback"),
        ("LISTRAK_TOKEN_URL", "ftp://auth.example.com", "https://"),
        ("SEGMENT_API_URL", "https://events.eu1.segmentapis.com/v1", "US workspaces only"),
        ("LISTRAK_TIMEZONE", "Mars/Olympus", "time zone"),
        ("LISTRAK_REQUESTS_PER_SECOND", "fast", "number"),
        ("BRIDGE_SINCE", "yesterday", "ISO date-time"),
        ("BRIDGE_TRACK_DAYS", "0", "number"),
        ("BRIDGE_EVENTS", "Email Sent,Email Eaten", "Email Opened"),
        ("BRIDGE_EXTRA_PROPERTIES", "bounce_reason,list_name", "link_description, campaign_id"),
        ("BRIDGE_POLL_INTERVAL", "-1", "number"),
        ("BRIDGE_POLL_CONCURRENCY", "0", "whole number"),
        ("BRIDGE_BATCH_EVENTS", "2501", "2500"),
        ("BRIDGE_BATCH_BYTES", "500000", "475000"),
        ("BRIDGE_STATUS_BIND", "everywhere", "host:port"),
        ("BRIDGE_LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)
async def test_a_bad_setting_ends_the_start(
    rig_of: Any, variable: str, value: str | None, says: str
) -> None:
    """Exit code 78 and one line that names the variable and what is allowed; nothing is sent."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        for command in (("run", "--once"), ("check",)):
            done = await rig.run(*command, **{variable: value})
            assert done.code == 78, (command, done.err)
            told = done.err + done.out if command == ("check",) else done.err.splitlines()[-1]
            assert variable in told
            if command != ("check",):
                assert says in told
        assert rig.segment.requests[200] == 0


@pytest.mark.parametrize("command", [("run", "--once"), ("run",), ("check",), ("lists",)])
@pytest.mark.parametrize("how", ["wrong", "paused"])
async def test_refused_credentials_end_the_start(
    rig_of: Any, command: tuple[str, ...], how: str
) -> None:
    """Refused credentials: exit code 78, both variables named, the secret not shown."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        more = {"LISTRAK_CLIENT_SECRET": "not-the-secret"} if how == "wrong" else {}
        rig.listrak.switches.paused = how == "paused"
        done = await rig.run(*command, **more)
        told = done.out + done.err
        assert done.code == 78, told
        assert "LISTRAK_CLIENT_SECRET" in told
        assert "not-the-secret" not in told
        assert rig.segment.requests[200] == 0


async def test_credentials_refused_later_only_pause(rig_of: Any) -> None:
    """A paused integration pauses the running service; it goes on when it is let in again."""
    world = small_account()
    async with rig_of(world=world, lists="12345", BRIDGE_POLL_INTERVAL="0.1") as rig:
        process = await rig.start("run")
        await rig.segment.wait_for(1, timeout=20)
        rig.listrak.switches.paused = True
        rig.listrak.expire_tokens()
        world.subscribe(12345, "bob@example.com")
        seen = rig.listrak.requests["/OAuth2/Token"]

        def asked_again() -> bool:
            return bool(rig.listrak.requests["/OAuth2/Token"] > seen)

        await rig.until(asked_again)
        assert process.returncode is None
        rig.listrak.switches.paused = False
        await rig.segment.wait_for(2, timeout=30)
        assert {e["anonymousId"] for e in rig.segment.received()} == {
            "ann@example.com",
            "bob@example.com",
        }


async def test_a_usage_error_is_64(rig_of: Any) -> None:
    """Commands and options that don't exist."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        for command in (("fly",), ("run", "--twice"), ("preview", "--limit", "few")):
            done = await rig.run(*command, cold=True)
            assert done.code == 64
            assert "Usage:" in done.err


async def test_unreachable_servers_are_75_once(rig_of: Any) -> None:
    """A catch-up that can't reach Listrak ends with 75; the next one does all of it."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        done = await rig.run("run", "--once", LISTRAK_API_URL="http://127.0.0.1:9/email/v1")
        assert done.code == 75
        assert "127.0.0.1:9" in done.err
        rig.segment.faults.add("status:code=503,times=2")
        assert (await rig.run("run", "--once")).code == 0
        assert rig.segment.accepted == 1


async def test_the_state_file_belongs_to_one(rig_of: Any) -> None:
    """A second bridge on the same state file ends with 73 and leaves the first one alone."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        process = await rig.start("run")
        await rig.segment.wait_for(1, timeout=20)
        second = await rig.run("run", "--once", cold=True)
        assert second.code == 73
        assert "in use" in second.err
        assert process.returncode is None


async def test_an_unwritable_state_folder_is_73(rig_of: Any) -> None:
    """The message names the variable and says what to do."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        done = await rig.run("run", "--once", BRIDGE_STATE="/proc/nowhere/bridge.db")
        assert done.code == 73
        assert "BRIDGE_STATE" in done.err


@pytest.mark.parametrize("damage", ["text", "foreign", "newer", "pages"])
async def test_a_state_file_that_cant_be_trusted_is_65(rig_of: Any, damage: str) -> None:
    """Not ours, newer or damaged: exit code 65, nothing sent, the file left as it was."""
    async with rig_of(world=small_account(), lists="12345") as rig:
        if damage == "text":
            rig.state.write_text("these are not the pages you are looking for" * 100)
        elif damage == "foreign":
            with sqlite3.connect(rig.state) as other:
                other.execute("CREATE TABLE mine (x)")
            other.close()
        else:
            assert (await rig.run("run", "--once")).code == 0
            if damage == "newer":
                with sqlite3.connect(rig.state) as later:
                    later.execute("PRAGMA user_version = 99")
                later.close()
            else:
                with rig.state.open("r+b") as file:
                    file.seek(4096)
                    file.write(b"\xff" * 20_000)
        before = rig.state.read_bytes()
        taken = rig.segment.accepted
        done = await rig.run("run", "--once")
        assert done.code == 65, done.err
        assert "BRIDGE_STATE" in done.err
        assert rig.state.read_bytes() == before
        assert rig.segment.accepted == taken
