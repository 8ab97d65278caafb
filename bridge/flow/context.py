"""The surroundings of the readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anyio.abc import ObjectSendStream

from bridge.flow.channel import Channel
from bridge.flow.ledger import Ledger
from bridge.flow.page import Page
from bridge.flow.set_aside import SetAside
from bridge.flow.source import SourceList
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone


@dataclass(frozen=True)
class Scope:
    """The part of the account that is read and sent.

    sources: the configured lists.
    zone: the zone of Listrak's naive times.
    track: seconds after a send for which a message is polled.
    events: names of the events to send. All are read: what isn't sent is known as withheld.
    namespace: first part of the identity of each event; "" in files of older versions.
    ignored_user_ids: values that stand for nobody, besides the usual ones, in lower case.
    extra_properties: names of those of EXTRA_PROPERTIES to send.
    """

    sources: Sequence[SourceList]
    zone: Zone
    track: float
    events: frozenset[str]
    namespace: str = ""
    ignored_user_ids: frozenset[str] = frozenset()
    extra_properties: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PollLimits:
    """The limits of reading.

    interval: seconds between two polls of what is fresh.
    concurrency: readings side by side, as configured.
    queue_pages: pages that all readers, the mapper and the sender have together.
    """

    interval: float
    concurrency: int
    queue_pages: int


@dataclass(frozen=True)
class ReaderContext:
    """The surroundings of the readers.

    listrak: where they read.
    ledger: where they save.
    pages: where they send the pages they read, by channel.
    set_aside: where they note what fails by itself.
    interval: seconds between two polls of what is fresh.
    """

    listrak: Listrak
    ledger: Ledger
    pages: Mapping[Channel, ObjectSendStream[Page]]
    scope: Scope
    set_aside: SetAside
    interval: float
