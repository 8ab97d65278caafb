"""What of the budget of calls a message may take."""

import pytest
from planner_parts import message_of

from bridge.clock import DAY
from bridge.flow.scheduling.budget import CallBudget

NOW = 1_780_000_000.0


@pytest.mark.parametrize(("limit", "seconds"), [(5.0, 8.0), (0.5, 80.0), (0.0, 8.0)])
def test_active_messages_share_half_of_it(limit: float, seconds: float) -> None:
    """Those of all lists; what nothing happened to for a day has no part in it."""
    budget = CallBudget(lambda: limit)
    active = [message_of(changed_at=NOW - DAY + 1)] * 15
    budget.note(1, [*active, message_of(), message_of(changed_at=NOW - DAY)], NOW)
    budget.note(2, active[:5], NOW)
    assert budget.seconds_per_call() == seconds
    budget.note(1, [], NOW)
    budget.note(2, [], NOW)
    assert budget.seconds_per_call() == seconds / 20, "as of one"


def test_it_follows_the_present_limit() -> None:
    """Listrak is overloaded: what costs much waits longer."""
    limits = iter((5.0, 2.5))
    budget = CallBudget(lambda: next(limits))
    assert budget.seconds_per_call() * 2 == budget.seconds_per_call()


@pytest.mark.parametrize(("limit", "lists", "pages"), [(5.0, 5, 120), (0.5, 5, 12), (0.1, 5, 10)])
def test_new_sends_take_two_minutes_of_a_list(limit: float, lists: int, pages: int) -> None:
    """Of its part of the budget, but a few pages in any case."""
    budget = CallBudget(lambda: limit)
    for list_id in range(lists):
        budget.note(list_id, [], NOW)
    assert budget.pages_at_once() == pages
