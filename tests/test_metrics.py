"""The catalogue of metrics."""

import pytest

from bridge.metrics import Metrics
from bridge.output import logs
from bridge.output.standard_error import STANDARD_ERROR


def test_metric_names() -> None:
    """Every metric's name starts with bridge_, and every metric says what it is."""
    families = list(Metrics().registry.collect())
    assert len(families) > 15
    for family in families:
        assert family.name.startswith("bridge_")
        assert family.documentation


def test_metrics_of_one_run() -> None:
    """Two services in one process don't share their numbers."""
    first, second = Metrics(), Metrics()
    first.restarts.inc()
    assert second.registry.get_sample_value("bridge_pipeline_restarts_total") == 0


def test_lines_that_the_log_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the process's, and counted whatever happens to the log."""
    monkeypatch.setattr(STANDARD_ERROR, "dropped", 7)
    monkeypatch.setattr(logs, "left_out", lambda: 8)
    for why, lines in (("dropped", 7), ("suppressed", 8)):
        value = Metrics().registry.get_sample_value("bridge_log_lines_left_out_total", {"why": why})
        assert value == lines
