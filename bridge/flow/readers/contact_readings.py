"""Readings of contacts: one after the other for each list, each with its instant."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import anyio
from anyio.abc import ObjectSendStream

from bridge.clock import SourceClock
from bridge.errors import BridgeError, RefusedError, TemporaryError, is_isolated
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.in_flight import InFlight
from bridge.flow.mapping.twins import Twins
from bridge.flow.page import ContactPage, ContactPoll, Flush, Page, address_keys
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.pages import UnreadRow
from bridge.state.contacts import KnownAddress
from bridge.state.cursors import ContactCursor
from bridge.state.keys import SeenKeys

CHUNK: Final = 1000
"""Known contacts that are compared with what was seen at once."""

MOST_SINGLE: Final = 50
"""Contacts that are requested one by one for a page: they share its instant."""

FIRST_STAGE: Final = ContactCursor("Subscribed", wire.START)
DELETED_STAGE: Final = ContactCursor("lost", "")


class ListReadings:
    """The readings of one list's contacts.

    Each is made within `turn`, up to sending its page: what is read later is mapped later, and has
    the later instant.

    turn: of one reading after the other.
    in_flight: pages that are not acknowledged.
    """

    def __init__(
        self, clock: SourceClock, pages: ObjectSendStream[Page], identified_at: float
    ) -> None:
        self.turn = anyio.Lock()
        self.in_flight = InFlight()
        self._clock = clock
        self._pages = pages
        self._read_at = identified_at

    def instant(self) -> float:
        """The instant of a reading that has just ended, by Listrak's clock, in whole milliseconds.

        Its end counts, not its beginning: a contact may change while its page is on the way, and
        no state may be dated before the change that brought it. Should it change again before the
        end, a later reading shows that, with a later instant.

        It is later than that of every reading before, whatever the clocks say: the file remembers
        the latest that an identify carries, and goes on above it after a restart.
        """
        now, before = int(self._clock.now() * 1000), round(self._read_at * 1000)
        self._read_at = at = max(now, before + 1) / 1000
        return at

    async def send(self, page: ContactPage) -> None:
        """Sends a page on. Raises PageError where an earlier one of its poll has failed."""
        page.poll.failure.check()
        self.in_flight.add()
        await self._pages.send(page)

    async def drain(self, poll: ContactPoll | None = None) -> None:
        """Waits until all pages sent on so far are acknowledged.

        Raises PageError where one of a poll has failed.
        """
        await self._pages.send(Flush())
        await self.in_flight.drained()
        if poll is not None:
            poll.failure.check()


class ContactReadings:
    """The readings of all lists, for whoever reads contacts."""

    def __init__(self, context: ReaderContext) -> None:
        self._context = context
        self._lists: dict[int, ListReadings] = {}

    async def of(self, list_id: int) -> ListReadings:
        """The readings of a list."""
        context = self._context
        if list_id not in self._lists:
            state = await context.ledger.store.lists.state(list_id)
            pages = context.pages[Channel.IDENTIFIES]
            readings = ListReadings(context.listrak.clock, pages, state.identified_at)
            # Somebody else may have made them meanwhile.
            return self._lists.setdefault(list_id, readings)
        return self._lists[list_id]

    async def poll_of(self, source: SourceList, *, sweep: bool) -> ContactPoll:
        """A poll of a list's contacts, by what the list's state is now."""
        list_id = source.list_id
        store = self._context.ledger.store
        state = await store.lists.state(list_id)
        return ContactPoll(
            source,
            sweep,
            times.from_seconds(state.contacts_at) if state.contacts_at else "",
            state.forgotten_revision,
            state.zone,
            (await self.of(list_id)).in_flight,
            revision_floor=state.revision_floor,
            twins=Twins(await store.contacts.twins(list_id)),
        )


class Unseen(NamedTuple):
    """Known contacts that a reading has not shown.

    single: those to be requested one by one.
    others: all others.
    after: the address after which the next ones come.
    """

    single: list[KnownAddress]
    others: list[KnownAddress]
    after: str


def unseen_of(
    known: Sequence[KnownAddress], seen: SeenKeys, is_single: Callable[[KnownAddress, int], bool]
) -> Unseen:
    """The next known contacts that were not seen, up to what a page may have.

    is_single: tells whether a contact, with its key, is to be requested by itself.
    """
    single: list[KnownAddress] = []
    others: list[KnownAddress] = []
    after = known[0].key
    keys = address_keys(one.key for one in known)
    for place in seen.unseen(keys):
        one = known[place]
        if one.key and is_single(one, int(keys[place])):
            if len(single) == MOST_SINGLE:
                return Unseen(single, others, after)
            single.append(one)
        elif one.key:
            others.append(one)
        after = one.key
    return Unseen(single, others, known[-1].key)


class Requested(NamedTuple):
    """Contacts that were requested one by one.

    rows: of those that the list has.
    deleted: addresses that it doesn't have.
    unread: of those of `rows` of which something can't be read.
    failures: of those of whom nothing is known, as their requests failed by themselves.
    """

    rows: list[wire.Contact]
    deleted: list[str]
    unread: list[UnreadRow]
    failures: list[BridgeError]


async def request_each(
    listrak: Listrak, source: SourceList, contacts: Sequence[KnownAddress]
) -> Requested:
    """Requests contacts one by one; one that fails by itself is left for another time."""
    requested = Requested([], [], [], [])
    for one in contacts:
        try:
            found = await listrak.contact(source.list_id, one.spelling, source.field_id)
        except (TemporaryError, RefusedError) as error:
            if not is_isolated(error):
                raise
            requested.failures.append(error)
            continue
        if not found.rows:
            requested.deleted.append(one.spelling)
        for row in found.rows:
            # The known spelling: the answer's may differ in upper and lower case.
            row.email_address = one.spelling
            number = len(requested.rows)
            requested.unread.extend(each._replace(number=number) for each in found.unread)
            requested.rows.append(row)
    return requested
