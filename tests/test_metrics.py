"""The catalogue of metrics."""

from bridge.metrics import Metrics


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
