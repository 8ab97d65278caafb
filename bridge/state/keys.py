"""Which events are known: sorted runs of 64-bit keys, asked by the page."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_STORED = np.dtype("<u8")


def sorted_keys(keys: Iterable[int]) -> Keys:
    """A run: sorted, each key once."""
    return _distinct(np.fromiter(keys, np.uint64))


def to_bytes(run: Keys) -> bytes:
    """A run as it is stored, 8 bytes a key."""
    return run.astype(_STORED, copy=False).tobytes()


def from_bytes(blob: bytes) -> Keys:
    """A stored run. Raises ValueError if its size isn't a multiple of 8."""
    return np.frombuffer(blob, _STORED).astype(np.uint64, copy=False)


class KnownKeys:
    """A set of keys that grows by runs; runs of like size are merged, so there are few of them."""

    def __init__(self, runs: Iterable[Keys] = ()) -> None:
        self._runs: list[Keys] = []
        stored = list(runs)
        if stored:
            self.add(_distinct(np.concatenate(stored)))

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, run: Keys) -> None:
        """Takes over a run (sorted, each key once)."""
        # Each run is at least twice the next, so a key is merged a logarithmic number of times.
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = _distinct(np.concatenate((self._runs.pop(), run)))
        if len(run):
            self._runs.append(run)

    def unknown(self, keys: Iterable[int]) -> list[bool]:
        """For each key whether it is new: not known, and not earlier among `keys` either."""
        asked = np.fromiter(keys, np.uint64)
        new = np.ones(len(asked), np.bool_)
        order = np.argsort(asked, kind="stable")
        in_order = asked[order]
        new[order[1:][in_order[1:] == in_order[:-1]]] = False
        for run in self._runs:
            places = np.searchsorted(run, asked)
            places[places == len(run)] = 0
            new &= run[places] != asked
        found: list[bool] = new.tolist()
        return found

    def merged(self) -> Keys:
        """All keys as one run."""
        return _distinct(np.concatenate(self._runs)) if self._runs else np.empty(0, np.uint64)


def _distinct(keys: Keys) -> Keys:
    """The keys sorted, each once; in place. numpy's own unique hashes, which takes far longer."""
    keys.sort(kind="stable")
    different = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=different[1:])
    return keys[different]
