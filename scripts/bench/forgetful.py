"""The service with its memory taken out: nothing of a look is compared, remembered or committed.

What the service takes longer than this is what checkpoints and acknowledgement cost. Only good for
a load without clicks, totals and contacts; arguments are the command's.

    python -m bench.forgetful run --once
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bridge.__main__ import main
from bridge.flow import mapper
from bridge.flow.ledger import Ledger, Work
from bridge.state import keys
from bridge.state.keys import Keys, KnownKeys

NO_KEYS = np.empty(0, np.uint64)


def at_once(_ledger: Ledger, _work: Work, then: Callable[[], None] = lambda: None) -> None:
    """In place of a transaction."""
    then()


def all_of(_known: KnownKeys, asked: Sequence[Any]) -> list[int]:
    """In place of comparing: everything is new."""
    return list(range(len(asked)))


def take_out() -> None:
    """Replaces what remembers. The pages' way stays as it is, ends that wait for it as well."""

    def forgotten(_known: KnownKeys, _run: Keys) -> None:
        pass

    def as_given(fingerprints: Sequence[bytes]) -> Sequence[bytes]:
        return fingerprints

    def no_run(_fingerprints: Sequence[bytes]) -> Keys:
        return NO_KEYS

    replaced: tuple[tuple[object, str, object], ...] = (
        (Ledger, "later", at_once),
        (KnownKeys, "unknown", all_of),
        (KnownKeys, "add", forgotten),
        (keys, "heads", as_given),
        (mapper, "heads", as_given),
        (mapper, "sorted_keys", no_run),
    )
    for owner, name, substitute in replaced:
        # A name that is gone would leave the work in, and the difference would be a lie.
        if not hasattr(owner, name):
            raise AttributeError(f"{owner!r} has no {name}: this file has to follow the bridge")
        setattr(owner, name, substitute)


if __name__ == "__main__":
    take_out()
    main()
