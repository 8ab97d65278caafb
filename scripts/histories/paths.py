"""Rare paths of the service, and how it is known that a run has taken one: by what it logs."""

from collections.abc import Mapping
from typing import Final

PATHS: Final[Mapping[str, str]] = {
    "bridge.drain_timeout": "a stop cuts short what is on its way",
    "bridge.source_unreachable": "a start waits for Listrak",
    "clock.distrusted": "an answer's date is not believed",
    "clock.trusted": "a time is believed again",
    "list.degraded": "a list can't be read, and the others go on",
    "listing.missing": "a listing isn't there",
    "listrak.rate_changed": "Listrak is called less often for a while",
    "listrak.waiting": "a call to Listrak is retried",
    "message.missing": "Listrak doesn't have a message for now",
    "pipeline.restarting": "the actors are started anew in the same process",
    "poll.postponed": "a task that failed makes room for others",
    "scan.refused": "a scan is refused, or its filter ignored",
    "scan.restarted": "a cursor is not accepted any more",
    "segment.waiting": "a batch is sent again",
    "set_aside.begun": "a part that fails by itself is set aside",
    "set_aside.ended": "a part that was set aside is read again",
    "state.not_saved": "the last commit of a stop fails",
    "state.resumed": "a start goes on where the life before it stood",
    "state.waiting": "a commit waits for the disk",
    "summary.never_shown": "a counter is accepted that rows never show",
}
"""By the log event that tells of it: what happens there."""
