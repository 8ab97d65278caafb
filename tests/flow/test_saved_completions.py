"""What a state file tells of complete readings after a start."""

from pathlib import Path

import pytest

from bridge import clock
from bridge.completions import READINGS, Completions
from bridge.errors import TemporaryError
from bridge.flow.ledger import Ledger
from bridge.flow.saved_completions import recall
from bridge.flow.set_aside import SetAside
from bridge.metrics import Metrics
from bridge.state.set_aside import Part
from bridge.state.store import Store, open_store

pytestmark = pytest.mark.anyio

NOW = 1_780_000_000.0
FAILED = TemporaryError("no")


async def saved(store: Store, *, discovered: float, contacts: float, swept: float) -> None:
    """A list that was read so many seconds ago."""
    async with store.transaction():
        await store.lists.begin(5, "News", "2026-05-01T00:00:00.000Z", "UTC")
        await store.lists.set_discovered(5, NOW - discovered, "")
        for ago, sweep in ((swept, True), (contacts, False)):
            await store.contact_polls.begin(5, NOW - ago, sweep=sweep)
            await store.contact_polls.complete(5)


async def ages(store: Store, *failed: tuple[Part, float | None]) -> dict[str, float | None]:
    """The ages of what is known then; parts that are set aside were complete so long ago."""
    metrics, completions = Metrics(), Completions()
    set_aside = SetAside(Ledger(store, metrics), metrics, lambda: NOW, interval=60)
    for part, ago in failed:
        set_aside.failed(part, FAILED, None if ago is None else NOW - ago)
    await recall(completions, store, set_aside, NOW, [5, 7])
    assert not any(completions.began(7, reading) for reading in READINGS)
    began = {reading: completions.began(5, reading) for reading in READINGS}
    now = clock.boot_time()
    return {one: None if at is None else round(now - at) for one, at in began.items()}


async def test_what_is_saved(tmp_path: Path) -> None:
    """Of all but messages; of a part that is set aside it is the time that it was last complete."""
    async with open_store(tmp_path / "bridge.db") as store:
        await saved(store, discovered=100, contacts=200, swept=300)
        usual = {"discovery": 100, "subscribed": 200, "unsubscribed": 200, "sweep": 300}
        assert await ages(store) == usual | {"messages": None}
        failed = [(Part(5, "conversations"), 900.0), (Part(5, "split test", "3"), 500.0)]
        assert (await ages(store, *failed))["discovery"] == 900
        assert (await ages(store, *failed, (Part(5, "broadcasts"), None)))["discovery"] is None
        look_ups = Part(5, "contact look-ups")
        assert (await ages(store, (look_ups, 4000)))["sweep"] == 4000
        assert (await ages(store, (look_ups, None)))["sweep"] is None
        assert (await ages(store, (Part(7, "broadcasts"), None)))["discovery"] == 100


async def test_a_time_to_come(tmp_path: Path) -> None:
    """A wrong clock has left it: it tells nothing."""
    async with open_store(tmp_path / "bridge.db") as store:
        await saved(store, discovered=-3600, contacts=60, swept=-1)
        known = await ages(store)
        assert (known["discovery"], known["subscribed"], known["sweep"]) == (None, 60, None)
