import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import printed
import pytest
from rig import MakeRig, make_rig
from virtual.loop import VirtualLoop
from xdist.scheduler import LoadScopeScheduling

from bridge.flow import ledger
from bridge.listrak import answers
from bridge.output.redaction import SECRETS
from bridge.transport import retry

# The same examples at every run; no example is too slow for a busy machine.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Keeps Ctrl-C, and what processes inherit, as it was: a service ignores signals at its end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def all_that_was_printed() -> Iterator[None]:
    """Fails a test in which the bridge printed a secret, or an address that nobody asked for."""
    yield
    printed.look_through()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Fails a test that has printed such a thing in its own process, as by a log."""
    report = (yield).get_result()
    ours = (f"Captured stdout {report.when}", f"Captured stderr {report.when}")
    said = "\n".join(text for name, text in report.sections if name in ours)
    if report.passed and (leaks := printed.leaks_of_a_test(said)):
        report.outcome, report.longrepr = "failed", "\n".join(leaks)


@pytest.fixture(autouse=True)
def secrets() -> Iterator[None]:
    """Forgets the secrets that a test has loaded: they would be hidden in what others say."""
    yield
    SECRETS.clear()


@pytest.fixture
def virtual_backend() -> tuple[str, dict[str, Any]]:
    """For modules that take it as their `anyio_backend`: no waits, no sockets, no threads."""
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture
def swift_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory, if this machine has one: for what proves nothing of the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def no_shortest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Retry-After of 0 is a wait of almost nothing."""
    monkeypatch.setattr(retry, "SHORTEST_WAIT", 0.001)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is given up at its first failure, if others are answered, and asks at once if so."""
    monkeypatch.setattr(answers, "PATIENCE", 0.0)
    monkeypatch.setattr(answers, "PROBE_INTERVAL", 0.0)


@pytest.fixture
def no_group_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits don't wait for others, which would take most of the time of many short runs."""
    monkeypatch.setattr(ledger, "GROUP_COMMIT", 0.0)


@pytest.fixture
def rig_of(tmp_path: Path) -> MakeRig:
    """Makes rigs (the bridge between two emulated servers) in the test's own folder."""
    return lambda **options: make_rig(tmp_path, **options)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts processes comes first: at the end all workers have quick tests to share."""
    items.sort(key=lambda item: "tests/service/" not in item.nodeid)


class ByNeed(LoadScopeScheduling):  # type: ignore[misc]
    """Tests go to whichever worker is free; those that share a booted machine stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return file if file.endswith("test_systemd.py") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByNeed:
    return ByNeed(config, log)
