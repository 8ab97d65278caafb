"""State files of every format, as earlier versions left them, go on without a difference.

Each was killed in the middle of its work. What has to follow was sent by the version before the
names of modules and classes changed: every byte of every event, and all that is remembered then.
"""

import json
import lzma
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from recorded_world import Bridge, Dump, Recording, Step

RECORDED: Final = Path(__file__).parent / "recorded"
WORLD: Final = RECORDED / "world.json.xz"
EXPECTED: Final = RECORDED / "expected.json.xz"
SETTINGS: Final = {
    "BRIDGE_SINCE": "2025-10-29T20:00:00Z",
    "BRIDGE_TRACK_DAYS": "3",
    "BRIDGE_LOG_LEVEL": "warning",
}
HISTORY: Final = ("backfill", "--since", "2025-10-20")


@dataclass(frozen=True)
class Case:
    """A state file (None: a first start) and what is done with it."""

    name: str
    steps: tuple[Step, ...]
    file: Path | None = None

    def lay(self, state: Path) -> None:
        """Puts the state file there."""
        if self.file is not None:
            state.write_bytes(lzma.decompress(self.file.read_bytes()))


BEGUN: Final = {
    "looks": "SELECT count(*) FROM looks WHERE position LIKE '%row%'",
    "sweep": "SELECT count(*) FROM contact_looks WHERE sweep AND position LIKE '%row%'",
    "outbox": "SELECT count(*) FROM outbox",
    "held": "SELECT count(*) FROM unsubscribes",
    "causes": "SELECT count(*) FROM causes",
    "damaged": "SELECT count(*) FROM dead_letters WHERE reason LIKE '%is no date%'",
    "refused": "SELECT count(*) FROM dead_letters WHERE reason LIKE 'Segment answered 400%'",
    "totals": "SELECT count(*) FROM totals WHERE rises",
}
"""What has begun in every state file, and isn't finished: queries that find some of it."""

BEGUN_3: Final = {
    "watches": "SELECT count(*) FROM messages WHERE watch LIKE '%[[%'",
    "withheld totals": "SELECT count(*) FROM totals WHERE withheld",
    "withheld keys": "SELECT count(*) FROM runs WHERE withheld",
}
BEGUN_3_SERVICE: Final = {
    "trust": "SELECT count(*) FROM meta WHERE name = 'trust' AND value LIKE '%activityType%'",
    "asked": "SELECT count(*) FROM messages WHERE asked",
    "backfill": "SELECT count(*) FROM backfill_messages WHERE position LIKE '%row%'",
    "waiting": "SELECT count(*) / 3 FROM backfill_messages",
}


def begun(name: str) -> dict[str, str]:
    """What has begun in a file, by its name."""
    if not name.startswith("format-3"):
        return BEGUN
    return BEGUN | BEGUN_3 | (BEGUN_3_SERVICE if name.endswith("service") else {})


GOING_ON: Final = (Step("t2", ("run", "--once")), Step("t2", HISTORY))
CASES: Final = [
    Case("new", (Step("t0", ("run", "--once")), Step("t1", ("run", "--once")), *GOING_ON)),
    *(
        Case(name, steps, RECORDED / f"{name}.db.xz")
        for name, steps in (
            # What the first formats kept doesn't tell what was withheld: a backfill sends nothing.
            ("format-1-catch-up", GOING_ON[:1]),
            ("format-1-service", GOING_ON),
            ("format-2-catch-up", GOING_ON[:1]),
            ("format-2-service", GOING_ON),
            ("format-3-catch-up", GOING_ON),
            ("format-3-service", GOING_ON),
        )
    ),
]


async def outcome(
    case: Case, folder: Path, python: str, checkout: Path | None = None
) -> dict[str, Any]:
    """What a bridge makes of a case: the events of each step, and what it remembers at the end."""
    recording = Recording(WORLD)
    state = folder / "bridge.db"
    case.lay(state)
    bridge = Bridge(recording, state, SETTINGS, python, checkout)
    events = {
        str(step): [event.decode() for event in await bridge.run(step)] for step in case.steps
    }
    return {"events": events, "state": Dump(state, recording.instants).content()}


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_goes_on_without_a_difference(case: Case, tmp_path: Path) -> None:
    """The same events, byte for byte, the same totals and the same state, once it has caught up."""
    expected = json.loads(lzma.decompress(EXPECTED.read_bytes()))[case.name]
    found = await outcome(case, tmp_path, sys.executable)
    for step, events in expected["events"].items():
        assert found["events"][step] == events
    for table, rows in expected["state"].items():
        assert found["state"][table] == rows, table
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("case", CASES[1:], ids=lambda case: case.name)
def test_was_in_the_middle_of_its_life(case: Case, tmp_path: Path) -> None:
    """Each state file is of its format, and holds work that was begun and not finished."""
    state = tmp_path / "bridge.db"
    case.lay(state)
    with closing(sqlite3.connect(state)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        missing = [
            what for what, query in begun(case.name).items() if not db.execute(query).fetchone()[0]
        ]
    assert case.name.startswith(f"format-{version}-")
    assert not missing
