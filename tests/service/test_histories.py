"""Drawn histories of configurations: nothing is missing, sent twice, or from before a horizon.

`HISTORIES=500 pytest tests/service/test_histories.py` draws more of them, `HISTORIES=137:138` one;
with `SHRINK=1` a history that fails is made as small as it can be (some minutes).
"""

import os
import re
import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from drawn_history import Deed, drawn_history
from drawn_story import Story
from histories.account import drawn_account
from rig import drawn_seeds, make_rig

from bridge.sandbox.verdict import Verdict

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_group_commits")]


@pytest.fixture
def anyio_backend(virtual_backend: Any) -> Any:
    return virtual_backend


class Outcome:
    """What came of a history.

    faults: kinds of what is wrong, as in "missing Email Sent".
    text: for people.
    """

    def __init__(self, verdict: Verdict, complaints: object, story: Story) -> None:
        self.faults = {
            f"{title} {re.split(' of ', sentence)[0]}"
            for title in ("missing", "extra", "wrong", "late_repeats")
            for sentence in getattr(verdict, title)
        }
        if complaints:
            self.faults.add("complaints")
        if story.untrue:
            self.faults.add("untrue sentences")
        self.text = f"{story}\n{verdict}\n{complaints or ''}\n{chr(10).join(story.untrue)}"


async def outcome(deeds: Sequence[Deed], folder: Path, *, stands: bool) -> Outcome:
    """Goes through a history with a bridge of its own.

    stands: this machine's clock does, and only the account's goes on.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        async with make_rig(Path(place), world=drawn_account()) as rig:
            if stands:
                # As where only an emulated account is moved through time.
                rig.clock.on_set = lambda: None
            story = Story(rig)
            verdict = await story.go_through(deeds)
            return Outcome(verdict, rig.complaints(), story)


def without(deeds: Sequence[Deed], first: int, number: int) -> list[Deed]:
    """The history without some deeds, the others at the same time."""
    times = list(accumulate(deed.wait for deed in deeds))
    left = [*zip(times, deeds, strict=True)]
    left[first : first + number] = []
    earlier = [0, *(at for at, _ in left)]
    return [
        deed._replace(wait=at - before) for (at, deed), before in zip(left, earlier, strict=False)
    ]


async def shrunk(deeds: Sequence[Deed], fault: str, folder: Path, *, stands: bool) -> list[Deed]:
    """A small part of a history with the same fault."""
    small = list(deeds)
    number = len(small)
    while number := number // 2:
        first = 0
        while first < len(small):
            smaller = without(small, first, number)
            if fault in (await outcome(smaller, folder, stands=stands)).faults:
                small = smaller
            else:
                first += number
    return small


@pytest.mark.parametrize("seed", drawn_seeds("HISTORIES", 16))
async def test_drawn_histories(swift_folder: Path, seed: int) -> None:
    """Each event once, under the configuration of its time."""
    deeds, stands = drawn_history(seed), seed % 2 == 0
    found = await outcome(deeds, swift_folder, stands=stands)
    if found.faults and os.environ.get("SHRINK"):
        deeds = await shrunk(deeds, min(found.faults), swift_folder, stands=stands)
        found = await outcome(deeds, swift_folder, stands=stands)
    assert not found.faults, "\n".join((*map(str, deeds), found.text))
