"""The unit as shipped, under a real systemd, between two emulated servers.

One boot is lived through once (`story`); each test reads one thing out of what was seen.
"""

import functools
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from machine import PROJECT, TOOLS, UNIT, Machine, booted

from bridge.sandbox.clock import Clock
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.judge import judge
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH, Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve
from bridge.sandbox.verdict import Verdict
from bridge.sandbox.world import World

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SINCE = START - timedelta(days=1)
CLIENT, SECRET, KEY = "the-client-id-9f2", "the-client-secret-7c1", "the-write-key-5d8"
WRONG = "a-wrong-secret-3b6"
DRAIN = 4.0
"""Seconds; as in the settings given to the bridge."""

DAY = 25.0
"""Hours; what left a list is noticed by a daily sweep."""

STATE = "/var/lib/private/listrak-bridge"
ENVIRONMENT = "/etc/listrak-bridge/environment"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"
WATCHDOG = 4.0
"""Seconds, in place of the unit's, so that a test lives through them; likewise the pause."""


@dataclass
class Story:
    """What was seen, in order."""

    verified: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    refused_said: list[str] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    user: str = ""
    process: str = ""
    files: dict[str, str] = field(default_factory=dict)
    first: Verdict = field(default_factory=Verdict)
    after_kill: dict[str, str] = field(default_factory=dict)
    second: Verdict = field(default_factory=Verdict)
    stop_seconds: float = 0.0
    stopped: dict[str, str] = field(default_factory=dict)
    third: Verdict = field(default_factory=Verdict)
    hung: dict[str, str] = field(default_factory=dict)
    left_by_signal: dict[str, str] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Servers:
    """The two emulators, and the settings that lead to them."""

    world: World
    clock: Clock
    segment: Segment
    settings: dict[str, str]

    async def live_on(self, hours: float) -> None:
        """Lets the world go on."""
        self.clock.advance(timedelta(hours=hours))
        self.world.advance(self.clock.now)

    async def verdict(self, seconds: float = 30) -> Verdict:
        """The judge's, as soon as nothing is wrong; else the last."""
        found = self._judged()
        with anyio.move_on_after(seconds):
            while not found.ok:
                await anyio.sleep(0.3)
                found = self._judged()
        return found

    async def answer_lost(self) -> None:
        """Waits until a connection to Segment was cut before the answer."""
        await self.segment.wait_for(lambda segment: segment.requests[0] > 0, 20)

    async def work_begins(self) -> None:
        """Waits until a batch is on its way to Segment."""
        await self.segment.wait_for(lambda segment: segment.in_flight > 0, 20)

    def _judged(self) -> Verdict:
        expectations = Expectations(lists=dict.fromkeys(self.world.lists), since=SINCE)
        return judge(self.world, self.segment.received(), expectations)


@asynccontextmanager
async def emulated(folder: Path) -> AsyncIterator[Servers]:
    world = populated_world(seed=11, start=START, contacts=30, history=timedelta(days=3))
    clock = Clock.manual(world.now)
    listrak = Listrak(world, clock, Integration(CLIENT, SECRET))
    with Segment(folder / "segment.db", write_key=KEY) as segment:
        async with serve(listrak.app) as source, serve(segment.app) as sink:
            settings = {
                "LISTRAK_LISTS": ",".join(map(str, world.lists)),
                "LISTRAK_API_URL": source + API_PATH,
                "LISTRAK_TOKEN_URL": source + TOKEN_PATH,
                "SEGMENT_API_URL": f"{sink}/v1",
                "LISTRAK_REQUESTS_PER_SECOND": "0",
                "BRIDGE_SINCE": SINCE.isoformat(),
                "BRIDGE_POLL_INTERVAL": "200ms",
                "BRIDGE_FLUSH_INTERVAL": "50ms",
                "BRIDGE_DRAIN_TIMEOUT": f"{DRAIN:g}s",
                "BRIDGE_STATUS_BIND": "127.0.0.1:0",
            }
            yield Servers(world, clock, segment, settings)


def environment_file(settings: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


async def live_through(tree: Path, folder: Path) -> Story:
    story = Story()
    async with emulated(folder) as servers, booted(tree, folder) as machine:
        story.verified = await machine.run("systemd-analyze", "verify", "--man=no", UNIT)
        await with_a_wrong_secret(story, servers, machine)
        await first_start(story, servers, machine)
        await kill_at_work(story, servers, machine)
        await stop_at_work(story, servers, machine)
        await go_on(story, servers, machine)
        story.journal = await machine.journal()
    return story


async def with_a_wrong_secret(story: Story, servers: Servers, machine: Machine) -> None:
    secrets = {
        "LISTRAK_CLIENT_ID": CLIENT,
        "LISTRAK_CLIENT_SECRET": WRONG,
        "SEGMENT_WRITE_KEY": KEY,
    }
    await machine.write(ENVIRONMENT, environment_file(servers.settings | secrets))
    await machine.run("systemctl", "start", UNIT, check=False)
    story.refused = await machine.wait_until(lambda shown: shown["ActiveState"] == "failed")
    story.refused_said = [
        line["MESSAGE"] for line in await machine.journal() if line["_TRANSPORT"] == "stdout"
    ]


async def first_start(story: Story, servers: Servers, machine: Machine) -> None:
    """With the secrets as credentials, nowhere in the environment."""
    await machine.write(ENVIRONMENT, environment_file(servers.settings))
    lines = ["[Service]", f"WatchdogSec={WATCHDOG:g}s", "RestartSec=1s"]
    for name, secret in (
        ("listrak_client_id", CLIENT),
        ("listrak_client_secret", SECRET),
        ("segment_write_key", KEY),
    ):
        await machine.write(f"/etc/listrak-bridge/{name}", secret + "\n")
        lines.append(f"LoadCredential={name}:/etc/listrak-bridge/{name}")
    await machine.write(DROP_IN, "\n".join(lines) + "\n")
    # Wanted at boot, it stays loaded while it is stopped, and so does what is known of its end.
    await machine.run("systemctl", "enable", "--quiet", UNIT)
    await machine.run("systemctl", "daemon-reload")
    await machine.run("systemctl", "start", UNIT)
    # `start` comes back with READY=1; what the service says of itself is there from then on.
    story.running = await machine.show()
    process = story.running["MainPID"]
    story.environment = await machine.run("cat", f"/proc/{process}/environ")
    story.user = (await machine.run("stat", "-c", "%u", f"/proc/{process}")).strip()
    story.first = await servers.verdict()
    listed = await machine.run("find", STATE, "-printf", "%p %y %m %U\n")
    story.files = dict(line.split(" ", 1) for line in listed.splitlines())
    story.process = await machine.run("cat", f"/proc/{process}/status")


async def kill_at_work(story: Story, servers: Servers, machine: Machine) -> None:
    """SIGKILL when Segment has taken batches and the bridge doesn't know."""
    servers.segment.faults.add("lost")
    await servers.live_on(hours=DAY)
    await servers.answer_lost()
    story.after_kill = await come_back(machine, "KILL")
    servers.segment.faults.clear()
    story.second = await servers.verdict()


async def stop_at_work(story: Story, servers: Servers, machine: Machine) -> None:
    """A stop while Segment takes what it is sent and never answers."""
    await anyio.sleep(WATCHDOG / 2)
    servers.segment.faults.add("silent")
    await servers.live_on(hours=DAY)
    await servers.work_begins()
    began = time.monotonic()
    await machine.run("systemctl", "stop", UNIT)
    story.stop_seconds = time.monotonic() - began
    story.stopped = await machine.show()
    servers.segment.faults.clear()


async def go_on(story: Story, servers: Servers, machine: Machine) -> None:
    await machine.run("systemctl", "start", UNIT)
    story.third = await servers.verdict()
    story.hung = await come_back(machine, "STOP")
    story.left_by_signal = await come_back(machine, "TERM")


async def come_back(machine: Machine, number: str) -> dict[str, str]:
    """Sends the main process a signal, and waits until another one is there."""
    before = (await machine.show())["MainPID"]
    await machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={number}", UNIT)
    return await machine.wait_until(
        lambda shown: shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", before)
    )


def lacking() -> str | None:
    """What keeps a container from being booted here."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"missing: {', '.join(missing)} (Debian packages systemd-container, util-linux)"
    if subprocess.run([PROJECT / "scripts/test-tree", "--check"]).returncode:
        return "the tree to boot is missing or stale: run scripts/test-tree"
    return None


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    if reason := lacking():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    tree = subprocess.run(
        [PROJECT / "scripts/test-tree", "--path"], capture_output=True, text=True, check=True
    )
    folder = tmp_path_factory.mktemp("systemd")
    return anyio.run(functools.partial(live_through, Path(tree.stdout.strip()), folder))


def test_the_installed_unit_is_verified(story: Story) -> None:
    assert story.verified == ""


def test_refused_credentials_end_it_for_good(story: Story) -> None:
    """Not started over and over: somebody has to mend the setting first."""
    assert story.refused["ExecMainStatus"] == "78"
    assert story.refused["Result"] == "exit-code"
    assert story.refused["NRestarts"] == "0"


def test_refused_credentials_are_one_clear_line_in_the_journal(story: Story) -> None:
    blaming = [line for line in story.refused_said if "LISTRAK_CLIENT" in line]
    assert len(blaming) == 1, story.refused_said
    assert story.refused_said[-1] == blaming[0]
    assert blaming[0].startswith("listrak-bridge: LISTRAK_CLIENT_")
    assert "Traceback" not in "".join(story.refused_said)


def test_it_becomes_active_and_says_how_it_is(story: Story) -> None:
    assert (story.running["ActiveState"], story.running["SubState"]) == ("active", "running")
    assert story.running["StatusText"] == "running"


def test_credentials_come_without_the_environment(story: Story) -> None:
    assert "CREDENTIALS_DIRECTORY=" in story.environment
    for secret in (CLIENT, SECRET, KEY):
        assert secret not in story.environment


def test_it_runs_as_a_user_of_its_own(story: Story) -> None:
    assert 61184 <= int(story.user) <= 65519


def test_the_state_is_private(story: Story) -> None:
    assert story.files[STATE] == f"d 700 {story.user}"
    assert story.files[f"{STATE}/bridge.db"] == f"f 600 {story.user}"
    for path, seen in story.files.items():
        assert path == STATE or seen == f"f 600 {story.user}"


def test_events_arrive(story: Story) -> None:
    assert story.first.ok, str(story.first)
    assert story.first.delivered.total() > 50


def test_killed_at_work_it_is_started_again_and_nothing_is_lost(story: Story) -> None:
    assert story.after_kill["NRestarts"] == "1"
    assert story.second.ok, str(story.second)
    assert story.second.delivered.total() > story.first.delivered.total()
    assert story.second.duplicates, "what was sent twice had the same messageId"


def test_its_watchdog_is_content_while_it_works(story: Story) -> None:
    born, died = (
        int(story.stopped[f"ExecMain{end}TimestampMonotonic"]) for end in ("Start", "Exit")
    )
    assert (died - born) / 1e6 > WATCHDOG
    assert story.stopped["NRestarts"] == "1"


def test_hanging_it_is_started_again(story: Story) -> None:
    assert story.hung["NRestarts"] == "1"
    timeouts = [line for line in story.journal if "Watchdog timeout" in str(line["MESSAGE"])]
    assert len(timeouts) == 1


def test_a_stop_keeps_the_drain_timeout(story: Story) -> None:
    assert story.stop_seconds < DRAIN + 0.5
    assert (story.stopped["ActiveState"], story.stopped["Result"]) == ("inactive", "success")
    assert (story.stopped["ExecMainCode"], story.stopped["ExecMainStatus"]) == ("1", "0")


def test_started_again_it_goes_on(story: Story) -> None:
    assert story.third.ok, str(story.third)
    assert story.third.delivered.total() > story.second.delivered.total()


def test_it_comes_back_when_ended_by_anything_but_systemctl(story: Story) -> None:
    """Such as an early out-of-memory killer, whose SIGTERM looks like a stop."""
    assert story.left_by_signal["ActiveState"] == "active"


def test_the_journal_shows_no_secret_and_no_email_address(story: Story) -> None:
    said = [str(line["MESSAGE"]) for line in story.journal]
    assert any("bridge.ready" in line for line in said)
    for line in said:
        assert "@" not in line
        for secret in (CLIENT, SECRET, KEY, WRONG):
            assert secret not in line


def test_nothing_is_refused_by_the_sandbox(story: Story) -> None:
    """No fault, no warning of the interpreter, and no setting that systemd doesn't know."""
    for line in story.journal:
        said = str(line["MESSAGE"])
        assert "Traceback" not in said
        assert "Operation not permitted" not in said
        assert "Unknown key" not in said
        assert "bridge.fault" not in said
