"""Reversals of the state file: where it went back to an older state, all contacts are told again.

What a list's contacts were told since then isn't known. Who left, was told, and came back, is known
as subscribed and would never be told; and the id of a next change may be one that Segment has seen
with other contents. So each contact is told as it is now, with an id above all that may have been
used. Events of emails are sent again under their own ids, which needs nothing.
"""

from typing import Final

from bridge.clock import DAY, HOUR
from bridge.flow.ledger import Ledger
from bridge.listrak import times
from bridge.output.logs import log
from bridge.state.place import doubt
from bridge.state.store import Store

WENT_BACK: Final = (
    "an older copy of the state file was put in its place, or its -wal was lost: what was saved "
    "after that is not in it. Events since then are sent again under the same ids, which Segment "
    "drops within a day; what order totals rose by may come in other steps, under other ids. All "
    "contacts are told again as they are now; who came and was deleted in between isn't known"
)
"""The meaning of a file that is behind its trace."""

OLD: Final = (
    "all is well if the service stood still since then. If its folder was put back as it was then "
    "(a snapshot), `listrak-bridge identify --all` tells contacts as they are now"
)
"""The meaning of a file that is as far as its trace, and in which nothing was saved for long."""

UNTRACED: Final = (
    "nothing beside the state file tells whether this is all that was ever saved of it. If it was "
    "moved here as it was, all is well. If it is an older copy, events since then are sent again "
    "under the same ids, and `listrak-bridge identify --all` tells contacts as they are now"
)
"""The meaning of a file without a trace."""


async def take_up(ledger: Ledger, at: float) -> None:
    """Has all contacts of all lists told again if the file went back; says how old it is.

    at: the present by Listrak's clock, in seconds since 1970.
    """
    store = ledger.store
    known = [state for state in await store.lists.all() if state.horizon]
    last = max((state.last_read for state in known), default=0.0)
    facts = {
        "last_saved": times.from_seconds(last) if last else None,
        "days_ago": round((at - last) / DAY, 1) if last else None,
    }
    reversal = await store.reversals.latest()
    if reversal is not None and not reversal.told:

        async def work(store: Store) -> None:
            for state in known:
                await store.identify_runs.restart(state.list_id, at)
            await store.reversals.set_told()

        await ledger.commit(work)
        log.warning("state.went_back", **facts, missing=reversal.behind, note=WENT_BACK)
    elif last and store.is_untraced:
        log.warning("state.untraced", **facts, note=UNTRACED)
    elif last:
        log.info("state.resumed", **facts, note=OLD if at - last > HOUR else None)
    if reason := doubt(store.path):
        log.warning("state.doubtful_place", note=reason)
