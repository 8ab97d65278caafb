"""The cost of a day as every other: what messages and lists cost once all was read for once."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.clock import DAY
from bridge.event_types import SENT
from bridge.flow.forecast.figures import AccountFigures, Behaviour, Cost, ListFigures, Terms
from bridge.flow.forecast.freshness import FreshnessTally
from bridge.flow.forecast.life import Course, LifeReader
from bridge.flow.forecast.synthetic import SyntheticMessage
from bridge.flow.forecast.usual import MessageClass, complaints_of
from bridge.flow.planner.filter_support import PROOF_LASTS
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.budget import seconds_per_call
from bridge.state.records import Kind

LIVES: Final = 3
"""Lives that a class of small messages is lived, each drawn anew: chance counts less then."""

SMALL: Final = 50_000
"""Emails of a message below which its lives are cheap."""

STEADY: Final = (2.0, 9.0)
"""Days between which a message that goes on sending is read as usual: a week, as some is done once
a week."""

OVERDUE: Final = 10 * DAY
"""Seconds after which a life ends at the latest, once its message is over."""


class Days:
    """Days as every other of an account.

    account: its figures.
    classes: what is sent usually.
    terms: the settings.
    """

    def __init__(
        self, account: AccountFigures, classes: Sequence[MessageClass], terms: Terms
    ) -> None:
        self._account = account
        self._classes = classes
        self._terms = terms
        self.cost = Cost()
        self.freshness = FreshnessTally()
        # Those of a list show on all of its messages.
        lists = [each.contacts.left for each in account.lists]
        self._left = sum(lists) / max(1, len(lists))
        self._seconds_per_call = seconds_per_call(round(self._active()), terms.rate)

    def add(self, one: MessageClass) -> None:
        """Adds what a class of messages costs a day, and how late its events are."""
        lives = LIVES if one.totals.get(SENT, 0.0) < SMALL else 1
        for number in range(lives):
            rng = np.random.default_rng([self._classes.index(one), number])
            course = self._course(one.kind, rng)
            if one.kind == "broadcast":
                discovered = float(rng.uniform(0.0, self._terms.interval))
                reader = LifeReader(self._synthetic(one, rng), course, discovered)
                life, days = reader.live(self._terms.track + OVERDUE), 1.0
            else:
                reader = LifeReader(self._synthetic(one, rng), course)
                reader.live(STEADY[0] * DAY)
                life, days = reader.live(STEADY[1] * DAY), STEADY[1] - STEADY[0]
            weight = one.number / lives / days
            self.cost.add(life.cost, weight)
            self.freshness.add(life.delays, weight)

    def _synthetic(self, one: MessageClass, rng: np.random.Generator) -> SyntheticMessage:
        goes_on = one.kind != "broadcast"
        days = (self._terms.track / DAY + 2, STEADY[1]) if goes_on else (0.0, 0.0)
        return SyntheticMessage(one.kind, one.totals, self._account.behaviour, rng, days)

    def _course(self, kind: Kind, rng: np.random.Generator) -> Course:
        terms = self._terms
        days = max(STEADY[1], (terms.track + OVERDUE) / DAY)
        departed = rng.uniform(0.0, days * DAY, rng.poisson(self._left * days))
        # They show at the next poll of the contacts.
        shown = np.unique(np.ceil(departed / terms.interval) * terms.interval)
        return Course(
            terms,
            self._account.behaviour.filters,
            is_proven=complaints_of(self._classes, kind, PROOF_LASTS) >= 1,
            seconds_per_call=self._seconds_per_call,
            departures=shown,
        )

    def _active(self) -> float:
        """The number of messages at a time that something happened to within a day."""
        active = 0.0
        for one in self._classes:
            synthetic = self._synthetic(one, np.random.default_rng(0))
            if one.kind == "broadcast":
                active += one.number * synthetic.active_seconds(0.0, self._terms.track) / DAY
            else:
                begin, end = (day * DAY for day in STEADY)
                active += one.number * synthetic.active_seconds(begin, end) / (end - begin)
        return active


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
    pages, rows = terms.all_contacts(contacts)
    # A sweep stands in for a poll.
    cost.note("contacts", sweeps * (pages - 2), sweeps * rows)
    if each.unsent:
        course = Course(terms, frozenset(), is_proven=True)
        rng = np.random.default_rng(0)
        nothing = SyntheticMessage("broadcast", {}, Behaviour(), rng)
        reader = LifeReader(nothing, course, is_draft=True)
        reader.live(STEADY[1] * DAY)
        cost.add(reader.live((STEADY[1] + 1) * DAY).cost, each.unsent)
