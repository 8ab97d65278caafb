"""The set of events seen: sorted runs of 64-bit keys, searched for a page at once."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_STORED = np.dtype("<u8")
_HALVES = np.dtype(">u8")

LARGEST_MERGED = 2**20
"""Bytes that a stored run may grow to, which bounds the time and the memory of merging."""

RUN_SIZE_RATIO = 8
"""Factor between the sizes of a run and the next at least: each run is a search of every page."""


def heads(fingerprints: Sequence[bytes]) -> Keys:
    """The keys of 128-bit fingerprints: the first half of each, in the order given."""
    return np.frombuffer(b"".join(fingerprints), _HALVES)[::2].astype(np.uint64)


def sorted_keys(keys: Keys) -> Keys:
    """A run: sorted, each key once."""
    return _distinct(np.sort(keys))


def to_bytes(run: Keys) -> bytes:
    """A run as it is stored, 8 bytes a key."""
    return run.astype(_STORED, copy=False).tobytes()


def from_bytes(blob: bytes) -> Keys:
    """A stored run. Raises ValueError if its size isn't a multiple of 8."""
    return np.frombuffer(blob, _STORED).astype(np.uint64, copy=False)


def is_run(blob: bytes) -> bool:
    """Tells whether a value is a stored run: sorted, each key once."""
    if len(blob) % _STORED.itemsize:
        return False
    run = np.frombuffer(blob, _STORED)
    return bool((run[1:] > run[:-1]).all())


def merged(runs: Iterable[Keys]) -> Keys:
    """Several runs as one."""
    # A stable sort finds the runs and merges them.
    return _distinct(np.sort(np.concatenate((np.empty(0, np.uint64), *runs)), kind="stable"))


def without(run: Keys, others: Keys) -> Keys:
    """The keys of a run that are not among others."""
    return np.setdiff1d(run, others, assume_unique=True)


def to_merge(runs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The groups of stored runs to merge, given each run's id and size in bytes, oldest first.

    Those left differ in size by a factor of two at least, or are as large as they may grow.
    """
    stack: list[tuple[int, list[int]]] = []
    for row_id, bytes_of_run in runs:
        size, group = bytes_of_run, [row_id]
        while stack and stack[-1][0] < 2 * size and stack[-1][0] + size <= LARGEST_MERGED:
            older, ids = stack.pop()
            size, group = older + size, ids + group
        stack.append((size, group))
    return [group for _, group in stack if len(group) > 1]


class SeenKeys:
    """A set of keys that grows by runs; runs of like size are merged, so there are few of them."""

    def __init__(self, runs: Iterable[Keys] = ()) -> None:
        self._runs: list[Keys] = []
        self.add(merged(runs))

    @classmethod
    def unmerged(cls, runs: Iterable[Keys]) -> "SeenKeys":
        """A set of unmerged runs, for the search of a few keys: merging isn't worth its cost."""
        seen = cls()
        seen._runs = sorted((run for run in runs if len(run)), key=len, reverse=True)
        return seen

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, run: Keys) -> None:
        """Takes over a run (sorted, each key once)."""
        while self._runs and len(self._runs[-1]) < RUN_SIZE_RATIO * len(run):
            run = merged((self._runs.pop(), run))
        if len(run):
            self._runs.append(run)

    def unseen(self, asked: Keys) -> Sequence[int]:
        """Places of new keys: those not seen, and not earlier among the `asked` either."""
        # Searches in order walk through a run once, which suits the processor's caches.
        in_order = np.sort(asked)
        new = np.ones(len(asked), np.bool_)
        np.not_equal(in_order[1:], in_order[:-1], out=new[1:])
        repeated = not new.all()
        for run in self._runs:
            positions = np.searchsorted(run, in_order)
            positions[positions == len(run)] = 0
            new &= run[positions] != in_order
        # Mostly a page is all new or all known, and the place of each key isn't needed.
        if new.all():
            return range(len(asked))
        if not new.any():
            return ()
        order = np.argsort(asked, kind="stable" if repeated else None)
        places: list[int] = np.sort(order[new]).tolist()
        return places


class AllowedKeys(SeenKeys):
    """An allow-list: only its keys count as unseen, and each passes once."""

    def __init__(self, runs: Iterable[Keys] = ()) -> None:
        super().__init__()
        self._allowed = SeenKeys(runs)

    def unseen(self, asked: Keys) -> Sequence[int]:
        """Places of keys that are on the list, and that come for the first time."""
        here = set(range(len(asked))).difference(self._allowed.unseen(asked))
        return sorted(here.intersection(super().unseen(asked)))


def _distinct(run: Keys) -> Keys:
    """Sorted keys, each once. numpy's own unique hashes, which takes far longer."""
    different = np.ones(len(run), np.bool_)
    np.not_equal(run[1:], run[:-1], out=different[1:])
    return run if different.all() else run[different]
