"""What an account has shown so far of which scans are of use."""

from typing import Final

import msgspec

from bridge.flow.scans.step import DAY, WHOLE, Step
from bridge.state.records import Kind

MOST_MISSES: Final = 3
"""Times in a row that a scan finds nothing of what a wider one then finds, until it is left out."""

LEFT_OUT_FOR: Final = DAY
"""Seconds until a scan that was of no use is tried again; a week where Listrak refused it."""

PROVEN_FOR: Final = 30 * DAY


class Record(msgspec.Struct, array_like=True):
    """Of one scan: misses in a row, until when it is left out, until when it counts as proven."""

    misses: int = 0
    asleep_until: float = 0.0
    proven_until: float = 0.0


class Trust:
    """Remembers for the whole account, by kind of message; of an activityType, for all kinds."""

    def __init__(self, text: str | None = None) -> None:
        self._records = msgspec.json.decode(text, type=dict[str, Record]) if text else {}

    def text(self) -> str:
        """As it is kept in the state file."""
        return msgspec.json.encode(self._records).decode()

    def useful(self, kind: Kind, step: Step, now: float) -> bool:
        """Whether a scan is worth to be tried. The whole message always is.

        So are the sends of a day, whether or not an activityType can filter them.
        """
        if step.only and step.within is None and not self.understood(step.only, now):
            return False
        return self._of(kind, step).asleep_until <= now

    def understood(self, only: str, now: float) -> bool:
        """Whether Listrak may filter by an activityType."""
        record = self._records.get(f"activityType {only}")
        return record is None or record.asleep_until <= now

    def proven(self, kind: Kind, step: Step, now: float) -> bool:
        """Whether a whole look has shown lately that a scan misses nothing."""
        return self._of(kind, step).proven_until > now

    def found(self, kind: Kind, step: Step) -> None:
        """A scan found what it was to find."""
        self._of(kind, step).misses = 0

    def prove(self, kind: Kind, step: Step, now: float) -> None:
        """A whole look found nothing beyond what a scan had found."""
        record = self._of(kind, step)
        record.misses, record.proven_until = 0, now + PROVEN_FOR

    def miss(self, kind: Kind, step: Step, now: float) -> None:
        """A wider scan found what this one should have found."""
        record = self._of(kind, step)
        record.misses += 1
        record.proven_until = 0.0
        if record.misses >= MOST_MISSES:
            record.misses, record.asleep_until = 0, now + LEFT_OUT_FOR

    def refuse(self, kind: Kind, step: Step, now: float) -> None:
        """Listrak refuses what a scan asks of messages of a kind, or ignores it."""
        self._records[_key(kind, step)] = Record(asleep_until=now + 7 * LEFT_OUT_FOR)

    def refuse_filter(self, only: str, now: float) -> None:
        """Listrak refuses an activityType, or ignores it, whatever the kind of message."""
        self._records[f"activityType {only}"] = Record(asleep_until=now + 7 * LEFT_OUT_FOR)

    def _of(self, kind: Kind, step: Step) -> Record:
        if step.name == WHOLE:
            return Record()
        return self._records.setdefault(_key(kind, step), Record())


def _key(kind: Kind, step: Step) -> str:
    return f"{kind}, {step.name}"
