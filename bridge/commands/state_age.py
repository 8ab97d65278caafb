"""The result of `check` about how old the state file is."""

from pathlib import Path

from bridge.flow.reversal import UNTRACED, WENT_BACK
from bridge.listrak import times
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.inspection import COPIED
from bridge.state.place import doubt
from bridge.state.store import Store
from bridge.state.verification import Verified


async def state_age(path: Path, store: Store, verified: Verified) -> tuple[str, str]:
    """The state of the row, and its sentence; verified: what is in the file."""
    delivered = (await store.counters.all()).get("delivered", 0)
    sound = f"all {verified.number} rows are as they were written"
    text = f"{path}: {delivered} events delivered so far; {sound}"
    if await store.version() < SCHEMA_VERSION:
        return ("warning", f"{path}: {WENT_BACK}") if store.went_back else ("ok", text)
    lists = await store.lists.all()
    last = max((state.last_read for state in lists), default=0.0)
    saved = f", read last at {times.from_seconds(last)[:19]}Z" if last else ""
    text += saved
    if store.copied:
        return "warning", f"{path}{saved}: {COPIED}"
    if store.went_back:
        return "warning", f"{path}{saved}: {WENT_BACK}"
    if (found := await _reversal(store)) is not None:
        return "notice", f"{text}. {found}"
    if last and store.is_untraced:
        return "notice", f"{text}. {UNTRACED}"
    if reason := doubt(path):
        return "warning", f"{text}; {reason}"
    return "ok", text


async def _reversal(store: Store) -> str | None:
    """A sentence about the latest reversal; None where contacts have been told since."""
    reversal = await store.reversals.latest()
    if reversal is None:
        return None
    lists = [state.list_id for state in await store.lists.all() if state.horizon]
    open_ones = [each for each in lists if await store.identify_runs.open_one(each) is not None]
    if reversal.told and not open_ones:
        return None
    when = times.from_seconds(reversal.found_at)[:19]
    which = ", ".join(map(str, open_ones or lists))
    return f"It went back to an older state (found {when}Z): list {which} is told again"
