"""What commands write: text of others is shown as text, and whoever reads it may stop reading."""

import signal
import subprocess
from typing import Any

import anyio
import pytest
from rig import Rig, quiet_world

from bridge.sandbox.fault import Status

pytestmark = pytest.mark.anyio

NAMES = [
    "[test] Weekly",
    "[/b]",
    "[link=https://evil.example]x[/link]",
    ":smile:",
    "a\x1b[31mb\x9bc",
]
SHOWN = [*NAMES[:4], "a\\x1b[31mb\\x9bc"]
FULL = ["lists", "check", "preview", "settings", "reconcile", "dead-letters list", "--help"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_names_are_text(rig_of: Any, name: str) -> None:
    """No markup, no link, no emoji code, nothing that a terminal obeys."""
    world, shown = quiet_world(), SHOWN[NAMES.index(name)]
    list_id = world.add_list(name).list_id
    world.add_field(list_id, name)
    world.subscribe(list_id, "ann@example.com")
    world.send_broadcast(list_id, ["ann@example.com"], subject=name)
    async with rig_of(world=world, lists=str(list_id)) as rig:
        await rig.caught_up()
        for command in (["lists"], ["check"]):
            done = await rig.run(*command)
            assert done.code == 0, done.err
            assert shown in done.out
            assert not set(done.out + done.err) & set("\x1b\x9b")
        assert (await rig.run("reconcile", "--all")).code == 0


async def test_names_with_an_address(rig_of: Any) -> None:
    """No command shows it that isn't asked for an address."""
    world, name = quiet_world(), "news of jane.doe@example.org for all"
    list_id = world.add_list(name).list_id
    world.add_field(list_id, name)
    world.subscribe(list_id, "ann@example.com")
    message = world.send_broadcast(list_id, ["ann@example.com"], subject=name).message_id
    async with rig_of(world=world, lists=str(list_id)) as rig:
        await rig.caught_up()
        commands = (["lists"], ["check"], ["reconcile", "--all"], ["explain", str(message)])
        for command in commands:
            done = await rig.run(*command)
            assert done.code == 0, done.err
            assert "news of [email] for all" in done.out
            assert "jane" not in done.out + done.err


async def test_what_is_left_to_the_service(rig_of: Any) -> None:
    """Who may not write the state file leaves a request; it is said that it waits."""
    async with rig_of() as rig:
        await rig.caught_up()
        rig.state.chmod(0o400)
        for command in (["erase", "a@example.com"], ["identify", "--all"]):
            done = await rig.run(*command)
            assert done.code == 73
            assert "is done by the service, running or at its next start" in done.err
        assert len(list(rig.state.parent.glob("*.request-*"))) == 3


async def test_a_refusal_in_the_words_of_others(rig_of: Any) -> None:
    """Neither addresses nor control characters of an answer are repeated anywhere."""
    said = "\x1b]0;owned\x07 no such contact jane.doe@example.com " + "x" * 3000
    body = f'{{"status":400,"error":"E","message":"{said}"}}'.replace("\x1b", "\\u001b")
    body = body.replace("\x07", "\\u0007")
    async with rig_of() as rig:
        rig.listrak.faults.add(Status(400, body=body, path="/List"))
        done = await rig.run("lists", cold=True)
        assert done.code == 75
        assert "no such contact [email]" in done.err
        assert not set(done.out + done.err) & set("\x1b\x07")
        assert len(done.err) < 1000


@pytest.mark.parametrize("command", FULL)
async def test_a_full_disk_behind_the_output(rig_of: Any, command: str) -> None:
    """It is said, with an exit code that says it as well, and without a traceback."""
    async with rig_of() as rig:
        if command in ("reconcile", "dead-letters list"):
            await rig.caught_up()
        code, err = await shell(rig, f"{' '.join(rig.command(*command.split()))} > /dev/full")
        assert code == 75, err
        assert "can't write the output: No space left on device" in err
        assert "Traceback" not in err


@pytest.mark.parametrize("command", ["preview", "settings", "lists"])
async def test_a_reader_who_has_enough(rig_of: Any, command: str) -> None:
    """`| head` is no fault."""
    async with rig_of(BRIDGE_SINCE="30d") as rig:
        whole = " ".join(rig.command(command))
        code, err = await shell(rig, f"set -o pipefail; {whole} | true")
        assert code == 0, err
        assert "Traceback" not in err
        assert "Exception ignored" not in err


async def shell(rig: Rig, line: str) -> tuple[int, str]:
    """The exit code of a line of shell, and what it wrote to standard error."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            ["bash", "-c", line],
            env=rig.environment,
            check=False,
            stdout=subprocess.DEVNULL,
        )
    return done.returncode, done.stderr.decode()


async def test_ctrl_c(rig_of: Any) -> None:
    """A command that is interrupted hasn't succeeded."""
    async with rig_of() as rig:
        bad = rig.listrak.faults.add("silent")
        process = await rig.start("check")
        await rig.until(lambda: bad.hits > 0)
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(20):
            assert await process.wait() == 130
        assert "Traceback" not in rig.log()
