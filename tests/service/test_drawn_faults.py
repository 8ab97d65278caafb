"""Whatever fails of the two servers, all arrives that doesn't depend on it; afterwards, the rest.

`FAULTS=500 pytest tests/service/test_drawn_faults.py` draws more of them, `FAULTS=137:138` one.
"""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import in_process
import pytest
from drawn_faults import CLICK, Concern, drawn_fault_of_segment, drawn_faults
from histories.account import MAIL, DrawnAccount, drawn_account
from rig import Rig, drawn_seeds, make_rig

from bridge.errors import BridgeError, cause
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.fault import Fault
from bridge.sandbox.judge import judge

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_group_commits")]

DEEDS = (
    *("open", "click", "order", "open", "click", "complain", "bounce", "opt_out"),
    *("unsubscribe", "resubscribe", "subscribe", "delete", "profile"),
)
FIELDS = {12345: "Customer ID", 13456: "Loyalty", 14567: None}
LISTS: dict[str, str | None] = {"LISTRAK_LISTS": "12345=Customer ID,13456=Loyalty,14567"}
NAMES = {"subject", "campaignId", "campaignName", "listName", "linkUrl", "linkDescription", ""}
IN_STEPS = ("Email Converted", CLICK, "identify")
"""Events of which it depends on the looks how many tell of what happened."""


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


class Pair:
    """A service in front of servers that fail, and one in front of some that don't.

    faults: those of Listrak.
    """

    def __init__(self, ill: Rig, well: Rig, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ill = ill
        self.well = well
        self.faults: list[Fault] = []
        self.story: list[str] = []
        self._account = DrawnAccount(ill.world)

    def live(self, hours: int) -> None:
        """Some things happen."""
        for _ in range(self.rng.randint(3, 25)):
            self.well.later(minutes=self.rng.uniform(1, 60 * hours / 25))
            what = self.rng.choice(self.rng.choice((MAIL, DEEDS, DEEDS)))
            self._account.do(what, self.rng.randrange(10**6))
        self.well.later(minutes=1)

    def fall_ill(self) -> None:
        """Puts faults in force."""
        self.faults = drawn_faults(self.rng, self.ill.world)
        for fault in self.faults:
            self.ill.listrak.faults.add(fault)
        self.story += (f"{fault} {getattr(fault, 'draws', '')}" for fault in self.faults)
        if self.rng.random() < 0.3:
            fault = drawn_fault_of_segment(self.rng)
            self.ill.segment.faults.add(fault)
            self.story.append(f"of Segment: {fault}")

    def recover(self) -> None:
        """Lifts all faults."""
        self.ill.listrak.faults.clear()
        self.ill.segment.faults.clear()
        self.story.append("recovered")

    async def look(self) -> None:
        """A catch-up of each; one of the one that is ill may be killed before."""
        await in_process.caught_up(self.well, LISTS)
        while self.rng.random() < 0.25:
            turns = int(2 ** self.rng.uniform(0, 12))
            await in_process.killed(self.ill, LISTS, turns)
            self.story.append(f"killed within {turns} turns")
        said = await looked(self.ill)
        self.story.append(f"a look: {said}")
        # Of what Segment puts off for too long nothing is known.
        if not (said and [*self.ill.segment.faults]):
            assert self.unexplained() == []

    def missing(self) -> list[Mapping[str, Any]]:
        """Events that the one has sent and the other hasn't."""
        have = self.ill.delivered().keys()
        return [event for own, event in self.well.delivered().items() if own not in have]

    def unexplained(self) -> list[Mapping[str, Any]]:
        """Those of them that no fault explains."""
        return [
            event
            for event in self.missing()
            if not any(Concern(self.ill.world, event).suffers(fault) for fault in self.faults)
        ]

    def excuses(self, sentence: str) -> bool:
        """Tells whether a fault explains what the judge says. Either of:

        1. A name couldn't be read: events wait for it for an hour at most.
        2. An unsubscribe can't be told for certain: it is dated by the poll that showed it, and
           waits an hour for the email that it came by.
        """
        names = any(
            "/Campaign" in fault.path or NAMES & {of for of, _ in getattr(fault, "draws", ())}
            for fault in self.faults
        )
        told = sentence.startswith("Unsubscribed of")
        return (names and "has properties" in sentence) or (told and bool(self.faults))


async def looked(rig: Rig) -> str:
    """A catch-up that may fail for now; what it says then, "" for nothing."""
    try:
        await in_process.caught_up(rig, LISTS)
    except BaseException as group:
        error = cause(group)
        if not isinstance(error, BridgeError):
            raise
        return str(error)
    return ""


async def pair_of(stack: AsyncExitStack, folder: Path, seed: int) -> Pair:
    """Two services of one account, which live at the same time."""
    world = drawn_account()
    (folder / "ill").mkdir()
    (folder / "well").mkdir()
    ill: Rig = await stack.enter_async_context(make_rig(folder / "ill", world=world))
    well: Rig = await stack.enter_async_context(
        make_rig(folder / "well", world=world, clock=ill.clock)
    )

    def follow() -> None:
        for rig in (ill, well):
            rig.machine.follow(rig.clock.now.timestamp(), rig.clock.rate)

    ill.clock.on_set = follow
    follow()
    return Pair(ill, well, seed)


async def go_through(pair: Pair) -> None:
    """A time of health, one of illness, recovery."""
    pair.live(24)
    since = pair.well.clock.now
    await in_process.caught_up(pair.well, LISTS)
    assert await looked(pair.ill) == ""
    pair.fall_ill()
    for _look in range(pair.rng.randint(1, 4)):
        pair.live(12)
        await pair.look()
    pair.recover()
    pair.live(2)
    await pair.look()
    await recovered(pair, since)


def expectations(rig: Rig, since: datetime) -> Expectations:
    """All that happened since the first look was to be sent."""
    fields = [
        next((one.field_id for one in rig.world.lists[i].fields.values() if one.name == name), None)
        for i, name in FIELDS.items()
    ]
    lists = dict(zip(FIELDS, fields, strict=True))
    return Expectations(lists=lists, since=since, first_poll=since)


async def recovered(pair: Pair, since: datetime) -> None:
    """All that was due is there, at last."""
    pair.well.later(hours=2)
    await pair.look()
    if any(event.get("event", event["type"]) not in IN_STEPS for event in pair.missing()):
        await in_process.reconciled(pair.ill, LISTS, repair=True)
        await pair.look()
    for rig in (pair.well, pair.ill):
        verdict = judge(rig.world, rig.segment.received(), expectations(rig, since))
        verdict.wrong = [text for text in verdict.wrong if not pair.excuses(text)]
        verdict.extra = [text for text in verdict.extra if not pair.excuses(text)]
        assert verdict.ok, str(verdict)
        assert rig.adds_up()
        assert not rig.complaints()
    assert pair.ill.rows("SELECT kind, subject FROM set_aside WHERE reason != ''") == []


@pytest.mark.parametrize("seed", drawn_seeds("FAULTS", 12))
async def test_drawn_faults(swift_folder: Path, seed: int) -> None:
    """All arrives that the healthy parts make due; what fails arrives once it is mended."""
    async with AsyncExitStack() as stack:
        pair = await pair_of(stack, swift_folder, seed)
        try:
            await go_through(pair)
        except Exception as error:
            error.add_note("\n".join(pair.story))
            raise
