"""Cursors: where a poll goes on after a restart, as the state file keeps them."""

from typing import Literal, TypeVar

import msgspec

AnyCursor = TypeVar("AnyCursor", "PollCursor", "ContactCursor")

BEGUN = "[]"
"""The stored text of a poll that has begun and of which no page was acknowledged yet."""


class PollCursor(msgspec.Struct, array_like=True, frozen=True):
    """The next page of a message's full poll.

    stage: the resource that is being read.
    link_id: the link whose clicks are read next; 0 in stage "activity".
    page: Listrak's cursor of that page.
    read: activity rows that the poll has read so far.
    unread: rows of which it could not read something, so far.
    """

    stage: Literal["activity", "clicks"]
    link_id: int
    page: str
    read: int = 0
    unread: int = 0


class ContactCursor(msgspec.Struct, array_like=True, frozen=True):
    """The next page of a poll of a list's contacts.

    stage: the state that is being read, or "lost" while deleted contacts are looked for.
    page: Listrak's cursor of that page; in stage "lost" the last address that was compared.
    """

    stage: Literal["Subscribed", "Unsubscribed", "lost"]
    page: str


def encode(cursor: PollCursor | ContactCursor) -> str:
    """A cursor as it is stored."""
    return msgspec.json.encode(cursor).decode()


def decode(text: str, kind: type[AnyCursor]) -> AnyCursor | None:
    """A stored cursor, None for a poll that starts from its beginning."""
    return None if text == BEGUN else msgspec.json.decode(text, type=kind)
