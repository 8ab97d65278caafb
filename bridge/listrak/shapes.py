"""Decoders of Listrak's answers, one a resource, each made once."""

from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

from bridge.listrak import wire

Data = TypeVar("Data")


class Shape(Generic[Data]):
    """A decoder of answers, made once.

    shape: type of the answer's data.
    documented: the same with nothing but the documented fields. A page that fits it needs no search
        for IP addresses and user agents.
    """

    def __init__(self, shape: type[Data], documented: type[Any] | None = None) -> None:
        self._decoder = msgspec.json.Decoder(wire.Envelope[shape])  # type: ignore[valid-type]
        self._documented = (
            msgspec.json.Decoder(wire.Envelope[documented])  # type: ignore[valid-type]
            if documented
            else None
        )

    def decode(self, body: bytes) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        """The answer, and its rows' origins if there are any. Raises msgspec.DecodeError."""
        answer: wire.Envelope[Data]
        if self._documented is not None:
            with suppress(msgspec.ValidationError):
                answer = self._documented.decode(body)
                return answer, None
        answer = self._decoder.decode(body)
        return answer, wire.origins(body) if self._documented is not None else None


LISTS = Shape(list[wire.MailingList])
CAMPAIGNS = Shape(list[wire.Campaign])
FIELD_GROUPS = Shape(list[wire.FieldGroup])
FIELDS = Shape(list[wire.ProfileField])
CONTACTS = Shape(list[wire.Contact])
CONTACT = Shape(wire.Contact)
MESSAGES = Shape(list[wire.Message])
MESSAGE = Shape(wire.Message)
STATUS = Shape(wire.MessageStatus)
SPLIT_TESTS = Shape(list[wire.SplitTest])
SPLIT_TEST_MESSAGES = Shape(list[wire.SplitTestMessage])
CONVERSATIONS = Shape(list[wire.Conversation])
TRANSACTIONAL = Shape(list[wire.TransactionalMessage])
ACTIVITIES = Shape(list[wire.Activity], list[wire.DocumentedActivity])
LINKS = Shape(list[wire.Link])
CLICKERS = Shape(list[wire.Clicker], list[wire.DocumentedClicker])
SUMMARY = Shape(wire.Summary)
