"""Watermarks: what is known to be complete, and until when."""

from planner_parts import polled_an_hour_ago

from bridge.event_types import OPENED
from bridge.flow.planner.watermarks import ROW_DELAY, Watermark, Watermarks, read_watermarks


def test_watermarks_survive_the_state_file() -> None:
    """As they are written, so they are read; nothing yet is empty ones."""
    watermarks = polled_an_hour_ago(OPENED, 3).watermarks
    watermarks.link_clicks[7] = 9
    assert read_watermarks(watermarks.text()) == watermarks
    assert read_watermarks("") == Watermarks()
    other = watermarks.copy()
    other.of(OPENED).attempt(0).rows = 99
    assert watermarks.of(OPENED).attempt(0).rows == 0


def test_late_rows_move_the_watermark_all_the_same() -> None:
    """Where rows trail behind the counters, recent scans begin with what was reached."""
    watermark = Watermark(reconciled_at=10.0, complete_until=10.0)
    watermark.note_pending(20.0, 100, 90)
    assert watermark.complete_until == 10.0
    watermark.note_pending(30.0, 120, 95)
    assert (watermark.complete_until, watermark.pending_at) == (10.0, 20.0)
    watermark.note_pending(40.0, 130, 101)
    assert (watermark.complete_until, watermark.pending_at) == (20.0, 40.0)
    assert watermark.unexplained == 0.0


def test_what_no_recent_scan_shows_does_not_hold_up_the_watermark() -> None:
    """What doesn't turn up is for wider scans to find; recent ones begin where they would."""
    watermark = Watermark(reconciled_at=10.0, complete_until=10.0)
    for at in (20.0, 20.0 + ROW_DELAY - 1, 20.0 + ROW_DELAY):
        watermark.note_pending(at, 100, 97)
    assert (watermark.complete_until, watermark.unexplained) == (20.0, 3.0)
    watermark.note_pending(700.0, 120, 117)
    assert (watermark.complete_until, watermark.unexplained) == (700.0, 3.0)
    watermark.note_pending(710.0, 120, 118)
    assert (watermark.complete_until, watermark.unexplained) == (710.0, 2.0)
    watermark.reconcile(800.0)
    assert (watermark.complete_until, watermark.unexplained) == (800.0, 0.0)
