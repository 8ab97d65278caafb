"""A second reading of answers that don't fit: what can be read with certainty is read.

A number as text is a number, 0 and 1 are false and true, 3.0 is 3. Half a character of UTF-16 (an
emoji that was cut) can't be sent on as it is: the replacement character stands for it.
"""

import json
import re
from typing import Any, NoReturn, TypeVar, get_args

import msgspec

from bridge.logs import log

Data = TypeVar("Data")

_HALVES = re.compile("[\ud800-\udfff]")


def parsed(body: bytes) -> Any:
    """The JSON of a body. Raises msgspec.DecodeError where it is none, or nested too deep."""
    try:
        return _whole(json.loads(body, parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(f"no JSON ({type(error).__name__})") from None


def read(envelope: Any, shape: type[Data], listing: str) -> Data:
    """An envelope as the given shape. Raises msgspec.ValidationError where that isn't certain.

    listing: what its rows name, such as lists or messages: of such a row a field that can't be read
        is left out, and the row as well where that is its id, as nothing could be asked for by it.
        "" for all others.
    """
    if listing and isinstance(envelope, dict) and isinstance(envelope.get("data"), list):
        (of_rows,) = get_args(shape)
        (of_row,) = get_args(of_rows)
        rows = [_readable(row, of_row, listing) for row in envelope["data"]]
        envelope = {**envelope, "data": [row for row in rows if row is not None]}
    return msgspec.convert(envelope, shape, strict=False)


def _readable(row: Any, shape: type[msgspec.Struct], listing: str) -> msgspec.Struct | None:
    """A row of a listing, as far as it can be read; None without its id."""
    try:
        return msgspec.convert(row, shape, strict=False)
    except msgspec.ValidationError as error:
        log.warning("row.unreadable", resource=listing, reason=str(error))
    if not isinstance(row, dict):
        return None
    types = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    readable = {name: row[name] for name in row.keys() & types if _fits(row[name], types[name])}
    try:
        return msgspec.convert(readable, shape, strict=False)
    except msgspec.ValidationError:
        return None


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _whole(value: Any) -> Any:
    """The value with whole characters in all its texts."""
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(each) for name, each in value.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
