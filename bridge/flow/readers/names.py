"""The present names of lists and campaigns, which Listrak's users may change at any time."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

from bridge.errors import MissingError, RefusedError
from bridge.flow.context import ReaderContext
from bridge.flow.source import SourceList
from bridge.logs import log

Answer = TypeVar("Answer")


class Names:
    """The names of lists, which the state file keeps, and of campaigns.

    They are read again with each complete discovery of a list.
    """

    def __init__(self, context: ReaderContext) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        # By list and id; None for a campaign that isn't there.
        self._campaigns: dict[int, dict[int, str | None]] = {}

    async def current(self, source: SourceList) -> SourceList:
        """A list by the name that it has now."""
        state = await self._ledger.store.lists.state(source.list_id)
        return replace(source, name=state.list_name) if state.horizon else source

    async def campaign(self, list_id: int, campaign_id: int) -> str | None:
        """The name of a campaign, None where there is none. Raises what the client raises."""
        if not campaign_id:
            return None
        if campaign_id not in self._campaigns.get(list_id, {}):
            await self._read_campaigns(list_id)
        return self._campaigns[list_id].setdefault(campaign_id, None)

    async def read(self, list_id: int, *, campaigns: bool) -> str | None:
        """Reads a list's name again, and (`campaigns`) those of its campaigns.

        Returns the list's name, which is the caller's to save; None where Listrak tells none. What
        Listrak refuses keeps the name it had.
        """
        if campaigns:
            await _unless_refused(list_id, self._read_campaigns(list_id))
        rows = await _unless_refused(list_id, self._listrak.lists())
        names = {row.list_id: row.list_name for row in rows or ()}
        return names.get(list_id)

    async def _read_campaigns(self, list_id: int) -> None:
        names = await self._listrak.campaigns(list_id)
        # One that is gone is remembered as such, so that it isn't looked for at every poll.
        gone = dict.fromkeys(self._campaigns.get(list_id, {}))
        self._campaigns[list_id] = {**gone, **names}


async def _unless_refused(list_id: int, reading: Awaitable[Answer]) -> Answer | None:
    """The answer, None where Listrak has or tells none."""
    try:
        return await reading
    except (MissingError, RefusedError) as error:
        log.info("names.unread", list=list_id, reason=str(error))
        return None
