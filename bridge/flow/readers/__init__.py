"""Who reads from Listrak: each one kind of thing, all of them together the eyes of the bridge."""

from dataclasses import dataclass

from bridge.flow.readers.contacts import ContactReader
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.held import HeldReader
from bridge.flow.readers.history import HistoryReader
from bridge.flow.readers.messages import MessageReader


@dataclass(frozen=True)
class Readers:
    """One of each."""

    discovery: Discovery
    messages: MessageReader
    contacts: ContactReader
    held: HeldReader
    history: HistoryReader
