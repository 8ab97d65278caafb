"""What is estimated of an account is what the service then does: calls, rows, events."""

from simulation.population import Shares
from simulation.prediction import (
    TOLERANCE,
    judged,
    predicted,
    predicted_beside_measured,
    with_history,
)
from simulation.result import Retailer
from simulation.service import Course

from bridge.clock import MINUTE

SOME = Retailer("small", 500, 1)
COMING_AND_GOING = Shares(complained=0.002, joined=0.003)
WARM = 1.5


def test_an_estimate_is_what_is_measured_then() -> None:
    """Of a few people, polled rarely, who complain often enough that scans prove themselves."""
    many = with_history(SOME, WARM + 1, seed=1, shares=COMING_AND_GOING)
    course = Course(1, page=100, rate=1, reading="filters", interval=60 * MINUTE)
    prediction = predicted(many, course, WARM)
    assert set(prediction.errors) == {"calls", "rows", "events"}
    assert max(map(abs, prediction.errors.values())) <= TOLERANCE, prediction.errors
    assert all(one.met for one in judged(prediction))
    assert predicted_beside_measured(prediction).row_count == len(prediction.errors)
