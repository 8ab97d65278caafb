"""Reads the figures of an account that a forecast is made of."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from bridge.clock import DAY
from bridge.commands.estimation.asking import Asking
from bridge.commands.estimation.behaviour import BehaviourReader
from bridge.commands.estimation.contacts import Contacts, contacts_of
from bridge.commands.estimation.emails import EmailReader, Emails
from bridge.commands.estimation.messages import Asked, MessageReader
from bridge.flow.forecast.figures import AccountFigures, Cost, ListFigures, Terms
from bridge.flow.readers.discovery import LOOKBACK
from bridge.flow.source import SourceList

Item = TypeVar("Item")

WINDOW: Final = 30 * DAY
"""Seconds of the past that messages count as usual."""

SHORTEST_WINDOW: Final = 1 * DAY
"""Seconds of an account that has just begun to send."""


class AccountReader:
    """Reads the figures of an account, of these lists.

    lookup: what looking them up has cost.
    """

    def __init__(
        self, asking: Asking, sources: Sequence[SourceList], terms: Terms, lookup: Cost
    ) -> None:
        self._asking = asking
        self._sources = sources
        self._terms = terms
        self._lookup = lookup
        # Broadcasts that a first start takes up: those that are tracked past the horizon.
        self._tracked = terms.horizon + max(terms.track, LOOKBACK)

    async def read(self) -> AccountFigures:
        """The figures. Raises what the Listrak client raises, but for what fails by itself."""
        asking = self._asking
        emails: dict[int, Emails] = {}
        for source in self._sources:
            asking.tell(f"List {source.list_id}: its messages ...")
            emails[source.list_id] = await EmailReader(asking, source).read(
                asking.now - self._tracked
            )
        window = self._window(emails.values())
        reader = MessageReader(asking, window, self._tracked)
        broadcasts = await reader.broadcasts(_all(one.broadcasts for one in emails.values()))
        ongoing = await reader.ongoing(_all(one.ongoing for one in emails.values()))
        asking.tell("Some emails and clicks ...")
        behaviour = await BehaviourReader(asking).read(broadcasts, ongoing)
        contacts: dict[int, Contacts] = {}
        pages = max(1, asking.bounds.contact_pages // max(1, len(self._sources)))
        for source in self._sources:
            asking.tell(f"List {source.list_id}: its contacts ...")
            contacts[source.list_id] = await contacts_of(asking, source, pages)
        lists = [
            self._list(list_id, emails[list_id], contacts[list_id], [*broadcasts, *ongoing])
            for list_id in emails
        ]
        seconds = [one.page_seconds for one in contacts.values()]
        return AccountFigures(
            lists=lists,
            window=window,
            people=_people(lists, [one.people for one in contacts.values()]),
            lookup=self._lookup,
            page_seconds=max(seconds, default=0.0),
            behaviour=behaviour,
        )

    def _window(self, emails: Iterable[Emails]) -> float:
        """The seconds of the past that messages count as usual: fewer in an account that is new."""
        begun = [sent for one in emails for _, sent in one.broadcasts]
        age = self._asking.now - min(begun, default=0.0)
        return max(SHORTEST_WINDOW, min(WINDOW, age))

    def _list(
        self, list_id: int, emails: Emails, contacts: Contacts, asked: Sequence[Asked]
    ) -> ListFigures:
        """The figures of a list; contacts that were not counted are as many as it sends to."""
        own = [one.figures for one in asked if one.ref.list_id == list_id]
        figures = contacts.figures
        if not figures.is_counted:
            largest = max((one.sends for one in own if one.kind == "broadcast"), default=0.0)
            figures = replace(figures, subscribed=max(figures.subscribed, largest))
            self._asking.notes.append(
                f"List {list_id}: its contacts were not counted to the end; they are taken to be "
                f"{figures.subscribed:,.0f}, as many as the largest send went to"
            )
        return ListFigures(
            list_id,
            figures,
            discovery=emails.discovery,
            recent=emails.recent,
            messages=own,
            unsent=emails.unsent,
        )


def _all(parts: Iterable[Sequence[Item]]) -> list[Item]:
    return [one for part in parts for one in part]


def _people(lists: Sequence[ListFigures], people: Sequence[set[int]]) -> tuple[float, float]:
    """The number of different contacts, at least and at most: some are on several lists."""
    seen = float(len(set[int]().union(*people)))
    if all(one.contacts.is_counted for one in lists):
        return seen, seen
    numbers = [one.contacts.subscribed for one in lists]
    return max(seen, *numbers), sum(numbers)
