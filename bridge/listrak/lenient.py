"""A second reading of answers that don't fit: what can be read with certainty is read.

A number as text is a number, 0 and 1 are false and true, 3.0 is 3. Of a row a field that can't be
read is left out and told, and the rest of the row is read; so is the rest of its page.

Two things that a text may hold can't be sent on, nor kept (see `carried`).
"""

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple, get_args

import msgspec

from bridge.listrak.pages import UnreadRow
from bridge.listrak.wire import Struct, text_of

_DEEPEST: Final = 40
"""Levels of a value at most: answers have six."""

_LONGEST_NUMBER: Final = 40
"""Digits of a number that is read at most; longer ones are beyond every use."""

_MOST_VALUES: Final = 200_000
"""Values of an answer at most, by its commas and lists: five thousand rows have half of that."""

_MOST_WIDE: Final = 2**22
"""Bytes of an answer at most that isn't ASCII: one emoji makes a text take four times as much."""

MOST_ROWS: Final = 20_000
"""Rows of it at most: no more than five thousand are asked for."""

_UNCARRIED = re.compile("[\x00\ud800-\udfff]")


class NoValue:
    """A value that JSON doesn't have, or that nothing can hold.

    name: what it is, for people.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Rows(NamedTuple):
    """Rows that were read.

    rows: as structs.
    raw: each of them as it came.
    unread: those of which something can't be read, or nothing.
    """

    rows: list[Any]
    raw: list[Any]
    unread: list[UnreadRow]


def carried(text: str) -> str:
    """The text as SQLite and Segment can carry it.

    Without NUL, at which others take it for ended. Half a character of UTF-16 (an emoji that was
    cut) has no bytes: the replacement character stands for it.
    """
    return _UNCARRIED.sub(lambda match: "" if match[0] == "\x00" else "\ufffd", text)


def parsed(body: bytes) -> Any:
    """The JSON of a body, its texts as of `carried`; NoValue for what is no value.

    Bytes that are no text count as half characters do. Raises msgspec.DecodeError where the whole
    is no JSON, nested too deep to be looked at, or larger than any answer of Listrak.
    """
    if (
        body.count(b",") + body.count(b"[") > _MOST_VALUES
        # A row, and one within it.
        or body.count(b"{") > 2 * MOST_ROWS
    ):
        raise msgspec.DecodeError("more values than an answer has")
    if len(body) > _MOST_WIDE and not body.isascii():
        raise msgspec.DecodeError("a longer text than an answer has")
    return _carried(_whole(body))


def _whole(body: bytes) -> Any:
    """The JSON of a body as it stands there. Raises msgspec.DecodeError for none."""
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        return json.loads(
            text, strict=False, parse_constant=NoValue, parse_float=_float, parse_int=_int
        )
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(f"no JSON ({type(error).__name__})") from None


def encoded(value: Any) -> bytes:
    """A parsed value as JSON again; what is no value as its name."""
    return msgspec.json.encode(value, enc_hook=str)


def read_rows(values: Sequence[Any], shape: type[Struct]) -> Rows:
    """Rows as structs of the shape, as far as each can be read.

    Raises msgspec.ValidationError for more of them than any answer of Listrak has.
    """
    if len(values) > MOST_ROWS:
        raise msgspec.ValidationError("more rows than an answer has")
    read = Rows([], [], [])
    for value in values:
        row, fields = read_row(value, shape)
        if row is None:
            read.unread.append(UnreadRow(None, fields, value))
            continue
        if fields:
            read.unread.append(UnreadRow(len(read.rows), fields, value))
        read.rows.append(row)
        read.raw.append(value)
    return read


def read_row(value: Any, shape: type[Struct]) -> tuple[Any, dict[str, str]]:
    """A row as a struct, and what each field is that can't be read, by its name in Listrak.

    None for the struct where nothing can be read, or nothing that it needs.
    """
    try:
        return _texts_only(msgspec.convert(value, shape)), {}
    except msgspec.ValidationError:
        if not isinstance(value, dict):
            return None, {"": shape_of(value)}
    fields: dict[str, str] = {}
    certain: dict[str, Any] = {}
    for field in _fields_of(shape):
        if field.encode_name not in value:
            continue
        one = value[field.encode_name]
        try:
            certain[field.name] = _read_field(one, field.type)
        except msgspec.ValidationError:
            fields[field.encode_name] = shape_of(one)
            certain |= _stand_in(one, field, shape)
    for field in _fields_of(shape):
        if field.name not in certain and (field.required or field.encode_name in fields):
            fields.setdefault(field.encode_name, "missing")
            if field.required or field.name in shape.needed:
                return None, fields
    return _texts_only(shape(**certain)), fields


def shape_of(value: Any) -> str:
    """The kind of a value, for people, without the words of a text."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float() | NoValue():
            return f"the number {value}"
        case str():
            return f"a text of {len(value)} characters"
        case list():
            return f"a list of {len(value)}"
    return f"an object of {len(value)} fields"


@cache
def _fields_of(shape: type[Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a shape; to find them takes longer than to read a row."""
    return msgspec.structs.fields(shape)


def _texts_only(row: Struct) -> Struct:
    """The row, without what isn't text of fields that may have any type."""
    for field in _fields_of(type(row)):
        if field.type is Any:
            setattr(row, field.name, text_of(getattr(row, field.name)))
    return row


def _read_field(value: Any, kind: Any) -> Any:
    """A value as its kind. Raises ValidationError where that isn't certain."""
    try:
        # What fits stays as it is.
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return msgspec.convert(value, kind, strict=False)


def _stand_in(value: Any, field: msgspec.structs.FieldInfo, shape: type[Struct]) -> dict[str, Any]:
    """The stand-in in a row for a field that can't be read, if anything but its default does.

    Of rows in a row those that can be read.
    """
    if field.name in shape.stand_ins:
        return {field.name: shape.stand_ins[field.name]}
    for kind in get_args(field.type):
        (of_row, *_) = (*get_args(kind), None)
        if isinstance(value, list) and isinstance(of_row, type) and issubclass(of_row, Struct):
            inner = read_rows(value, of_row)
            uncertain = {row.number for row in inner.unread}
            rows = [row for number, row in enumerate(inner.rows) if number not in uncertain]
            return {field.name: rows}
    return {}


def _carried(value: Any, depth: int = 0) -> Any:
    """The value with all its texts as of `carried`; NoValue for what is nested too deep."""
    if isinstance(value, str):
        return carried(value)
    if not isinstance(value, list | dict):
        return value
    if depth == _DEEPEST:
        return NoValue("nested too deep")
    if isinstance(value, list):
        return [_carried(each, depth + 1) for each in value]
    return {carried(name): _carried(each, depth + 1) for name, each in value.items()}


def _float(text: str) -> float | NoValue:
    number = float(text)
    return number if math.isfinite(number) else NoValue(text[:_LONGEST_NUMBER])


def _int(text: str) -> int | NoValue:
    if len(text) > _LONGEST_NUMBER:
        return NoValue(f"of {len(text)} digits")
    return int(text)
