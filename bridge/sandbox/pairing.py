"""The pairing of two sides, of which each member may have one of some of the other side."""

from __future__ import annotations

from collections.abc import Sequence


def paired(choices: Sequence[Sequence[int]]) -> dict[int, int]:
    """Pairs as many as possible, by augmenting paths. Who comes first is never left for another.

    choices: for each of the one side, the numbers of the other side that it may have. Returned is,
    by number of the other side, who of the one side has it.
    """
    owners: dict[int, int] = {}

    def pair(chooser: int, tried: set[int]) -> bool:
        for number in choices[chooser]:
            if number in tried:
                continue
            tried.add(number)
            if number not in owners or pair(owners[number], tried):
                owners[number] = chooser
                return True
        return False

    for chooser in range(len(choices)):
        pair(chooser, set())
    return owners
