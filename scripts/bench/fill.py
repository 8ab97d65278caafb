"""Fills a state file with what a large account is remembered by: keys of other emails' events.

python -m bench.fill STATE-FILE NUMBER-OF-KEYS
"""

import sqlite3
import sys
from contextlib import closing

import numpy as np

from bridge.state.checksums import Writing

KEYS_A_RUN = 10_000
RUNS_A_MESSAGE = 10
FIRST_MESSAGE = 1_000_000
"""Rows of messages that no run of the benchmark has."""


def fill(path: str, number: int) -> None:
    """Adds sorted runs of random keys, in one transaction."""
    random = np.random.default_rng(1)
    with closing(sqlite3.connect(path, factory=Writing)) as db, db:
        for place in range(number // KEYS_A_RUN):
            run = np.sort(random.integers(0, 2**64, KEYS_A_RUN, np.uint64, endpoint=False))
            db.execute(
                "INSERT INTO runs (message, bucket, keys) VALUES (?, 0, ?)",
                (FIRST_MESSAGE + place // RUNS_A_MESSAGE, run.astype("<u8").tobytes()),
            )


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
