"""The comparison of a message: Listrak's counters beside what was seen and sent of it."""

from bridge.errors import MissingError
from bridge.flow.planner.watermarks import read_watermarks
from bridge.flow.reconciliation import Line, OwnNumbers, compare
from bridge.listrak.client import Listrak
from bridge.state.records import Message
from bridge.state.store import Store


async def lines_of(store: Store, listrak: Listrak, message: Message) -> list[Line]:
    """A line for each counter; none where Listrak has no Summary of the message."""
    if message.kind == "transactional":
        return []
    try:
        summary = await listrak.summary(message.path)
    except MissingError:
        return []
    # Read after the Summary, or events seen in between would appear to be missing.
    message = await store.messages.get(message.id)
    watermarks = read_watermarks(message.watermarks)
    own = OwnNumbers(
        counts=await store.event_counts.of(message.id),
        reading=await store.polls.open_one(message.id) is not None,
        never_shown={
            event: watermark.never_shown for event, watermark in watermarks.by_event.items()
        },
    )
    return compare(message, summary, own)
