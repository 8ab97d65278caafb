"""The readers, each of one kind of thing from Listrak or from the state file."""

from dataclasses import dataclass
from typing import Literal

from bridge.flow.context import ReaderContext
from bridge.flow.readers.backfill import BackfillReader
from bridge.flow.readers.contact_readings import ContactReadings
from bridge.flow.readers.contacts import ContactReader
from bridge.flow.readers.departures import Departures
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.identify import IdentifyReader
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.names import Names
from bridge.flow.readers.outbox import OutboxReader
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.readers.unsubscribes import UnsubscribeReader
from bridge.flow.summary_metrics import SummaryMetrics
from bridge.flow.user_id_alarm import UserIdAlarm
from bridge.metrics import Metrics

ErrandKind = Literal["backfill", "identify"]
"""Work that is done because somebody requested it: for each list, a piece at a time."""


@dataclass(frozen=True)
class Readers:
    """One reader of each kind."""

    discovery: Discovery
    messages: MessageReader
    contacts: ContactReader
    unsubscribes: UnsubscribeReader
    outbox: OutboxReader
    backfill: BackfillReader
    identify: IdentifyReader

    def of_errand(self, errand: ErrandKind) -> BackfillReader | IdentifyReader:
        """The reader that brings an errand on."""
        return self.backfill if errand == "backfill" else self.identify


def readers_of(context: ReaderContext, metrics: Metrics) -> Readers:
    """All readers of an account."""
    names = Names(context)
    discovery = Discovery(context, names, metrics.completions)
    readings = ContactReadings(context)
    rows = RowReader(context, PropertyReader(context, names))
    unsubscribes = UnsubscribeReader(context, names)
    departures = Departures()
    messages = MessageReader(context, rows, SummaryMetrics(metrics), departures)
    return Readers(
        discovery,
        messages,
        ContactReader(context, readings, UserIdAlarm(metrics), departures, metrics.completions),
        unsubscribes,
        OutboxReader(context),
        BackfillReader(context, discovery, rows, unsubscribes, messages),
        IdentifyReader(context, readings),
    )
