"""Histories of narrowed and widened events, lists that rest, and backfills: each event once."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from rig import Rig, make_rig, quiet_world

from bridge import service
from bridge.commands.backfill import backfill, wish_of
from bridge.environment.settings import load
from bridge.event_types import TRACKS
from bridge.sandbox.history import Backfill, Configuration, History, Look, Step
from bridge.sandbox.judge import judge
from bridge.sandbox.world import World

pytestmark = pytest.mark.anyio

LISTS = (12345, 13456)
PEOPLE = [f"person{number}@example.com" for number in range(4)]
ALL = frozenset(TRACKS)
CLICK_AND_LEAVE = frozenset({"Email Sent", "Email Link Clicked", "Unsubscribed"})
OTHERS = ALL - CLICK_AND_LEAVE

EVENTS = st.sampled_from([ALL, CLICK_AND_LEAVE, OTHERS])
READ = st.sampled_from([LISTS, LISTS[:1], LISTS[1:]])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("look"), EVENTS, READ),
        st.tuples(st.just("withheld"), EVENTS, st.integers(0, 1)),
        st.tuples(st.just("history"), EVENTS, st.integers(1, 3)),
        st.tuples(st.just("away"), st.integers(1, 12), st.none()),
    ),
    min_size=3,
    max_size=7,
)

BACKFILLS = [
    ("history", OTHERS, 1),
    ("look", CLICK_AND_LEAVE, LISTS),
    ("withheld", ALL, 1),
    ("withheld", ALL, 0),
    ("look", CLICK_AND_LEAVE, LISTS[:1]),
    ("history", ALL, 1),
    ("history", ALL, 2),
    ("withheld", ALL, 0),
]
"""Backfills of both kinds that overlap."""


class Life:
    """An account in which something happens before each step, and a bridge that lives with it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.steps: list[Step] = []
        self._read: tuple[int, ...] = LISTS

    async def live(self, kind: str, what: Any, how: Any) -> None:
        """One step, and what happens before it."""
        self._happen()
        if kind == "away":
            self.rig.later(days=what)
        elif kind == "look":
            await self.look(what, how)
        elif self.steps:
            await self._backfill(what, how, withheld=kind == "withheld")

    async def look(self, events: frozenset[str], lists: tuple[int, ...]) -> None:
        """A catch-up."""
        self._read = lists
        await service.run(self._settings(events), once=True)
        self.steps.append(Look(self.rig.world.now, self._configuration(events)))
        self.rig.later(minutes=10)

    async def _backfill(self, events: frozenset[str], days: int, *, withheld: bool) -> None:
        """One of what was withheld (of the last day where `days` is 1), or of the history."""
        now = self.rig.world.now
        since = None if withheld and not days else now - timedelta(days=days)
        if not withheld:
            since = self.steps[0].at - timedelta(days=days)
        wanted = self._settings(events)
        text = None if since is None else since.isoformat()
        wish = wish_of(wanted, text, events=withheld, warehouse_only=False)
        await backfill(wanted, wish, only_list=None, as_json=True)
        step = Backfill(now, self._configuration(events), since=since, withheld=withheld)
        self.steps.append(step)
        self.rig.later(minutes=10)

    def _settings(self, events: frozenset[str]) -> Any:
        changed = {
            "LISTRAK_LISTS": ",".join(map(str, self._read)),
            "BRIDGE_EVENTS": ",".join(sorted(events)),
        }
        return load(self.rig.with_settings(changed))

    def _configuration(self, events: frozenset[str]) -> Configuration:
        return Configuration(lists=dict.fromkeys(self._read), events=events)

    def _happen(self) -> None:
        """Something of every kind, on each list."""
        for list_id in LISTS:
            world = self.rig.later(minutes=20)
            number = len(world.lists[list_id].messages)
            leavers = [f"{kind}{number}@example.com" for kind in ("left", "spam")]
            for leaver in leavers:
                world.subscribe(list_id, leaver)
            links = ["https://shop.example/a"]
            sends = [
                world.send_broadcast(list_id, [*PEOPLE, leavers[1]], links=links),
                world.send_transactional(list_id, PEOPLE[:2]),
            ]
            world = self.rig.later(minutes=20)
            for message in sends:
                row = message.rows[number % 2]
                link = message.links[0] if message.links else None
                world.click(message, row.email, link, row=row)
                world.order(message, row.email, 1000 + number, row=row)
            first = next(iter(world.lists[list_id].messages.values()))
            world.order(first, PEOPLE[number % 4], 77)
            world.complain(sends[0], leavers[1])
            self.rig.later(minutes=5).unsubscribe(list_id, leavers[0])


def account() -> World:
    """Two lists, each with a few contacts."""
    world = quiet_world()
    for list_id in LISTS:
        world.add_list(f"List {list_id}", list_id=list_id)
        for email in PEOPLE:
            world.subscribe(list_id, email)
    return world


# A history that fails is short enough as it is: to look for a shorter one takes minutes.
@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@given(steps=STEPS, everything=st.booleans())
@example(steps=BACKFILLS, everything=True)
async def test_each_event_arrives_once(steps: list[Any], everything: bool) -> None:
    """All that was wanted by the look that saw it, or by a backfill since; and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        async with make_rig(Path(folder), world=account()) as rig:
            life = Life(rig)
            await life.live("look", ALL if everything else OTHERS, LISTS)
            for step in steps:
                await life.live(*step)
            await life.live("look", ALL, LISTS)
            verdict = judge(rig.world, rig.segment.received(), History(life.steps))
            assert verdict.ok, verdict
            assert rig.segment.duplicates == 0
            assert rig.adds_up()
