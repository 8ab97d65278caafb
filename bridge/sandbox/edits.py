"""Edits of an account that is in use: what is renamed, removed and put back, and when."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import NamedTuple

from .account import Account, Field, Message


class Edit(NamedTuple):
    """A change of a text, or of whether something is there.

    what: names the thing: a word for its kind, and its ids or itself.
    before: the value until then.
    """

    at: datetime
    what: Hashable
    before: object


class Edits(Account):
    """An account whose texts and lists change, with all that they were.

    An edit counts from its instant on, that included: what reads at the same instant sees it.

    edits: in order.
    """

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.edits: list[Edit] = []

    # What a user of Listrak does

    def rename_list(self, list_id: int, name: str) -> None:
        """Gives a list another name."""
        owner = self.lists[list_id]
        self._note_edit(("list", list_id), owner.name)
        owner.name = name

    def rename_campaign(self, list_id: int, campaign_id: int, name: str) -> None:
        """Gives a campaign another name. KeyError for one that the list hasn't."""
        campaigns = self.lists[list_id].campaigns
        self._note_edit(("campaign", list_id, campaign_id), campaigns[campaign_id])
        campaigns[campaign_id] = name

    def change_subject(self, message: Message, subject: str) -> None:
        """Gives a message another subject."""
        self._note_edit(("subject", message), message.subject)
        message.subject = subject

    def change_google_analytics(self, message: Message, name: str | None) -> None:
        """Gives a message another Google Analytics campaign name, None for none."""
        self._note_edit(("google_analytics", message), message.google_analytics)
        message.google_analytics = name

    def rename_field(self, list_id: int, field_id: int, name: str) -> None:
        """Gives a profile field another name. KeyError for one that the list hasn't."""
        field = self.lists[list_id].fields[field_id]
        self._note_edit(("field", list_id, field_id), field.name)
        field.name = name

    def remove_field(self, list_id: int, field_id: int) -> Field:
        """Removes a profile field with all its values. KeyError for one that the list hasn't."""
        field = self.lists[list_id].fields.pop(field_id)
        self._note_edit(("field", list_id, field_id), field.name)
        return field

    def remove_list(self, list_id: int) -> None:
        """Removes a list: the API hasn't it any longer. ValueError if it is removed already.

        What goes on in it is hidden, not stopped: put back, it is as if it had never been away.
        """
        self._set_removed(list_id, removed=True)

    def put_back_list(self, list_id: int) -> None:
        """Puts a removed list back. ValueError if it isn't removed."""
        self._set_removed(list_id, removed=False)

    def _set_removed(self, list_id: int, *, removed: bool) -> None:
        owner = self.lists[list_id]
        if owner.removed == removed:
            raise ValueError(f"list {list_id} is {'removed' if removed else 'there'} already")
        self._note_edit(("removed", list_id), owner.removed)
        owner.removed = removed

    def _note_edit(self, what: Hashable, before: object) -> None:
        self.edits.append(Edit(self.now, what, before))

    # What there was at an instant

    def has_list(self, list_id: int, at: datetime) -> bool:
        """Tells whether the account had a list at an instant."""
        owner = self.lists.get(list_id)
        if owner is None or at < owner.created:
            return False
        return not self._value_at(("removed", list_id), owner.removed, at)

    def list_name(self, list_id: int, at: datetime) -> str:
        """The name that a list had at an instant."""
        return str(self._value_at(("list", list_id), self.lists[list_id].name, at))

    def campaign_name(self, list_id: int, campaign_id: int, at: datetime) -> str | None:
        """The name that a campaign had at an instant; None for no such campaign."""
        name = self.lists[list_id].campaigns.get(campaign_id)
        return _text(self._value_at(("campaign", list_id, campaign_id), name, at))

    def subject(self, message: Message, at: datetime) -> str:
        """The subject that a message had at an instant."""
        return str(self._value_at(("subject", message), message.subject, at))

    def google_analytics(self, message: Message, at: datetime) -> str | None:
        """The Google Analytics campaign name that a message had at an instant."""
        present = message.google_analytics
        return _text(self._value_at(("google_analytics", message), present, at))

    def field_names(self, list_id: int, at: datetime) -> dict[int, str]:
        """The names that a list's profile fields had at an instant, by id."""
        present = {key: field.name for key, field in self.lists[list_id].fields.items()}
        edited = {edit.what for edit in self.edits}
        keys = [what[2] for what in edited if isinstance(what, tuple) and what[0] == "field"]
        names = {
            key: _text(self._value_at(("field", list_id, key), present.get(key), at))
            for key in {*present, *keys}
        }
        return {key: name for key, name in names.items() if name is not None}

    def _value_at(self, what: Hashable, present: object, at: datetime) -> object:
        """The value that something had at an instant: that before the first edit after it."""
        later = (edit.before for edit in self.edits if edit.what == what and edit.at > at)
        return next(later, present)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
