"""The lists that can be read now: what commands ask before they begin, and say of the others."""

from collections.abc import Collection
from typing import NamedTuple

from rich.console import Console

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.environment.settings import Settings
from bridge.errors import CredentialsError, RefusedError, TemporaryError
from bridge.flow.source import ResolvedLists, resolve
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics


class Readable(NamedTuple):
    """The configured lists as they are now.

    ahead: seconds by which Listrak's clock is ahead of this machine's, as far as that is known.
    """

    lists: ResolvedLists
    ahead: float = 0.0


async def resolve_now(
    listrak: Listrak, settings: Settings, wanted: Collection[int]
) -> ResolvedLists:
    """The configured lists of these ids. Raises what `resolve` does, soon."""
    asking = listrak.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
    return await resolve(asking, [each for each in settings.lists if each.list_id in wanted])


async def resolve_if_possible(
    settings: Settings, wanted: Collection[int], console: Console
) -> Readable:
    """The configured lists of these ids; without any problem where Listrak can't be asked now."""
    try:
        async with listrak_client(settings, Metrics()) as listrak:
            lists = await resolve_now(listrak, settings, wanted)
            return Readable(lists, listrak.clock.offset or 0.0)
    except (TemporaryError, RefusedError) as error:
        console.print(f"Whether all lists can be read could not be asked now: {error}")
        return Readable(ResolvedLists([], {}))


def tell_problems(lists: ResolvedLists, console: Console, consequence: str) -> None:
    """Says of each list that can't be read why, and what follows for it."""
    for list_id, problem in lists.problems.items():
        console.print(f"List {list_id} can't be read at present; {consequence}. {problem}")
