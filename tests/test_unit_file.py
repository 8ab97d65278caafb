"""The unit file, read without a running systemd."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.environment.settings import DECLARATIONS
from bridge.environment.values import number
from bridge.supervision.lifecycle import LONGEST_INTERVAL
from bridge.supervision.progress import STANDSTILL_AFTER

UNIT = Path(__file__).parents[1] / "scripts" / "listrak-bridge.service"
EXPOSURE = 1.2
"""The most that `systemd-analyze security` may say; 0 is a service that can do nothing at all."""

SYSTEM_UNITS = Path("/lib/systemd/system")
seconds = number(0, 86400, "s")


@pytest.fixture(scope="module")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None or not SYSTEM_UNITS.is_dir():
        reason = "systemd-analyze is missing (Debian package systemd)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def assignments(name: str, *, commented: bool = False) -> list[str]:
    """The values given to a key of the unit, in order; with those that a comment suggests."""
    mark = "#?" if commented else ""
    return re.findall(rf"^{mark}{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def the(name: str) -> str:
    (value,) = assignments(name)
    return value


def test_systemd_has_nothing_to_say_against_it(analyze: str, tmp_path: Path) -> None:
    """`verify` ends with 0 even for unknown keys, so it has to be silent too."""
    command = tmp_path / the("ExecStart").split()[0].lstrip("/")
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    shutil.copytree(SYSTEM_UNITS, tmp_path / "lib/systemd/system", symlinks=True)
    installed = tmp_path / "etc/systemd/system"
    installed.mkdir(parents=True)
    shutil.copy(UNIT, installed)
    done = subprocess.run(
        [analyze, "verify", "--man=no", f"--root={tmp_path}", UNIT.name],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_can_do_little_harm(analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
    )
    level = re.search(r"Overall exposure level for .*?: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= EXPOSURE, done.stdout


def test_variables_it_names_are_settings() -> None:
    known = {declared.variable for declared in DECLARATIONS.values()}
    known |= {f"{declared.variable}_FILE" for declared in DECLARATIONS.values() if declared.secret}
    set_there = {pair.split("=")[0] for pair in assignments("Environment", commented=True)}
    mentioned = set(re.findall(r"\b(?:BRIDGE|LISTRAK|SEGMENT)_[A-Z_]+", UNIT.read_text()))
    assert set_there | mentioned <= known


def test_it_shows_how_to_give_each_secret_as_a_credential() -> None:
    shown = {value.split(":")[0] for value in assignments("LoadCredential", commented=True)}
    assert shown == {name for name, declared in DECLARATIONS.items() if declared.secret}
    encrypted = assignments("LoadCredentialEncrypted", commented=True)
    assert {value.split(":")[0] for value in encrypted} <= shown


def test_a_stop_has_time_to_drain() -> None:
    default = DECLARATIONS["drain_timeout"].default
    assert default is not None
    assert seconds(the("TimeoutStopSec")) > seconds(default)


def test_the_watchdog_is_fed_often_enough() -> None:
    """Several times over, and it is no faster than what the service itself calls a standstill."""
    assert 3 * LONGEST_INTERVAL < seconds(the("WatchdogSec")) < STANDSTILL_AFTER


def test_only_what_a_person_must_mend_ends_it() -> None:
    """73 (state in use) and 75 (temporary) may pass; failing fast often is no reason to give up."""
    assert the("Restart") == "always"
    assert set(the("RestartPreventExitStatus").split()) == {"64", "65", "78"}
    assert the("StartLimitIntervalSec") == "0"
    assert seconds(the("RestartSec")) >= 1
