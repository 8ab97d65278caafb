"""Decoders of Listrak's answers, one a resource, each made once."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args

import msgspec

from bridge.listrak import lenient, wire
from bridge.listrak.origin import Origin, origins_in
from bridge.listrak.pages import UnreadRow

Data = TypeVar("Data")

_NUL: Final = rb"\u0000"

_LARGE: Final = 2**20
"""Bytes of an answer that is looked at before it is decoded, whether it is one of rows."""

_LONGEST: Final = _LARGE // 2
"""Bytes of a text at most, about: as events, some copies of it are in memory at once."""

_SAMPLE: Final = 4096
"""Bytes that are looked at for that, here and there."""

_SHORT: Final = 40
"""Bytes of a short row: as a struct it takes more than that, and there could be millions."""


class Answer(NamedTuple, Generic[Data]):
    """An answer that was read.

    origins: one a row; None where no row tells.
    unread: rows of which something can't be read.
    """

    envelope: wire.Envelope[Data]
    origins: list[Origin] | None = None
    unread: Sequence[UnreadRow] = ()

    @property
    def row_count(self) -> int:
        """The number of its rows, 0 where its data is no list."""
        data: object = self.envelope.data
        return len(data) if isinstance(data, list) else 0


class Shape(Generic[Data]):
    """A decoder of answers, made once.

    shape: type of the answer's data: a struct, or a list of them.
    documented: the same with nothing but the documented fields. A page that fits it needs no search
        for IP addresses and user agents.
    nothing: what stands for data of another kind altogether; None for none: it is no answer.
    """

    def __init__(
        self,
        shape: type[Data],
        documented: type[Any] | None = None,
        *,
        nothing: wire.Struct | None = None,
    ) -> None:
        self._row: type[Any] = next(iter(get_args(shape)), shape)
        self._is_list = self._row is not shape
        self._nothing = nothing
        self._decoder = msgspec.json.Decoder(wire.Envelope[shape])  # type: ignore[valid-type]
        self._documented = (
            msgspec.json.Decoder(wire.Envelope[documented])  # type: ignore[valid-type]
            if documented
            else None
        )

    def decode(self, body: bytes) -> Answer[Data]:
        """Reads an answer. Raises msgspec.DecodeError for what is none.

        One that doesn't fit is read again, row by row and field by field, as far as that can be
        done with certainty.
        """
        return self.decode_strictly(body) or self.decode_leniently(body)

    def decode_strictly(self, body: bytes) -> Answer[Data] | None:
        """Reads an answer that fits, None for one that doesn't.

        Raises msgspec.DecodeError for one with rows, or a text, without end.
        """
        if len(body) > _LARGE:
            if _has_too_many_rows(body):
                raise msgspec.DecodeError("more rows than an answer has")
            if _has_endless_text(body):
                raise msgspec.DecodeError("a longer text than an answer has")
        # Text with a NUL fits, and must not come any further (see lenient.carried). Few pages have
        # a backslash at all, and the search from the end is the fastest one.
        if b"\\" not in body or body.rfind(_NUL) < 0:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                return self._fitting(body)
        return None

    def _fitting(self, body: bytes) -> Answer[Data]:
        if self._documented is not None:
            with suppress(msgspec.ValidationError):
                return Answer(self._documented.decode(body))
        envelope: wire.Envelope[Data] = self._decoder.decode(body)
        return Answer(envelope, self._origins(body))

    def decode_leniently(self, body: bytes) -> Answer[Data]:
        """Reads an answer as far as it can be read; it takes a hundred times as long.

        Raises msgspec.DecodeError for what is none.
        """
        whole = lenient.parsed(body)
        envelope: wire.Envelope[Any] = msgspec.convert(whole, wire.Envelope[Any], strict=False)
        if envelope.refusal:
            return Answer(envelope)
        data = envelope.data
        if self._is_list and isinstance(data, list):
            rows, raw, unread = lenient.read_rows(data, self._row)
            envelope.data = rows
            return Answer(envelope, self._origins(lenient.encoded({"data": raw})), unread)
        row, fields = (None, {"": lenient.shape_of(data)})
        if not self._is_list:
            row, fields = lenient.read_row(data, self._row)
        envelope.data = self._nothing if row is None else row
        if envelope.data is None:
            what = ", ".join(f"{name or 'data'} is {kind}" for name, kind in fields.items())
            raise msgspec.ValidationError(what)
        unread = [UnreadRow(None if row is None else 0, fields, data)] if fields else []
        return Answer(envelope, None, unread)

    def _origins(self, body: bytes) -> list[Origin] | None:
        return origins_in(body) if self._documented is not None else None


def _has_too_many_rows(body: bytes) -> bool:
    """Tells whether an answer has rows without end; the usual one takes no time worth noting."""
    return (
        any(
            body.count(b"{", at, at + _SAMPLE) * _SHORT > _SAMPLE
            for at in range(0, len(body), _LARGE // 2)
        )
        and body.count(b"{") > lenient.MOST_ROWS
    )


def _has_endless_text(body: bytes) -> bool:
    """Tells whether a large part of an answer is within no quotation marks, or within two."""
    return any(
        body.find(b'"', at, at + _LONGEST) < 0 for at in range(0, len(body) - _LONGEST, _LONGEST)
    )


LISTS = Shape(list[wire.MailingList])
CAMPAIGNS = Shape(list[wire.Campaign])
FIELD_GROUPS = Shape(list[wire.FieldGroup])
FIELDS = Shape(list[wire.ProfileField])
CONTACTS = Shape(list[wire.Contact])
CONTACT = Shape(wire.Contact)
MESSAGES = Shape(list[wire.Message])
MESSAGE = Shape(wire.MessageDetail)
STATUS = Shape(wire.MessageStatus)
SPLIT_TESTS = Shape(list[wire.SplitTest])
SPLIT_TEST_MESSAGES = Shape(list[wire.SplitTestMessage])
CONVERSATIONS = Shape(list[wire.Conversation])
TRANSACTIONAL = Shape(list[wire.TransactionalMessage])
ACTIVITIES = Shape(list[wire.Activity], list[wire.DocumentedActivity])
LINKS = Shape(list[wire.Link])
CLICKERS = Shape(list[wire.Clicker], list[wire.DocumentedClicker])
SUMMARY = Shape(wire.Summary, nothing=wire.Summary())
