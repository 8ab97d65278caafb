"""One row of a page of contacts, beside what is known of its contact."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.flow.mapping.unread import letter_of
from bridge.flow.page import ContactPage
from bridge.listrak import wire
from bridge.listrak.pages import UnreadRow
from bridge.segment import events
from bridge.state.records import Contact, DeadLetter


@dataclass(slots=True)
class ContactRow:
    """A row of a page.

    number: its place on the page.
    key: its address in lower case, by which contacts are told apart; "" for none.
    before: its contact, as Segment was told it; None for one that isn't known.
    unread: what of it can't be read; None for nothing.
    faults: what of that something depends on, by field; None for nothing.
    """

    page: ContactPage
    number: int
    row: wire.Contact
    key: str
    before: Contact | None
    unread: UnreadRow | None
    faults: Mapping[str, str] | None = None

    @property
    def email(self) -> str:
        """Its address; "" for none."""
        return self.row.email_address or ""

    @property
    def is_subscribed(self) -> bool:
        """Tells whether the contact is subscribed."""
        return is_subscribed(self.row, self.page.subscribed)

    @property
    def value(self) -> str | None:
        """The contact's value of the profile field; None for no value or an empty one."""
        return profile_value(self.row, self.page.poll.source.field_id)

    def lacks(self, name: str) -> bool:
        """Tells whether a field that something depends on can't be read, and notes it then."""
        if self.unread is None or name not in self.unread.fields:
            return False
        self.note(name, self.unread.fields[name])
        return True

    def note(self, name: str, what: str) -> None:
        """Notes what is wrong with a field that something depends on."""
        self.faults = {**(self.faults or {}), name: what}

    def lacks_value(self) -> bool:
        """Tells whether the value of the profile field can't be read, and notes it then."""
        field_id = self.page.poll.source.field_id
        values = self.row.segmentation_field_values or ()
        if field_id is None or any(one.segmentation_field_id == field_id for one in values):
            return False
        return self.lacks("segmentationFieldValues")

    def letters(self) -> list[DeadLetter]:
        """Its dead letter, if anything depends on what can't be read."""
        if not self.faults:
            return []
        raw: Any = msgspec.to_builtins(self.row) if self.unread is None else self.unread.raw
        own = None
        if self.key.strip() and isinstance(raw, dict):
            own = [self.key, *([name, raw.get(name)] for name in sorted(self.faults))]
        path = f"List/{self.page.poll.source.list_id}/Contact"
        return [letter_of("contacts", path, self.faults, raw, told_apart_by=own)]


def letters_of_lost(page: ContactPage) -> list[DeadLetter]:
    """The dead letters of what stood in place of rows."""
    path = f"List/{page.poll.source.list_id}/Contact"
    return [
        letter_of("contacts", path, row.fields, row.raw)
        for row in page.unread
        if row.number is None
    ]


def is_subscribed(row: wire.Contact, asked: bool) -> bool:
    """Tells whether a contact is subscribed: by its row, else by the state that was requested."""
    state = (row.subscription_state or "").lower()
    return state == "subscribed" if state in ("subscribed", "unsubscribed") else asked


def profile_value(row: wire.Contact, field_id: int | None) -> str | None:
    """The contact's value of the profile field, as text; None for no value or an empty one."""
    for value in row.segmentation_field_values or ():
        if value.segmentation_field_id == field_id and value.value is not None:
            text = value.value if isinstance(value.value, str) else events.literal(value.value)
            return text if text.strip() else None
    return None
