"""The channels: the ways from the readers to Segment, one for each kind of call."""

from collections.abc import Iterable
from enum import Enum

from bridge.event_types import IDENTIFY


class Channel(Enum):
    """A way of its own through queue, mapper and batches.

    Neither channel waits for the other: what is refused in one, or has a backlog, holds up nothing
    in the other.
    """

    IDENTIFIES = "identifies"
    TRACKS = "tracks"

    @classmethod
    def of(cls, names: Iterable[str]) -> "Channel":
        """The channel of a page with events of these names."""
        return cls.IDENTIFIES if IDENTIFY in names else cls.TRACKS
