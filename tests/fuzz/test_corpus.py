"""What the fuzzer begins with, and all that it ever found, is read as it should be."""

import pytest
from fuzz.corpus import CORPUS, inputs
from fuzz.running import replayed
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_replayed(name: str) -> None:
    """Typed errors or sound values, in little memory, and nothing is told of people or secrets."""
    corpus = inputs(name)
    verdicts = replayed(TARGETS[name], [*corpus.values()])
    told = dict(zip(corpus, verdicts, strict=True))
    assert {entry: one.finding for entry, one in told.items() if one.finding} == {}
    # Inputs that nothing reads, or all of which are refused, would prove little.
    assert any(not one.refused for one in verdicts)


def test_folders() -> None:
    """None is left over from a target that had another name."""
    assert {place.name for place in CORPUS.iterdir()} == TARGETS.keys()
