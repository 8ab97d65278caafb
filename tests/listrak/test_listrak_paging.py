"""Readings of collections that never end."""

import pytest

from bridge.errors import CursorError
from bridge.listrak.pages import PageOf
from bridge.listrak.paging import MOST_EMPTY_PAGES, Trail
from bridge.listrak.wire import START


def page(cursor: str | None, rows: int = 1) -> PageOf[int]:
    return PageOf(list(range(rows)), cursor)


def test_to_the_end() -> None:
    """Every cursor leads on; the last page has none."""
    trail = Trail("clicks", START)
    assert [trail.after(page(str(number))) for number in range(10_000)][-1] == "9999"
    assert trail.after(page(None)) is None


@pytest.mark.parametrize("size", [1, 2, 7])
def test_circles(size: int) -> None:
    """A cursor that was there before leads nowhere, the first one included."""
    trail = Trail("clicks", START)
    for number in range(size - 1):
        trail.after(page(str(number)))
    with pytest.raises(CursorError, match="clicks go round in a circle"):
        trail.after(page(START))


def test_empty_pages() -> None:
    """Some may come; without end they are a fault. A row in between begins the count again."""
    trail = Trail("clicks", START)
    for number in range(MOST_EMPTY_PAGES - 1):
        trail.after(page(f"a{number}", rows=0))
    trail.after(page("b"))
    for number in range(MOST_EMPTY_PAGES - 1):
        trail.after(page(f"c{number}", rows=0))
    with pytest.raises(CursorError, match="100 empty pages in a row of clicks"):
        trail.after(page("d", rows=0))
