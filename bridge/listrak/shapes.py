"""Decoders of Listrak's answers, one a resource, each made once."""

from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

from bridge.listrak import lenient, wire

Data = TypeVar("Data")


class Shape(Generic[Data]):
    """A decoder of answers, made once.

    shape: type of the answer's data.
    documented: the same with nothing but the documented fields. A page that fits it needs no search
        for IP addresses and user agents.
    listing: what its rows name, "" for rows that say more (see lenient.read).
    """

    def __init__(
        self, shape: type[Data], documented: type[Any] | None = None, *, listing: str = ""
    ) -> None:
        self._listing = listing
        self._type: Any = wire.Envelope[shape]  # type: ignore[valid-type]
        self._decoder = msgspec.json.Decoder(self._type)
        self._documented = (
            msgspec.json.Decoder(wire.Envelope[documented])  # type: ignore[valid-type]
            if documented
            else None
        )

    def decode(self, body: bytes) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        """The answer, and its rows' origins if there are any. Raises msgspec.DecodeError.

        One that doesn't fit is read again, as far as that can be done with certainty.
        """
        try:
            return self._read(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            whole = lenient.parsed(body)
            answer = lenient.read(whole, self._type, self._listing)
            return answer, self._origins(msgspec.json.encode(whole))

    def _read(self, body: bytes) -> tuple[wire.Envelope[Data], list[wire.Origin] | None]:
        answer: wire.Envelope[Data]
        if self._documented is not None:
            with suppress(msgspec.ValidationError):
                answer = self._documented.decode(body)
                return answer, None
        answer = self._decoder.decode(body)
        return answer, self._origins(body)

    def _origins(self, body: bytes) -> list[wire.Origin] | None:
        return wire.origins(body) if self._documented is not None else None


LISTS = Shape(list[wire.MailingList], listing="lists")
CAMPAIGNS = Shape(list[wire.Campaign], listing="campaigns")
FIELD_GROUPS = Shape(list[wire.FieldGroup], listing="profile field groups")
FIELDS = Shape(list[wire.ProfileField], listing="profile fields")
CONTACTS = Shape(list[wire.Contact])
CONTACT = Shape(wire.Contact)
MESSAGES = Shape(list[wire.Message], listing="messages")
MESSAGE = Shape(wire.Message)
STATUS = Shape(wire.MessageStatus)
SPLIT_TESTS = Shape(list[wire.SplitTest], listing="split tests")
SPLIT_TEST_MESSAGES = Shape(list[wire.SplitTestMessage], listing="split test messages")
CONVERSATIONS = Shape(list[wire.Conversation], listing="conversations")
TRANSACTIONAL = Shape(list[wire.TransactionalMessage], listing="transactional messages")
ACTIVITIES = Shape(list[wire.Activity], list[wire.DocumentedActivity])
LINKS = Shape(list[wire.Link])
CLICKERS = Shape(list[wire.Clicker], list[wire.DocumentedClicker])
SUMMARY = Shape(wire.Summary)
