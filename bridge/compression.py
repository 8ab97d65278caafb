"""Compression: one level for everything that is sent and stored, and bounded decompression.

With it comes the CRC of gzip, by which stored rows are told from damaged ones.
"""

import gzip
from typing import Final

from isal import igzip, igzip_lib, isal_zlib

GZIP_LEVEL: Final = 1
"""Level of ISA-L: it costs a tenth of zlib's processor time."""

_GZIP, _ZLIB, _RAW = 31, 15, -15
"""The window sizes by which a decompressor is told the format."""


crc32: Final = isal_zlib.crc32
"""The CRC-32 of zlib, in a tenth of its time."""


def compressed(data: bytes) -> bytes:
    """The data as gzip."""
    return igzip.compress(data, GZIP_LEVEL)


def decompressed(data: bytes) -> bytes:
    """The data of a gzip of ours. Raises OSError or EOFError where it isn't one."""
    return gzip.decompress(data)


def inflated(data: bytes, encoding: str, most: int) -> bytes:
    """The data of somebody else's body, at most one byte more than `most`.

    encoding: value of the Content-Encoding header: gzip, deflate, or none.

    Raises ValueError for data or encodings that can't be read.
    """
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError("its encoding is unknown")
    window = _GZIP if encoding != "deflate" else _ZLIB if data[:1] == b"\x78" else _RAW
    text, rest = b"", data
    try:
        while rest and len(text) <= most:
            member = isal_zlib.decompressobj(window)
            text += member.decompress(rest, most + 1 - len(text))
            if not member.eof and len(text) <= most:
                raise ValueError("it ends in the middle")
            rest = member.unused_data
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub has no bases
        raise ValueError("it can't be decompressed") from error
    return text
