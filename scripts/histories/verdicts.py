"""What has to be so after each life and at the end; sentences about what isn't."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bridge.sandbox.expectations import Expectations
from bridge.sandbox.history import History, Step
from bridge.sandbox.judge import judge
from bridge.sandbox.verdict import Verdict
from histories.account import START
from histories.service import Stage, field_ids

IN_FLIGHT: Final = (
    "SELECT (SELECT coalesce(sum(events), 0) FROM outbox) + (SELECT count(*) FROM unsubscribes)"
)
LONGEST_LOOK: Final = timedelta(hours=1)
"""Of a catch-up, with the lives in trouble before it."""


def ledger(state: Path) -> list[str]:
    """fetched = delivered + known + filtered + dead-lettered + in flight."""
    if not state.exists():
        return []
    # Another connection at its end would move what is beside the file into it.
    address = f"file:{state}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as db, suppress(sqlite3.OperationalError):
        counts = Counter(dict(db.execute("SELECT name, value FROM counters")))
        ((counts["in flight"],),) = db.execute(IN_FLIGHT)
        fetched = counts.pop("fetched", 0)
        if fetched != counts.total():
            return [f"the ledger doesn't close: {fetched} fetched, {dict(counts)}"]
    return []


def verdict_of_lives(stage: Stage, counts: Counter[str]) -> list[str]:
    """The judge's word on all that had to be sent since the beginning, under one configuration."""
    expectations = Expectations(
        lists=field_ids(stage.world),
        since=START,
        strict_cause=False,
        slack=stage.now - START,
    )
    # Repeats of what was in flight when all ended may come later than Segment knows them.
    told = [{**event, "receivedAt": None} for event in _told(stage)]
    verdict = judge(stage.world, told, expectations)
    return [*_sentences(verdict, counts), *_waiting(stage.state), *_complaints(stage)]


def verdict_of_looks(stage: Stage, steps: Sequence[Step], counts: Counter[str]) -> list[str]:
    """The judge's word on what was due at each step, under the configuration of its time."""
    history = History(steps, slack=LONGEST_LOOK)
    verdict = judge(stage.world, _told(stage), history)
    return [*_sentences(verdict, counts), *_complaints(stage)]


def _sentences(verdict: Verdict, counts: Counter[str]) -> list[str]:
    counts["events"] = sum(verdict.delivered.values())
    counts["repeats"] = sum(verdict.duplicates.values())
    return [
        f"{title}: {sentence}"
        for title in ("missing", "extra", "wrong", "late_repeats")
        for sentence in getattr(verdict, title)
    ]


def _told(stage: Stage) -> list[dict[str, Any]]:
    """What Segment took, and what it refused for good, as the dead letters say; as it came."""
    told = [*stage.segment.received(stamped=True)]
    for message_id, event in _dead_letters(stage.state).items():
        if message_id in stage.refused:
            told.append(event | {"receivedAt": stage.refused[message_id].isoformat()})
    return sorted(told, key=lambda event: datetime.fromisoformat(event["receivedAt"]))


def _complaints(stage: Stage) -> list[str]:
    dead = _dead_letters(stage.state).keys() - stage.refused.keys()
    if dead:
        return [f"dead, though nothing refused it: {message_id}" for message_id in sorted(dead)]
    if not stage.segment.dropped and not stage.segment.complaint_examples:
        return []
    said = (dict(stage.segment.dropped), dict(stage.segment.complaint_examples))
    return [f"Segment has to say: {said}"]


def _dead_letters(state: Path) -> dict[str, dict[str, Any]]:
    """The events that are dead letters, by messageId."""
    if not state.exists():
        return {}
    with closing(sqlite3.connect(state)) as db:
        return {
            message_id: json.loads(body)
            for message_id, body in db.execute("SELECT message_id, body FROM dead_letters")
        }


def _waiting(state: Path) -> list[str]:
    with closing(sqlite3.connect(state)) as db:
        ((waiting,),) = db.execute("SELECT coalesce(sum(events), 0) FROM outbox")
    return [f"{waiting} events wait in the outbox for ever"] if waiting else []
