"""Which events are known: sets of 64-bit keys."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.segment import events
from bridge.state.keys import (
    LARGEST_MERGED,
    RUN_SIZE_RATIO,
    AllowedKeys,
    Keys,
    SeenKeys,
    from_bytes,
    heads,
    merged,
    sorted_keys,
    to_bytes,
    to_merge,
)

# Few different ones among many, and both ends of what fits.
KEYS = st.integers(0, 40) | st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**63, 2**64 - 1])
RUNS = st.lists(st.lists(KEYS, max_size=30), max_size=12)


def keys_of(keys: Iterable[int]) -> Keys:
    return np.array(list(keys), np.uint64)


def run_of(keys: Iterable[int]) -> Keys:
    return sorted_keys(keys_of(keys))


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_heads(fingerprints: list[bytes]) -> None:
    """The keys of many fingerprints are those of each, in order."""
    assert heads(fingerprints).tolist() == [events.key(one) for one in fingerprints]


@given(st.lists(KEYS))
def test_runs(keys: list[int]) -> None:
    """A run is sorted and has each key once; it is stored with 8 bytes a key and comes back."""
    run = run_of(keys)
    assert run.tolist() == sorted(set(keys))
    assert len(to_bytes(run)) == 8 * len(run)
    assert from_bytes(to_bytes(run)).tolist() == run.tolist()


def test_stored_for_any_machine() -> None:
    """Runs are stored in little-endian order, on whatever machine."""
    assert to_bytes(run_of([1, 2**64 - 1])) == b"\1" + b"\0" * 7 + b"\xff" * 8


def test_a_run_cut_short() -> None:
    """A stored run that lost bytes is an error, not other keys."""
    with pytest.raises(ValueError, match="multiple"):
        from_bytes(b"\0" * 15)


@given(RUNS, st.lists(KEYS, max_size=40))
def test_like_a_set(runs: list[list[int]], asked: list[int]) -> None:
    """Whatever runs are added, it answers like a set; the first of several alike is new."""
    known = SeenKeys()
    model: set[int] = set()
    for keys in runs:
        known.add(run_of(keys))
        model |= set(keys)
    expected: list[int] = []
    seen = set(model)
    for place, key in enumerate(asked):
        if key not in seen:
            expected.append(place)
        seen.add(key)
    assert list(known.unseen(keys_of(asked))) == expected


@given(RUNS, st.lists(KEYS, max_size=40))
def test_unmerged(runs: list[list[int]], asked: list[int]) -> None:
    """Runs that are not merged answer the same, and so they do once more are added."""
    stored = [run_of(keys) for keys in runs]
    unmerged, known = SeenKeys.unmerged(stored), SeenKeys(stored)
    for _ in range(2):
        assert list(unmerged.unseen(keys_of(asked))) == list(known.unseen(keys_of(asked)))
        for one in (unmerged, known):
            one.add(run_of(asked[:3]))


@given(RUNS, st.lists(KEYS, max_size=40))
def test_only(runs: list[list[int]], asked: list[int]) -> None:
    """The other way round: only what is in the runs is unknown, until it was met once."""
    only = AllowedKeys(map(run_of, runs))
    left = {key for keys in runs for key in keys}
    for page in (asked[:20], asked[20:]):
        expected = [
            place for place, key in enumerate(page) if key in left and key not in page[:place]
        ]
        assert list(only.unseen(keys_of(page))) == expected
        only.add(run_of(page))
        left -= set(page)


@given(RUNS)
def test_merged(runs: list[list[int]]) -> None:
    """Runs merged into one have every key once, in order."""
    assert merged(map(run_of, runs)).tolist() == sorted({key for keys in runs for key in keys})


@given(RUNS)
def test_loaded(runs: list[list[int]]) -> None:
    """What was stored in any number of runs, and in any order, is known again."""
    stored = [run_of(keys) for keys in runs]
    every = {key for keys in runs for key in keys}
    for known in (SeenKeys(stored), SeenKeys(reversed(stored))):
        assert list(known.unseen(keys_of(every))) == []
        assert len(known) == len(every)


@given(st.lists(st.lists(KEYS, max_size=20), min_size=1, max_size=40))
def test_few_runs(runs: list[list[int]]) -> None:
    """However many runs are added, few are kept: asking stays cheap."""
    known = SeenKeys()
    for keys in runs:
        known.add(run_of(keys))
        sizes = [len(run) for run in known._runs]
        assert all(larger >= RUN_SIZE_RATIO * smaller for larger, smaller in pairwise(sizes))


def test_nothing() -> None:
    """An empty set knows nothing, and asking for nothing is answered."""
    known = SeenKeys()
    assert (len(known), list(known.unseen(keys_of([])))) == (0, [])
    assert list(known.unseen(keys_of([7, 7]))) == [0]
    assert merged([]).dtype == np.uint64
    known.add(run_of([]))
    assert len(known) == 0


@given(st.lists(st.integers(8, 2 * LARGEST_MERGED), max_size=60))
def test_what_to_merge(sizes: list[int]) -> None:
    """Stored runs are merged with their neighbours, each once, and never beyond the limit."""
    groups = to_merge(enumerate(sizes))
    ids = [row_id for group in groups for row_id in group]
    assert ids == sorted(set(ids))
    for group in groups:
        assert group == list(range(group[0], group[-1] + 1))
        assert len(group) > 1
        assert sum(sizes[row_id] for row_id in group) <= LARGEST_MERGED


def test_merging_is_bounded() -> None:
    """However long a message grows, page by page: few runs are left, each byte is moved rarely."""
    page, moved = 60_000, 0
    left: list[tuple[int, int]] = []
    for number in range(1000):
        left.append((number, page))
        for group in to_merge(left):
            size = sum(size for row_id, size in left if row_id in group)
            left = [run for run in left if run[0] not in group] + [(number, size)]
            moved += size
    assert len(left) <= 2 * 1000 * page / LARGEST_MERGED + 5
    assert moved <= 1000 * page * 6
