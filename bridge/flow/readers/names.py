"""The present names of lists and campaigns, which Listrak's users may change at any time."""

from collections import defaultdict
from dataclasses import replace

from bridge.errors import RefusedError, TemporaryError, is_isolated
from bridge.flow.context import ReaderContext
from bridge.flow.scheduling import schedule
from bridge.flow.set_aside import SetAside
from bridge.flow.source import SourceList
from bridge.output.logs import log
from bridge.state.set_aside import Part


class Names:
    """The names of lists, which the state file keeps, and of campaigns.

    They are read again with each complete discovery of a list.
    """

    def __init__(self, context: ReaderContext) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._set_aside = context.set_aside
        # By list and id; None for a campaign that isn't there.
        self._campaigns: dict[int, dict[int, str | None]] = {}
        # Ids by list: those that emails have.
        self._wanted: defaultdict[int, set[int]] = defaultdict(set)

    async def current(self, source: SourceList) -> SourceList:
        """A list by the name that it has now."""
        state = await self._ledger.store.lists.state(source.list_id)
        return replace(source, name=state.list_name) if state.horizon else source

    async def campaign(
        self, list_id: int, campaign_id: int, otherwise: str | None, *, wait: bool
    ) -> str | None:
        """The name of a campaign, None where there is none.

        otherwise: what it was called before, for while names can't be read.
        wait: raises TemporaryError instead while they can't, for an hour at most.

        Raises what the client raises where that isn't about campaigns alone.
        """
        if not campaign_id:
            return None
        self._wanted[list_id].add(campaign_id)
        if campaign_id not in self._campaigns.get(list_id, {}):
            await self._read_campaigns(list_id)
        known = self._campaigns.setdefault(list_id, {})
        part = Part(list_id, "campaigns")
        if campaign_id not in known and part in self._set_aside:
            if wait:
                await_name(self._set_aside, part)
            return otherwise
        return known.setdefault(campaign_id, None)

    async def read(self, list_id: int, *, campaigns: bool) -> str | None:
        """Reads a list's name again, and (`campaigns`) those of its campaigns.

        Returns the list's name, which is the caller's to save; None where Listrak tells none. What
        can't be read keeps the name it had.
        """
        if campaigns:
            await self._read_campaigns(list_id)
        try:
            rows = (await self._listrak.lists()).rows
        except (RefusedError, TemporaryError) as error:
            if not is_isolated(error):
                raise
            log.info("names.unread", list=list_id, reason=str(error))
            return None
        return {row.list_id: row.list_name for row in rows}.get(list_id)

    async def _read_campaigns(self, list_id: int) -> None:
        """Reads the names of campaigns, unless they are set aside."""
        await self._set_aside.attempt(Part(list_id, "campaigns"), lambda: self._read_names(list_id))

    async def _read_names(self, list_id: int) -> bool:
        """Reads them. Raises TemporaryError where a name that is wanted may be what can't be read.

        Others that can't be read keep nobody waiting.
        """
        page = await self._listrak.campaigns(list_id)
        names = {row.campaign_id: row.campaign_name for row in page.rows}
        known = self._campaigns.get(list_id, {})
        if not page.unread:
            # One that is gone is remembered as such, so that it isn't looked for at every poll.
            self._campaigns[list_id] = {**dict.fromkeys(known), **names}
            return True
        self._campaigns[list_id] = {**known, **names}
        if self._wanted[list_id] - self._campaigns[list_id].keys():
            raise TemporaryError(
                f"a campaign can't be read: {page.unread[0].reason}", isolated=True
            )
        return True


def await_name(set_aside: SetAside, part: Part) -> None:
    """Raises TemporaryError as long as events wait for names that can't be read."""
    if set_aside.seconds(part) < schedule.LONGEST_NAME_WAIT:
        raise TemporaryError(
            f"its {part.kind} can't be read; its events wait for them for an hour at most, and go "
            "on without them then",
            isolated=True,
        )
