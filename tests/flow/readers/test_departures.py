"""Who has left a list lately, as far as that is news."""

from bridge.flow.readers.departures import Departures, marks
from bridge.listrak import wire


def left(*people: str, date: str = "2026-05-10T12:00:00") -> set[int]:
    """The marks of people who have left."""
    rows = [wire.Contact(email_address=one, unsubscribe_date=date) for one in people]
    return marks(rows)


def test_only_what_is_new_counts() -> None:
    """A reading shows for hours whoever has left; after a start nothing is known of before."""
    departures = Departures()
    assert departures.noted_at(1) == 0.0
    departures.note(1, left("a", "b"), 100.0)
    assert departures.noted_at(1) == 100.0
    departures.note(1, left("a", "b"), 160.0)
    departures.note(1, left("b"), 220.0)
    assert departures.noted_at(1) == 100.0
    departures.note(1, left("b", "c"), 280.0)
    assert departures.noted_at(1) == 280.0
    departures.note(1, left("b", date="2026-05-11T12:00:00"), 340.0)
    assert departures.noted_at(1) == 340.0, "left again"
    assert departures.noted_at(2) == 0.0
