"""The service manager's notification socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.supervision.systemd import Notifier


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(address)
        self.channel.setblocking(False)

    def heard(self) -> list[str]:
        """All datagrams since the last time."""
        messages: list[str] = []
        while True:
            try:
                messages.append(self.channel.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.channel.close()


def test_tells(manager: Manager, tmp_path: Path) -> None:
    """All assignments of one call are one datagram, a line each."""
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.tell("READY=1", "STATUS=running")
    notifier.tell("WATCHDOG=1")
    assert manager.heard() == ["READY=1\nSTATUS=running", "WATCHDOG=1"]


def test_a_line_break_begins_no_assignment(manager: Manager, tmp_path: Path) -> None:
    """What is told of others can't stop the service, or tell that it lives."""
    Notifier(str(tmp_path / "notify")).tell("STATUS=list a\nSTOPPING=1\x1b[0m", "READY=1")
    assert manager.heard() == ["STATUS=list a\\nSTOPPING=1\\x1b[0m\nREADY=1"]


def test_abstract_address() -> None:
    """A leading @ stands for the abstract namespace."""
    name = f"listrak-bridge-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        Notifier(f"@{name}").tell("STATUS=ünder way")
        assert manager.heard() == ["STATUS=ünder way"]
    finally:
        manager.channel.close()


def test_address_from_the_environment(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is the one named in NOTIFY_SOCKET."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    Notifier().tell("READY=1")
    assert manager.heard() == ["READY=1"]


def test_no_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a service manager nothing is said and nothing goes wrong."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.tell("READY=1")
    assert notifier.watchdog_interval is None


def test_a_manager_that_does_not_listen(tmp_path: Path) -> None:
    """A socket that isn't there, or too long a name, is no fault."""
    Notifier(str(tmp_path / "gone")).tell("READY=1")
    Notifier("/" + "x" * 500).tell("READY=1")


def test_a_manager_that_does_not_read(manager: Manager, tmp_path: Path) -> None:
    """What it has no room for is left out: the service goes on."""
    for number in range(2000):
        Notifier(str(tmp_path / "notify")).tell(f"STATUS={number}")
    heard = manager.heard()
    assert heard[0] == "STATUS=0"
    assert len(heard) < 2000


def test_a_manager_that_comes_back(tmp_path: Path) -> None:
    """A manager that is away for a moment (it re-executes itself) is told again afterwards."""
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.tell("WATCHDOG=1")
    manager = Manager(str(tmp_path / "notify"))
    try:
        notifier.tell("WATCHDOG=1")
        assert manager.heard() == ["WATCHDOG=1"]
    finally:
        manager.channel.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_watchdog(
    environment: dict[str, str], expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog is fed twice in the time allowed, if it is this process that it watches."""
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, "1" if (name, value) == ("WATCHDOG_PID", "1") else value)
    if "WATCHDOG_PID" in environment and expected is not None:
        # Tests are collected in one process and run in another.
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert Notifier("@somewhere").watchdog_interval == expected
