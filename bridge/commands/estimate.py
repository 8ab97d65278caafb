"""The command `estimate`: what a service will cost and bring, from the account itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio.to_thread

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.clock import DAY
from bridge.commands.estimation.account import AccountReader
from bridge.commands.estimation.asking import Asking, Bounds
from bridge.commands.estimation.shown import Estimate, as_json, show
from bridge.commands.terminal import print_json, terminal
from bridge.environment.values import ListSetting
from bridge.errors import ConfigurationError, CredentialsError, TemporaryError
from bridge.flow.forecast.figures import AccountFigures, Terms
from bridge.flow.forecast.forecast import forecast
from bridge.flow.source import ResolvedLists, resolve
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.metrics import Metrics
from bridge.present import horizon_from


async def estimate(
    settings: Any, lists: Sequence[ListSetting] | None, *, for_programs: bool
) -> None:
    """Prints an estimate of these lists, None for all of the account's.

    settings: all but those of the state file and of Segment's write key.

    Raises what the Listrak client raises. What could be read is printed before; then the gravest
    problem is raised, of a list or of a part of one.
    """
    read = await read_account(settings, lists, Bounds())
    expected = await anyio.to_thread.run_sync(
        forecast, read.account, read.terms, read.asking.tell_days, abandon_on_cancel=True
    )
    estimated = Estimate(
        forecast=expected,
        account=read.account,
        terms=read.terms,
        names={source.list_id: source.name for source in read.lists.found},
        calls_taken=round(read.asking.cost().all_calls),
        are_all=lists is None,
        notes=read.asking.notes,
        problems={what: str(error) for what, error in read.asking.problems.items()},
    )
    if for_programs:
        print_json(as_json(estimated))
    else:
        show(estimated, terminal())
    read.lists.require()
    for what, problem in read.asking.problems.items():
        raise TemporaryError(f"not everything could be read: {what}: {problem}")


class ReadAccount(NamedTuple):
    """An account as it was read.

    lists: which of the wanted ones it has.
    asking: with what could not be read.
    """

    account: AccountFigures
    terms: Terms
    lists: ResolvedLists
    asking: Asking


async def read_account(
    settings: Any, lists: Sequence[ListSetting] | None, bounds: Bounds
) -> ReadAccount:
    """The figures of those lists that can be read.

    Raises the problem of the lists where none can be read, and what the Listrak client raises.
    """
    metrics = Metrics()
    async with listrak_client(settings, metrics) as listrak:
        asking = Asking(
            listrak, metrics, Zone(settings.listrak_timezone), settings.poll_concurrency, bounds
        )
        soon = listrak.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
        if lists is None:
            lists = await _all_lists(soon)
        before = asking.cost()
        resolved = await resolve(soon, lists)
        lookup = asking.cost_since(before)
        resolved.require(all_of_them=False)
        asking.now = listrak.clock.now()
        terms = _terms(settings, asking.now, bounds.page_rows)
        account = await AccountReader(asking, resolved.found, terms, lookup).read()
        return ReadAccount(account, terms, resolved, asking)


async def _all_lists(listrak: Listrak) -> list[ListSetting]:
    """All lists of the account. Raises ConfigurationError where there is none."""
    rows = (await listrak.lists()).rows
    if not rows:
        raise ConfigurationError("LISTRAK_LISTS", "the account has no list")
    return [ListSetting(row.list_id, None) for row in rows]


def _terms(settings: Any, now: float, page_rows: int) -> Terms:
    horizon = times.seconds(horizon_from(settings, now))
    return Terms(
        interval=settings.poll_interval,
        track=settings.track_days * DAY,
        rate=settings.listrak_requests_per_second,
        events=settings.events,
        events_per_second=settings.events_per_second,
        horizon=max(0.0, now - horizon),
        page_rows=page_rows,
    )
