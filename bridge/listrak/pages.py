"""Pages of rows as they were read, and what of them can't be."""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from bridge.listrak.origin import Origin

Row = TypeVar("Row")


class UnreadRow(NamedTuple):
    """A row of which something can't be read for certain.

    number: its place among the rows; None where it isn't among them, as nothing of it can be read.
    fields: what each value is that can't be read, by Listrak's name of its field; "" for the row.
    raw: the row as it came.
    """

    number: int | None
    fields: dict[str, str]
    raw: Any

    @property
    def reason(self) -> str:
        """The reason why it can't be read, in words that are none of its own."""
        return ", ".join(
            f"its {name} is {what}" if name else f"it is {what}"
            for name, what in self.fields.items()
        )


class PageOf(NamedTuple, Generic[Row]):
    """One page of a collection.

    next_cursor: of the next page, None on the last.
    origins: one a row, None where no row tells.
    unread: rows of which something can't be read.
    """

    rows: list[Row]
    next_cursor: str | None
    origins: list[Origin] | None = None
    unread: Sequence[UnreadRow] = ()

    @property
    def certain(self) -> list[Row]:
        """The rows of which all can be read."""
        if not self.unread:
            return self.rows
        uncertain = {row.number for row in self.unread}
        return [row for number, row in enumerate(self.rows) if number not in uncertain]
