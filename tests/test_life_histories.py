"""Drawn lives of the whole service: a seed tells all, and what is found is made small.

`LIVES=500 pytest tests/test_life_histories.py` lives more of them, `LIVES=137:138` one;
`make histories` many, with tables of what struck.
"""

from typing import get_args

import pytest
from histories.__main__ import PER_POOL, in_processes
from histories.configuration import CHANGES
from histories.drawing import drawn
from histories.history import Episode, History, Kind
from histories.life import lived, lived_through
from histories.shrinking import shrunk
from histories.troubles import OF_CLOCK, OF_DISK, OF_NETWORK, Trouble
from rig import drawn_seeds


@pytest.mark.parametrize("seed", drawn_seeds("LIVES", 12))
def test_drawn_lives(seed: int) -> None:
    """Each ledger closes, every repeat is the same, all that was due is there in the end."""
    outcome = lived(seed)
    assert not outcome.findings, "\n".join(outcome.story)
    assert outcome.counts["lives"] + outcome.counts["looks"] > 0
    assert outcome.counts["calls"] > 0


def test_a_seed_tells_all() -> None:
    """Twice the same calls, logs and events, at the same times."""
    for seed in (6, 7):
        first, again = lived(seed), lived(seed)
        assert (first.digest, first.story) == (again.digest, again.story)
        assert (first.counts, first.struck) == (again.counts, again.struck)


def test_many_are_lived() -> None:
    """Also more than some processes live: others take their place, and all come, in order."""
    seeds = range(2 * PER_POOL + 1)
    assert [*in_processes(abs, seeds, 1)] == [*seeds]


def test_a_crash_in_trouble() -> None:
    """What is told of a life: its troubles, its end, and that all arrived afterwards."""
    troubles = (Trouble("segment", "status:503", 0.0, 1.0, 0),)
    plain = drawn(2)
    life = Episode("serve", 3, plain.episodes[0].deeds[:4], troubles, ending="kill", turns=1500)
    outcome = lived_through(History(1, (), (plain.episodes[0], life)))
    assert not outcome.findings, "\n".join(outcome.story)
    assert outcome.counts["kills"] == 1
    assert outcome.struck["segment: status:503"] > 0
    told = "\n".join(outcome.story)
    assert "segment: status:503" in told
    assert "killed, after 1500 turns" in told


@pytest.mark.parametrize("what", ["full", "locked"])
def test_a_commit_waits_for_the_disk(what: str) -> None:
    """The errors are such as the service knows: it goes on, and doesn't end by itself."""
    plain = drawn(2)
    life = Episode("serve", 3, plain.episodes[0].deeds[:4], (Trouble("disk", what, 0.3, 0.7, 0),))
    outcome = lived_through(History(1, (), (plain.episodes[0], life)))
    assert not outcome.findings, "\n".join(outcome.story)
    assert outcome.struck[f"disk: {what}"] > 0
    assert outcome.logged["state.waiting"] > 0
    assert outcome.counts["restarts"] == 0


def test_what_is_found_is_made_small() -> None:
    """Only what it takes is left."""
    large = next(
        one for one in map(drawn, range(100)) if sum(len(each.deeds) for each in one.episodes) > 40
    )
    deed = large.episodes[0].deeds[-1]

    def finds(history: History) -> bool:
        return any(deed in episode.deeds for episode in history.episodes)

    small = shrunk(large, finds)
    assert [episode.deeds for episode in small.episodes] == [(deed,)]
    assert small.switches == ()
    assert small.episodes[0].troubles == ()


def test_all_kinds_are_drawn() -> None:
    """Of episodes, endings and troubles, within some hundred seeds."""
    episodes = [episode for seed in range(300) for episode in drawn(seed).episodes]
    assert {episode.kind for episode in episodes} == set(get_args(Kind))
    assert {episode.ending for episode in episodes} == {"stop", "kill", "vanish"}
    assert {name for episode in episodes for name, _ in episode.changes} == set(CHANGES)
    troubles = {(one.where, one.what) for episode in episodes for one in episode.troubles}
    assert {what for where, what in troubles if where == "disk"} == set(OF_DISK)
    assert {what for where, what in troubles if where == "network"} == set(OF_NETWORK)
    assert {what for where, what in troubles if where == "clock"} == set(OF_CLOCK)
    assert len({what for where, what in troubles if where == "listrak"}) > 40
    assert len({what for where, what in troubles if where == "segment"}) > 40
