"""Which events are known: sets of 64-bit keys."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.state.keys import KnownKeys, from_bytes, sorted_keys, to_bytes

# Few different ones among many, and both ends of what fits.
KEYS = st.integers(0, 40) | st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**63, 2**64 - 1])
RUNS = st.lists(st.lists(KEYS, max_size=30), max_size=12)


@given(st.lists(KEYS))
def test_runs(keys: list[int]) -> None:
    """A run is sorted and has each key once; it is stored with 8 bytes a key and comes back."""
    run = sorted_keys(keys)
    assert run.tolist() == sorted(set(keys))
    assert len(to_bytes(run)) == 8 * len(run)
    assert from_bytes(to_bytes(run)).tolist() == run.tolist()


def test_stored_for_any_machine() -> None:
    """Runs are stored in little-endian order, on whatever machine."""
    assert to_bytes(sorted_keys([1, 2**64 - 1])) == b"\1" + b"\0" * 7 + b"\xff" * 8


def test_a_run_cut_short() -> None:
    """A stored run that lost bytes is an error, not other keys."""
    with pytest.raises(ValueError, match="multiple"):
        from_bytes(b"\0" * 15)


@given(RUNS, st.lists(KEYS, max_size=40))
def test_like_a_set(runs: list[list[int]], asked: list[int]) -> None:
    """Whatever runs are added, it answers like a set; the first of several alike is new."""
    known = KnownKeys()
    model: set[int] = set()
    for keys in runs:
        known.add(sorted_keys(keys))
        model |= set(keys)
    expected: list[bool] = []
    seen = set(model)
    for key in asked:
        expected.append(key not in seen)
        seen.add(key)
    assert known.unknown(asked) == expected
    assert known.merged().tolist() == sorted(model)


@given(RUNS)
def test_loaded(runs: list[list[int]]) -> None:
    """What was stored in any number of runs, and in any order, is known again."""
    stored = [sorted_keys(keys) for keys in runs]
    every = {key for keys in runs for key in keys}
    for known in (KnownKeys(stored), KnownKeys(reversed(stored))):
        assert not any(known.unknown(every))
        assert len(known) == len(every)


@given(st.lists(st.lists(KEYS, max_size=20), min_size=1, max_size=40))
def test_few_runs(runs: list[list[int]]) -> None:
    """However many runs are added, few are kept: asking stays cheap."""
    known = KnownKeys()
    for keys in runs:
        known.add(sorted_keys(keys))
        sizes = [len(run) for run in known._runs]
        assert all(larger >= 2 * smaller for larger, smaller in pairwise(sizes))


def test_nothing() -> None:
    """An empty set knows nothing, and asking for nothing is answered."""
    known = KnownKeys()
    assert (len(known), known.unknown([]), known.unknown([7, 7])) == (0, [], [True, False])
    assert known.merged().tolist() == []
    assert known.merged().dtype == np.uint64
    known.add(sorted_keys([]))
    assert len(known) == 0
