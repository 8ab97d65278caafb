"""A tally of the rows of a link's clicks, to tell two clicks from one that was shown twice.

Of a contact's clicks within one second each has a row of its own, and the rows are alike. But a row
can also come twice because pages shift while they are read (bridge/listrak/FACTS.md: Paging).
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from bridge.listrak import wire
from bridge.listrak.origin import Origin
from bridge.listrak.pages import PageOf
from bridge.listrak.times import canonicals
from bridge.segment import events
from bridge.state.keys import SeenKeys, heads, sorted_keys


class Repeat(NamedTuple):
    """A row that is like another one before it.

    ordinal: its number among those alike, from 2 on.
    """

    row: wire.Clicker
    origin: Origin
    ordinal: int


class ClickTally:
    """A tally of one reading of a link's clicks.

    rows: how many there were.
    pages: pages that had any.
    came_early: tells whether clicks came before the rows of the message, and were left.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.pages = 0
        self.came_early = False
        self._seen = SeenKeys()
        self._alike: defaultdict[str, list[Repeat]] = defaultdict(list)

    @property
    def alike(self) -> Counter[str]:
        """The number of rows that are like another one before them, by what they show."""
        return Counter({text: len(repeats) for text, repeats in self._alike.items()})

    @property
    def repeats(self) -> list[Repeat]:
        """The rows that are like another one before them."""
        return [repeat for repeats in self._alike.values() for repeat in repeats]

    def add(self, page: PageOf[wire.Clicker]) -> None:
        """Adds the rows of a page."""
        if not page.rows:
            return
        self.rows += len(page.rows)
        self.pages += 1
        dates = canonicals([row.click_date for row in page.rows])
        texts = [
            f"{date}\x1f{row.email_address or ''}"
            for date, row in zip(dates, page.rows, strict=True)
        ]
        keys = heads([events.digest(text.encode()) for text in texts])
        new = self._seen.unseen(keys)
        if len(new) < len(texts):
            for place in sorted(set(range(len(texts))).difference(new)):
                repeats = self._alike[texts[place]]
                origin = page.origins[place] if page.origins else Origin(None, None)
                repeats.append(Repeat(page.rows[place], origin, len(repeats) + 2))
            keys = keys[list(new)]
        self._seen.add(sorted_keys(keys))

    def is_certain(self, before: int, again: "ClickTally | None", after: int) -> bool:
        """Tells whether each row is a click of its own, so that repeats are to be sent.

        1. The link counts as many clicks as there were rows.
        2. All came on one page: no answer has a row twice.
        3. Or the link was read once more, which showed the same, and its count didn't move: what
           shifted once doesn't shift again without a click that is counted.

        before, after: what the link counted before and after the readings.
        """
        if self.rows != before:  # 1
            return False
        if self.pages == 1:  # 2
            return True
        same = again is not None and again.rows == self.rows and again.alike == self.alike
        return same and after == before  # 3
