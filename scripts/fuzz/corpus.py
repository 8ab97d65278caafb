"""The corpus: inputs of each target, from which others are made, and all findings so far."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

CORPUS: Final = Path(__file__).parents[2] / "tests" / "fuzz" / "corpus"


class Finding(NamedTuple):
    """A rule that is broken.

    what: the rule.
    data: the smallest input found that breaks it.
    """

    target: str
    what: str
    data: bytes

    def save(self, corpus: Path) -> Path:
        """Puts the input into the corpus; returns its path."""
        name = f"found-{hashlib.sha256(self.data).hexdigest()[:12]}"
        place = corpus / self.target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.data)
        return place


def inputs(target: str, corpus: Path = CORPUS) -> dict[str, bytes]:
    """The inputs of a target, by name."""
    return {place.name: place.read_bytes() for place in sorted((corpus / target).iterdir())}
