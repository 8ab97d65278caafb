"""Learns which scans and filters the account supports, from what they find.

1. Every scan counts as supported until it shows otherwise.
2. A miss: a wider scan found what this one should have found. MISSES_UNTIL_COOLDOWN in a row start
   a cooldown of MISS_COOLDOWN. A miss ends a proof.
3. A find ends a row of misses.
4. A proof: a full poll found nothing that this scan had missed. It ends a row of misses and lasts
   for PROOF_LASTS.
5. A refusal: Listrak answers a scan with an error, or its rows show that a parameter is ignored. It
   starts a cooldown of REFUSAL_COOLDOWN at once, and forgets misses and proof.
6. During its cooldown a scan is not tried, the next wider one is. Afterwards it is, as in 1.
7. The full message is never in cooldown.

Scans are remembered by kind of message, an activityType for the whole account.
"""

from typing import Final

import msgspec

from bridge.clock import DAY
from bridge.flow.planner.scan_types import ScanType
from bridge.state.records import Kind

MISSES_UNTIL_COOLDOWN: Final = 3
"""Misses in a row that start a cooldown."""

MISS_COOLDOWN: Final = 1 * DAY
"""Seconds of cooldown after misses."""

REFUSAL_COOLDOWN: Final = 7 * DAY
"""Seconds of cooldown after a refusal."""

PROOF_LASTS: Final = 30 * DAY
"""Seconds that a proof lasts."""


class ScanRecord(msgspec.Struct, array_like=True):
    """The record of one scan, or of one activityType."""

    misses: int = 0
    """Misses in a row."""
    cooldown_until: float = 0.0
    """Seconds since 1970; 0 for no cooldown."""
    proven_until: float = 0.0
    """End of its proof, in seconds since 1970; 0 for no proof."""


class FilterSupport:
    """The scans and filters that the account supports. `now` is in seconds since 1970."""

    def __init__(self, text: str | None = None) -> None:
        self._records = msgspec.json.decode(text, type=dict[str, ScanRecord]) if text else {}

    def text(self) -> str:
        """The JSON text for the state file."""
        return msgspec.json.encode(self._records).decode()

    def is_usable(self, kind: Kind, scan_type: ScanType, now: float) -> bool:
        """Tells whether neither a scan nor its filter is in cooldown.

        Sends of a short lookback are few enough to be read without the filter.
        """
        activity_type = scan_type.activity_type
        if activity_type and scan_type.lookback is None and not self.accepts(activity_type, now):
            return False
        return self._known(kind, scan_type).cooldown_until <= now

    def accepts(self, activity_type: str, now: float) -> bool:
        """Tells whether Listrak may filter by an activityType."""
        return self._records.get(_filter_key(activity_type), ScanRecord()).cooldown_until <= now

    def is_proven(self, kind: Kind, scan_type: ScanType, now: float) -> bool:
        """Tells whether a full poll has shown lately that a scan misses nothing."""
        return self._known(kind, scan_type).proven_until > now

    def record_find(self, kind: Kind, scan_type: ScanType) -> None:
        """Records that a scan found what it was to find: rule 3."""
        self._record(kind, scan_type).misses = 0

    def record_proof(self, kind: Kind, scan_type: ScanType, now: float) -> None:
        """Records that a full poll found nothing beyond what a scan had found: rule 4."""
        record = self._record(kind, scan_type)
        record.misses, record.proven_until = 0, now + PROOF_LASTS

    def record_miss(self, kind: Kind, scan_type: ScanType, now: float) -> None:
        """Records that a wider scan found what this one should have found: rule 2."""
        record = self._record(kind, scan_type)
        record.misses += 1
        record.proven_until = 0.0
        if record.misses >= MISSES_UNTIL_COOLDOWN:
            record.misses, record.cooldown_until = 0, now + MISS_COOLDOWN

    def record_refusal(self, kind: Kind, scan_type: ScanType, now: float) -> None:
        """Records that Listrak refuses or ignores a scan, for messages of a kind: rule 5."""
        self._records[_key(kind, scan_type)] = ScanRecord(cooldown_until=now + REFUSAL_COOLDOWN)

    def record_filter_refusal(self, activity_type: str, now: float) -> None:
        """Records that Listrak refuses or ignores an activityType, for any message: rule 5."""
        refused = ScanRecord(cooldown_until=now + REFUSAL_COOLDOWN)
        self._records[_filter_key(activity_type)] = refused

    def _known(self, kind: Kind, scan_type: ScanType) -> ScanRecord:
        """The record of a scan, to be read; rules 1 and 7 for what has none."""
        if scan_type.is_full:
            return ScanRecord()
        return self._records.get(_key(kind, scan_type), ScanRecord())

    def _record(self, kind: Kind, scan_type: ScanType) -> ScanRecord:
        """The record of a scan, to be changed; none is kept of the full message: rule 7."""
        if scan_type.is_full:
            return ScanRecord()
        return self._records.setdefault(_key(kind, scan_type), ScanRecord())


# Keys in the state file.


def _key(kind: Kind, scan_type: ScanType) -> str:
    return f"{kind}, {scan_type.name}"


def _filter_key(activity_type: str) -> str:
    return f"activityType {activity_type}"
