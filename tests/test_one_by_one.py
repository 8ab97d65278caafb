"""What it would cost to ask for contacts one by one."""

from simulation.one_by_one import comparisons, one_by_one


def test_a_scan_finds_orders_with_fewer_requests() -> None:
    """Those who clicked last are too many: nobody knows which of them will order."""
    orders, opens = comparisons(50_000)
    assert len(orders.one_by_one) == len(orders.at_once) > 10
    assert all(1 <= rank <= 50_000 for rank in orders.one_by_one)
    assert max(orders.at_once) == 3, "a fifth of the contacts show an activity"
    assert orders.cheaper < 0.1
    assert opens.one_by_one
    assert opens.cheaper == 0
    assert one_by_one((50_000,)).row_count == 2
