"""Compression: one level for everything that is sent and stored."""

import gzip
from typing import Final

from isal import igzip

GZIP_LEVEL: Final = 1
"""Level of ISA-L: it costs a tenth of zlib's processor time."""


def compressed(data: bytes) -> bytes:
    """The data as gzip."""
    return igzip.compress(data, GZIP_LEVEL)


def decompressed(data: bytes) -> bytes:
    """The data of a gzip. Raises OSError or EOFError where it isn't one."""
    return gzip.decompress(data)
