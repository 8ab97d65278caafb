"""The usual messages of an account, in classes of like ones."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from bridge.clock import DAY
from bridge.event_types import SENT, SPAM
from bridge.flow.forecast.figures import AccountFigures, Behaviour, MessageFigures
from bridge.state.records import Kind

FACTOR: Final = 4.0
"""Messages whose numbers of emails differ by less are alike."""


class MessageClass(NamedTuple):
    """Messages that are alike.

    totals: events by name, of a broadcast in its life, of others a day.
    number: of broadcasts so many a day, of others so many in all.
    """

    kind: Kind
    totals: dict[str, float]
    number: float

    @property
    def daily(self) -> dict[str, float]:
        """Events a day of them all."""
        return {event: total * self.number for event, total in self.totals.items()}


def classes_of(account: AccountFigures) -> list[MessageClass]:
    """The classes of the messages that are sent usually, large ones first."""
    groups: defaultdict[tuple[Kind, int], list[MessageFigures]] = defaultdict(list)
    for message in (one for each in account.lists for one in each.messages):
        size = message.sends if message.kind == "broadcast" else message.daily.get(SENT, 0.0)
        if message.is_recent:
            groups[message.kind, _class_of(size)].append(message)
    ordered = sorted(groups.items(), key=lambda group: group[0][1], reverse=True)
    return [
        _class(kind, messages, account.behaviour, account.window) for (kind, _), messages in ordered
    ]


def complaints_of(classes: Sequence[MessageClass], kind: Kind, seconds: float) -> float:
    """Complaints about messages of a kind in so many seconds."""
    return sum(
        one.number * one.totals.get(SPAM, 0.0) * seconds / DAY
        for one in classes
        if one.kind == kind
    )


def _class_of(size: float) -> int:
    return round(math.log(size, FACTOR)) if size >= 1 else -1


def _class(
    kind: Kind, messages: Sequence[MessageFigures], behaviour: Behaviour, window: float
) -> MessageClass:
    number = sum(one.stands_for for one in messages)
    if kind != "broadcast":
        return MessageClass(kind, dict(_means(messages, behaviour)), number)
    return MessageClass(kind, dict(_totals(messages, behaviour)), number * DAY / window)


def _means(messages: Sequence[MessageFigures], behaviour: Behaviour) -> Iterator[tuple[str, float]]:
    """Events a day of one of the messages."""
    number = sum(one.stands_for for one in messages)
    names = {name for one in messages for name in one.daily}
    for name in sorted(names):
        yield name, sum(one.daily.get(name, 0.0) * one.stands_for for one in messages) / number
    if SPAM not in names:
        sends = sum(one.daily.get(SENT, 0.0) * one.stands_for for one in messages) / number
        yield SPAM, sends * behaviour.complaints


def _totals(
    messages: Sequence[MessageFigures], behaviour: Behaviour
) -> Iterator[tuple[str, float]]:
    """Events of one of the messages in its whole life; some are young, and not all has come yet."""
    number = sum(one.stands_for for one in messages)
    sends = sum(one.sends * one.stands_for for one in messages)
    for name in sorted({name for one in messages for name in one.counts}):
        spread = behaviour.spread(name)
        so_far = sum(one.counts.get(name, 0.0) * one.stands_for for one in messages)
        due = sum(one.sends * spread.share(one.age) * one.stands_for for one in messages)
        if name == SENT:
            yield name, sends / number
        elif due:
            yield name, so_far / due * sends / number
    yield SPAM, behaviour.complaints * sends / number
