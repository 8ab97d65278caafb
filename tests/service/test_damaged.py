"""Damaged state files: either a start refuses them unchanged, or all is sent as if nothing was.

`DAMAGED=600 pytest tests/service/test_damaged.py` damages more of them, `DAMAGED=137:138` one.
"""

import asyncio
import json
import lzma
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from damaged_file import OF_ANY_FORMAT, RECORDED, Life, Pair, damaged, found, lived
from in_process import undisturbed_process
from recorded_world import Recording, Replay, Sink, environment
from rig import drawn_seeds
from test_recorded import SETTINGS, WORLD

from bridge import service
from bridge.environment import settings
from bridge.errors import StateDamagedError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_group_commits")]

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Life]:
    """A file of less than 4 MB, and one of more."""
    folder = tmp_path_factory.mktemp("lives")
    return {large: lived(folder, large=large) for large in (False, True)}


@cache
def recording() -> Recording:
    """The account that the file is of."""
    return Recording(WORLD)


def content_of(event: bytes) -> str:
    """An event without what depends on the moment of a reading."""
    fields = json.loads(event)
    fields.pop("sentAt", None)
    if fields["type"] == "identify" or fields.get("event") == "Unsubscribed":
        fields.pop("timestamp", None)
    return json.dumps(fields, sort_keys=True)


def by_id(events: Iterable[bytes]) -> dict[str, str]:
    """Events by messageId, of which each stands for one event alone."""
    told = {json.loads(event)["messageId"]: content_of(event) for event in events}
    assert Counter(map(content_of, events)).keys() == set(told.values())
    return told


def tracks(sent: dict[str, str]) -> dict[str, str]:
    """The events whose ids no change of a contact is part of."""
    return {
        message_id: content
        for message_id, content in sent.items()
        if json.loads(content).get("event") not in (None, "Unsubscribed")
    }


def states(sent: dict[str, str]) -> set[str]:
    """What is told, whatever its ids."""
    return {json.dumps({**json.loads(content), "messageId": ""}) for content in sent.values()}


class Start:
    """A catch-up over a file: what it sent and logged, and the error that ended it."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}
        self.log = ""
        self.error: BaseException | None = None


async def start(pair: Pair, state: Path) -> Start:
    """Makes a catch-up with a file."""
    pair.lay(state)
    sink, outcome = Sink(), Start()
    async with environment(Replay(recording(), "t2"), sink, state, SETTINGS) as variables:
        with undisturbed_process() as log:
            try:
                await asyncio.wait_for(service.run(settings.load(variables), once=True), 60)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
                outcome.error = error
            outcome.log = log.getvalue()
    outcome.sent = by_id(sink.received)
    return outcome


_due: dict[tuple[bool, bool], dict[str, str]] = {}


async def due(life: Life, *, large: bool, crashed: bool, folder: Path) -> dict[str, str]:
    """What the undamaged file sends."""
    if (large, crashed) not in _due:
        whole = await start(
            life.crashed if crashed else life.at_rest, folder / "whole" / "bridge.db"
        )
        assert whole.error is None
        assert len(whole.sent) > 300
        _due[large, crashed] = whole.sent
        shutil.rmtree(folder / "whole")
    return _due[large, crashed]


def older(seed: int) -> tuple[str, bytes]:
    """A file of a format before this one, by its name."""
    files = sorted(RECORDED.glob("format-*.db.xz"))
    file = files[seed % len(files)]
    return file.name, lzma.decompress(file.read_bytes())


def record(line: str) -> None:
    """Notes what came of a file, for the figures of a long run."""
    if place := os.environ.get("DAMAGED_LOG"):
        with Path(place).open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def is_refused(outcome: Start, pair: Pair, state: Path) -> bool:
    """Whether a start was refused: with 65, everything as it was, and nothing sent."""
    said = f"{outcome.error} {outcome.log}"
    assert "Traceback" not in outcome.log
    assert not ADDRESS.search(said)
    if outcome.error is None:
        return False
    assert isinstance(outcome.error, StateDamagedError), said
    assert found(state) == pair
    assert not outcome.sent
    return True


@pytest.mark.parametrize("seed", drawn_seeds("DAMAGED", 10))
async def test_refused_or_as_if_nothing_was(
    seed: int, lives: dict[bool, Life], tmp_path: Path
) -> None:
    """65 with everything as it was and nothing sent, or exactly what the undamaged file sends."""
    # Every other round of deeds.
    large = bool(seed // 10 % 2)
    deed, pair = damaged(seed, lives[large], tmp_path)
    state = tmp_path / "bridge" / "bridge.db"
    outcome = await start(pair, state)
    record(f"{seed} {deed} large={large} {type(outcome.error).__name__}: {outcome.error}")
    if is_refused(outcome, pair, state):
        assert {file.name for file in state.parent.iterdir()} <= {
            *("bridge.db", "bridge.db-wal", "bridge.db.lock")
        }
        return
    # What was saved last may be gone with a crash, or is said to be: it is sent again.
    expected = [
        await due(lives[large], large=large, crashed=crashed, folder=tmp_path)
        for crashed in {False, deed == "wal"}
    ]
    if deed == "wal" and "state.went_back" in outcome.log:
        # Then all contacts are told again, with ids that none had, and so is what is undated.
        assert tracks(outcome.sent) in map(tracks, expected)
        assert any(states(whole) <= states(outcome.sent) for whole in expected)
        return
    assert outcome.sent in expected


@pytest.mark.parametrize("seed", drawn_seeds("DAMAGED", 10))
async def test_older_formats(seed: int, tmp_path: Path) -> None:
    """Nothing there tells a value from another that means something, but no damage is met late."""
    name, main = older(seed)
    deed, pair = damaged(
        seed, Life(Pair(main), Pair(main), Pair(main), b""), tmp_path, OF_ANY_FORMAT
    )
    state = tmp_path / "bridge" / "bridge.db"
    outcome = await start(pair, state)
    record(f"{seed} {name} {deed} {type(outcome.error).__name__}: {outcome.error}")
    is_refused(outcome, pair, state)
