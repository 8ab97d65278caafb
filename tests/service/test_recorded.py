"""State files of every format, as earlier versions left them, go on without a difference.

Each was killed in the middle of its work. What has to follow was sent by the version before the
names of modules and classes changed: every byte of every event, and all that is remembered then.
"""

import json
import lzma
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from recorded_world import Bridge, Dump, Recording, Step

from bridge.state.file_format import APPLICATION_ID

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
            if self.name.startswith("format-4"):
                # All that was saved is in it: it is no copy of a file in use, without its -wal.
                with closing(sqlite3.connect(state)) as db, db:
                    db.execute("UPDATE file_mark SET in_use = 0")
            return
        # The ids of a file that an older version began have no namespace.
        schemas = files("bridge.state").joinpath("schema")
        with closing(sqlite3.connect(state)) as db:
            for number in (1, 2, 3):
                db.executescript(schemas.joinpath(f"{number}.sql").read_text(encoding="utf-8"))
            db.execute("INSERT INTO meta VALUES ('first_start', '0')")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("PRAGMA user_version = 3")
            db.commit()


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
    if not name.startswith(("format-3", "format-4")):
        return BEGUN
    service = dict(BEGUN_3_SERVICE)
    if name.startswith("format-4"):
        # It reads one message of a backfill at a time, and the first one's page is on its way.
        del service["backfill"]
    return BEGUN | BEGUN_3 | (service if name.endswith("service") else {})


HELD: Final = '"anonymousId":"user35@example.net","event":"Email Bounced"'
"""The bounce of a row whose sendDate is no date: older versions sent it, as of a send of its own.
Now all that such a row shows waits until the date is mended, which tells the send."""

SAME: Final = ("since", "looks", "event_counts", "contact_looks", "met", "unsubscribes", "outbox")
"""What is remembered in the same way as by versions up to format 3."""

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
            ("format-4-catch-up", GOING_ON),
            ("format-4-service", GOING_ON),
        )
    ),
]


def untimed(event: str) -> str:
    """An event without a timestamp that depends on when a contact was read.

    Identifies had none up to format 3. That of an undated unsubscribe is the poll before, and polls
    that are open when a file is brought to format 4 begin anew.
    """
    kinds = ('"type":"identify"', '"event":"Unsubscribed"')
    if any(kind in event for kind in kinds):
        return re.sub(r'"timestamp":"[^"]*",', "", event)
    return event


def emails(events: Iterable[str]) -> set[str]:
    """The ids of the emails that events are of."""
    return {found[1] for event in events if (found := re.search(r'"email_id":"(\d+)"', event))}


def as_recorded(found: Any, recorded: Any) -> Any:
    """Rows with the columns that were recorded only: later formats have more."""
    if not recorded or not isinstance(recorded, list) or not isinstance(recorded[0], dict):
        return found
    rows = [{name: row[name] for name in recorded[0]} for row in found]
    return sorted(rows, key=json.dumps)


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
    told = [event for events in expected["events"].values() for event in events]
    for step, events in expected["events"].items():
        made, due = Counter(map(untimed, found["events"][step])), Counter(map(untimed, events))
        assert all(HELD in event for event in due - made), step
        # Of messages that were retired before anything of them was sent: older versions left them
        # out of backfills.
        assert emails(made - due).isdisjoint(emails(told)), step
    balance = found["state"]["counters"]
    assert balance["fetched"] == sum(
        balance.get(name, 0) for name in ("known", "filtered", "delivered", "dead_lettered")
    )
    for table in SAME:
        rows = expected["state"][table]
        assert as_recorded(found["state"][table], rows) == rows, table
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
