"""A state file that went back in time: contacts are told again, and what is sent stays true."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import caught_up
from rig import Rig
from test_change import LIST, OTHER, PEOPLE, account

from bridge.state.lock import lock_of

pytestmark = pytest.mark.anyio

BACK, LEFT, TWICE, LATER = PEOPLE[:4]
NEW, STAYS = "new@example.com", PEOPLE[4]


Restore = Callable[[Path, Path], None]


def identifies(rig: Rig) -> list[Any]:
    """Those that Segment took: of ids it knows it takes none again."""
    return [one for one in rig.segment.received(unique=True) if one["type"] == "identify"]


def profile(rig: Rig, email: str, list_id: int = LIST) -> Any:
    """The trait as Segment has it: that of the latest identify."""
    trait = f"listrak_list_{list_id}"
    told = [
        (event["timestamp"], event["traits"][trait])
        for event in rig.segment.received(unique=True)
        if event["type"] == "identify"
        and event["anonymousId"] == email
        and trait in event["traits"]
    ]
    return max(told)[1]


def assert_true(rig: Rig) -> None:
    """Each profile is as its contact, on each list."""
    for list_id in (LIST, OTHER):
        for email, contact in rig.world.lists[list_id].contacts.items():
            expected = True if contact.subscribed else None
            assert profile(rig, email, list_id) is expected, (list_id, email)


def assert_ids_differ(rig: Rig) -> None:
    """No id came with two contents; identifies may be told again at another time."""
    contents: dict[str, str] = {}
    for event in rig.segment.received():
        told = {name: value for name, value in event.items() if name != "timestamp"}
        content = str(event if event["type"] == "track" else told)
        assert contents.setdefault(event["messageId"], content) == content


def copied(backup: Path, state: Path) -> None:
    shutil.copy(backup, state)


async def lived_and_went_back(
    rig: Rig, backup: Path, restore: Callable[[Path, Path], None]
) -> None:
    """Contacts change after the backup, and are told; and again after it was put in place."""
    await caught_up(rig, {})
    shutil.copy(rig.state, backup)
    for change in (rig.world.unsubscribe, rig.world.resubscribe):
        rig.later(hours=3)
        for email in (BACK, TWICE):
            change(LIST, email)
        await caught_up(rig, {})
    rig.later(hours=3).unsubscribe(LIST, LEFT)
    rig.world.subscribe(LIST, NEW)
    rig.world.unsubscribe(OTHER, STAYS)
    await caught_up(rig, {})
    restore(backup, rig.state)
    rig.later(hours=3).unsubscribe(LIST, TWICE)
    rig.world.resubscribe(LIST, LEFT)
    rig.world.unsubscribe(LIST, LATER)


@pytest.fixture
def lists() -> str:
    return f"{LIST},{OTHER}"


async def test_contacts_are_told_again(rig_of: Any, tmp_path: Path, lists: str) -> None:
    """Once, with ids of their own; profiles are true, also of who changed thrice."""
    async with rig_of(world=account(), lists=lists) as rig:
        await lived_and_went_back(rig, tmp_path / "backup.db", copied)
        told = await rig.run("check", COLUMNS="1000")
        assert "an older copy of the state file" in told.out
        shown = await rig.run("preview")
        assert shown.out.count('"identify"') >= 2 * len(PEOPLE)
        before = len(identifies(rig))
        log = await caught_up(rig, {})
        assert "state.went_back" in log
        assert '"last_saved":"2026' in log.replace(": ", ":")
        assert_true(rig)
        assert_ids_differ(rig)
        again = Counter(
            (one["anonymousId"], *sorted(one["traits"])) for one in identifies(rig)[before:]
        )
        assert set(again.values()) == {1}
        assert len(again) == len(PEOPLE) * 2 + 1
        number = len(list(rig.segment.received()))
        log = await caught_up(rig, {})
        assert "state.went_back" not in log
        assert "state.resumed" in log
        assert len(list(rig.segment.received())) == number
        rig.later(hours=1).resubscribe(LIST, TWICE)
        await caught_up(rig, {})
        assert_true(rig)
        assert rig.adds_up()


async def test_without_the_trace_its_age_is_told(rig_of: Any, tmp_path: Path, lists: str) -> None:
    """On another machine, perhaps: `identify --all`, as it says, makes all true."""

    def elsewhere(backup: Path, state: Path) -> None:
        shutil.copy(backup, state)
        lock_of(state).unlink()

    async with rig_of(world=account(), lists=lists) as rig:
        await lived_and_went_back(rig, tmp_path / "backup.db", elsewhere)
        log = await caught_up(rig, {})
        assert "state.untraced" in log
        assert "state.went_back" not in log
        rig.later(minutes=1)
        assert (await rig.run("identify", "--all")).code == 0
        assert_true(rig)
        assert "state.untraced" not in await caught_up(rig, {})


async def test_a_start_that_ends_before_it_is_told(rig_of: Any, tmp_path: Path, lists: str) -> None:
    """It isn't forgotten: whoever starts next has them told."""
    async with rig_of(world=account(), lists=lists) as rig:
        await lived_and_went_back(rig, tmp_path / "backup.db", copied)
        done = await rig.run("run", "--once", LISTRAK_CLIENT_SECRET="wrong")
        assert done.code != 0
        log = await caught_up(rig, {})
        assert "state.went_back" in log
        assert_true(rig)
