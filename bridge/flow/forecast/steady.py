"""The cost of a day as every other: what messages and lists cost once all was read for once."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.clock import DAY
from bridge.event_types import SENT
from bridge.flow.forecast.figures import Behaviour, Cost, ListFigures, Terms
from bridge.flow.forecast.freshness import FreshnessTally
from bridge.flow.forecast.life import Course, Life, LifeReader
from bridge.flow.forecast.synthetic import SyntheticMessage
from bridge.flow.forecast.usual import MessageClass, complaints_of
from bridge.flow.planner.filter_support import PROOF_LASTS
from bridge.flow.scheduling import schedule

LIVES: Final = 3
"""Lives that a class of small messages is lived, each drawn anew: chance counts less then."""

SMALL: Final = 50_000
"""Emails of a message below which its lives are cheap."""

STEADY: Final = (2.0, 9.0)
"""Days between which a message that goes on sending is read as usual: a week, as some is done once
a week."""

OVERDUE: Final = 10 * DAY
"""Seconds after which a life ends at the latest, once its message is over."""


def add_class(
    one: MessageClass,
    classes: Sequence[MessageClass],
    behaviour: Behaviour,
    terms: Terms,
    sums: tuple[Cost, FreshnessTally],
) -> None:
    """Adds what a class of messages costs a day, and how late its events are, to the sums.

    classes: all classes, as the messages of a kind learn from one another what scans find.
    """
    cost, tally = sums
    proven = complaints_of(classes, one.kind, PROOF_LASTS) >= 1
    course = Course(terms.interval, terms.track, terms.page_rows, behaviour.filters, proven)
    lives = LIVES if one.totals.get(SENT, 0.0) < SMALL else 1
    for number in range(lives):
        rng = np.random.default_rng([classes.index(one), number])
        if one.kind == "broadcast":
            life, days = _life(one, behaviour, course, rng), 1.0
        else:
            life, days = _stretch(one, behaviour, course, rng), STEADY[1] - STEADY[0]
        weight = one.number / lives / days
        cost.add(life.cost, weight)
        tally.add(life.delays, weight)


def add_list(cost: Cost, each: ListFigures, terms: Terms) -> None:
    """Adds what a list costs a day, whatever its messages are, to a cost."""
    polls = DAY / terms.interval
    complete = polls / schedule.FULL_DISCOVERY_EVERY
    cost.add(each.discovery, complete)
    cost.add(each.recent, polls - complete)
    contacts = each.contacts
    changes = (contacts.new + contacts.left) / DAY
    # Those subscribed and those unsubscribed are listed by themselves.
    cost.note("contacts", 2 * polls, polls * changes * (terms.interval + schedule.CONTACT_OVERLAP))
    sweeps = DAY / schedule.SWEEP_INTERVAL
    left = contacts.left * (terms.horizon / DAY + 1)
    # A sweep stands in for a poll.
    pages = terms.pages(contacts.subscribed) + terms.pages(left) - 2
    cost.note("contacts", sweeps * pages, sweeps * (contacts.subscribed + left))
    if each.unsent:
        course = Course(terms.interval, terms.track, terms.page_rows, frozenset(), False)
        rng = np.random.default_rng(0)
        reader = LifeReader(SyntheticMessage("broadcast", {}, Behaviour(), rng), course)
        reader.live(STEADY[1] * DAY)
        cost.add(reader.live((STEADY[1] + 1) * DAY).cost, each.unsent)


def _life(
    one: MessageClass, behaviour: Behaviour, course: Course, rng: np.random.Generator
) -> Life:
    """The whole life of a broadcast."""
    synthetic = SyntheticMessage(one.kind, one.totals, behaviour, rng)
    discovered = float(rng.uniform(0.0, course.interval))
    return LifeReader(synthetic, course, discovered).live(course.track + OVERDUE)


def _stretch(
    one: MessageClass, behaviour: Behaviour, course: Course, rng: np.random.Generator
) -> Life:
    """A stretch of the life of a message that goes on sending, once all was read for once."""
    days = (course.track / DAY + 2, STEADY[1])
    reader = LifeReader(SyntheticMessage(one.kind, one.totals, behaviour, rng, days), course)
    reader.live(STEADY[0] * DAY)
    return reader.live(STEADY[1] * DAY)
