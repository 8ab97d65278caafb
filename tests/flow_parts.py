"""Parts for tests of the flow: messages, polls, deliveries."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from planner_parts import snapshot_of

from bridge.errors import TemporaryError
from bridge.flow.delivery import Delivery, Refusal
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.planner.plan import PollPlan
from bridge.state.cursors import PollCursor
from bridge.state.keys import SeenKeys
from bridge.state.records import BackfillMessage, Message
from bridge.state.store import Store

HORIZON = "2026-05-01T00:00:00.000Z"
FIRST_PAGE = PollCursor("activity", 0, "Start")


class NoEnd:
    """The end of a poll that nobody waits for."""

    async def save(self, poll: MessagePoll, store: Store) -> None:
        """Saves nothing."""

    def committed(self, poll: MessagePoll) -> None:
        """Tells nobody."""


def window_of(previous: str = "", **changes: Any) -> PollWindow:
    """Everything since the horizon."""
    return replace(PollWindow(HORIZON, floor=0, previous=previous), **changes)


def poll_of(
    message: Message | None = None,
    previous: str = "",
    *,
    backfill: BackfillMessage | None = None,
    **changes: Any,
) -> MessagePoll:
    """A poll of a message of which nothing is known; `changes` are of its window."""
    planned = PlannedPoll(snapshot_of(message), PollPlan(full=True))
    window = window_of(previous, **changes)
    return MessagePoll(planned, window, SeenKeys(), {}, NoEnd(), backfill=backfill)


def next_poll(poll: MessagePoll, previous: str = "", **changes: Any) -> MessagePoll:
    """A later poll of the same message, with all that was seen by then."""
    window = replace(poll.window, previous=previous, **changes)
    later = MessagePoll(poll.planned, window, poll.seen, poll.totals, poll.end)
    later.message = poll.message
    return later


@dataclass
class Mailroom:
    """Makes deliveries and notes those that are acknowledged."""

    acknowledged: list[Delivery] = field(default_factory=list)
    made: int = 0

    def delivery(self, *events: bytes) -> Delivery:
        """A delivery of encoded events."""
        ack = NotedAck(self.acknowledged)
        ack.delivery = Delivery(list(events), Counter("Email Sent" for _ in events), ack)
        return ack.delivery

    def delivery_of(self, number: int) -> Delivery:
        """A delivery of so many new events, each with an id and an address of its own."""
        numbers = range(self.made, self.made + number)
        self.made += number
        return self.delivery(*(event_of(n) for n in numbers))


@dataclass(eq=False)
class NotedAck:
    """An acknowledgement that notes its delivery."""

    acknowledged: list[Delivery]
    delivery: Delivery | None = None

    def done(self, refused: list[Refusal], aside: Sequence[bytes] = ()) -> None:
        """Notes the delivery."""
        assert self.delivery is not None
        assert refused is self.delivery.refused
        assert aside is self.delivery.aside
        self.acknowledged.append(self.delivery)

    def failed(self, error: TemporaryError) -> None:
        """Raises the error, as that of a poll's page does."""
        raise error


def event_of(number: int, **properties: Any) -> bytes:
    """An event with an id of its own."""
    email = f"contact{number}@example.com"
    event = {
        "type": "track",
        "messageId": f"listrak-{number:032x}",
        "anonymousId": email,
        "event": "Email Sent",
        "timestamp": "2026-05-10T12:00:00.000Z",
        "properties": {"email_id": "7", **properties},
        "context": {"traits": {"email": email}},
    }
    return json.dumps(event, separators=(",", ":")).encode()
