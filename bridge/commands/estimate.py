"""The command `estimate`: what a service will cost and bring, from the account itself."""

from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.clock import DAY
from bridge.commands.estimation.account import AccountReader
from bridge.commands.estimation.asking import Asking, Bounds
from bridge.commands.estimation.shown import Estimate, as_json, show
from bridge.commands.terminal import print_json, terminal
from bridge.environment.values import ListSetting
from bridge.errors import ConfigurationError, CredentialsError, TemporaryError
from bridge.flow.forecast.figures import Cost, Terms
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
    estimated, resolved = await estimated_of(settings, lists, Bounds())
    if for_programs:
        print_json(as_json(estimated))
    else:
        show(estimated, terminal())
    resolved.require()
    for what, problem in estimated.problems.items():
        raise TemporaryError(f"not everything could be read: {what}: {problem}")


async def estimated_of(
    settings: Any, lists: Sequence[ListSetting] | None, bounds: Bounds
) -> tuple[Estimate, ResolvedLists]:
    """The estimate of those lists that can be read, and which ones these are.

    Raises the problem of the lists where none can be read.
    """
    metrics = Metrics()
    async with listrak_client(settings, metrics) as listrak:
        asking = Asking(
            listrak,
            metrics,
            Zone(settings.listrak_timezone),
            now=0.0,
            at_once=settings.poll_concurrency,
            bounds=bounds,
        )
        resolved = await _resolved(listrak, lists)
        resolved.require(all_of_them=False)
        lookup = asking.cost_since(Cost())
        lookup.calls.pop("token", None)
        asking.now = listrak.clock.now()
        terms = _terms(settings, asking.now, bounds.page_rows)
        account = await AccountReader(asking, resolved.found, terms, lookup).read()
        calls = asking.cost().all_calls
    asking.tell("The days to come ...")
    expected = await anyio.to_thread.run_sync(forecast, account, terms, abandon_on_cancel=True)
    return Estimate(
        forecast=expected,
        account=account,
        terms=terms,
        names={source.list_id: source.name for source in resolved.found},
        calls_taken=round(calls),
        are_all=lists is None,
        notes=asking.notes,
        problems={what: str(error) for what, error in asking.problems.items()},
    ), resolved


async def _resolved(listrak: Listrak, lists: Sequence[ListSetting] | None) -> ResolvedLists:
    """The lists, as the account has them. Raises soon where it can't be read."""
    asking = listrak.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
    if lists is None:
        rows = (await asking.lists()).rows
        if not rows:
            raise ConfigurationError("LISTRAK_LISTS", "the account has no list")
        lists = [ListSetting(row.list_id, None) for row in rows]
    return await resolve(asking, lists)


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
