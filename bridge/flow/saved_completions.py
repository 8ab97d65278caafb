"""Complete readings of earlier runs, as the state file knows them, for the metric."""

from collections.abc import Iterable

from bridge import clock
from bridge.completions import Completions, Reading
from bridge.flow.set_aside import SetAside
from bridge.state.records import ListState
from bridge.state.set_aside import LISTING_KINDS, PartKind
from bridge.state.store import Store


async def recall(
    completions: Completions, store: Store, set_aside: SetAside, now: float, lists: Iterable[int]
) -> None:
    """Takes over the starts of the latest complete readings of lists, as far as they are saved.

    To be called before anything is read. Of messages none is saved: they are complete again once
    each was read. `now` is by Listrak's clock: a time that is still to come by it tells nothing.
    """
    for list_id in lists:
        completions.show([list_id])
        state = await store.lists.state(list_id)
        for reading, at in _saved(state, set_aside).items():
            known = None if at is None or at > now else clock.boot_time() - (now - at)
            completions.restore(list_id, reading, known)


def _saved(state: ListState, set_aside: SetAside) -> dict[Reading, float | None]:
    """The starts of complete readings by Listrak's clock; of what is set aside the earlier one."""

    def complete_until(saved: float | None, kinds: tuple[PartKind, ...]) -> float | None:
        times = [saved, *(one.complete_until for one in set_aside.records(state.list_id, kinds))]
        known = [at for at in times if at is not None]
        return min(known) if len(known) == len(times) else None

    return {
        "discovery": complete_until(state.discovered_at, LISTING_KINDS),
        "subscribed": state.contacts_at,
        "unsubscribed": state.contacts_at,
        "sweep": complete_until(state.swept_at, ("contact look-ups",)),
    }
