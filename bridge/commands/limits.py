"""Reads what the limits of lists follow from, and tells them."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from bridge.environment.settings import Settings
from bridge.event_types import TRACKS, UNSUBSCRIBED
from bridge.flow.limits import Limit, ListFacts, limits_of_list, resting
from bridge.state.store import Store


async def limits_of(
    store: Store,
    settings: Settings,
    lists: Sequence[int],
    problems: Mapping[int, str],
) -> list[Limit]:
    """The limits of some configured lists; of the others that were ever read, that they rest.

    problems: by list id, why it can't be read.
    """
    limits: list[Limit] = []
    for list_id in lists:
        facts = await _facts(store, list_id, problems.get(list_id, ""))
        limits += limits_of_list(facts, settings.events)
    configured = {setting.list_id for setting in settings.lists}
    if set(lists) == configured:
        states = await store.lists.all()
        limits += [resting(state) for state in states if state.list_id not in configured]
    return limits


def tell(limits: Sequence[Limit], title: str, console: Console) -> None:
    """Prints a line for each limit."""
    if limits:
        console.print(title)
    for limit in limits:
        console.print(f"- {limit.text}.")


async def _facts(store: Store, list_id: int, problem: str) -> ListFacts:
    state = await store.lists.state(list_id)
    untracked, until = await store.messages.untracked(list_id)
    history = await store.backfills.of(list_id)
    return ListFacts(
        state=state,
        problem=problem,
        tracked=await store.messages.tracked(list_id),
        untracked=untracked,
        untracked_until=until,
        withheld_messages=len(await store.seen_events.with_unwanted(list_id)),
        withheld_unsubscribes=await store.unsubscribes.count_withheld(list_id),
        history=history,
        set_aside=await store.set_aside.all(list_id),
        ends=await store.backfills.ends(list_id, state.horizon, set(TRACKS) - {UNSUBSCRIBED}),
    )
