"""Gzip with limits.

A reader never decompresses more than it allows, whatever the content claims.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from ostiary_core.errors import ContractError

#: The number of bytes that are decompressed at a time.
_CHUNK: Final = 64 * 1024


def compress(text: bytes) -> bytes:
    """Return gzip without a timestamp; equal texts give equal bytes."""
    gzip = zlib.compressobj(level=6, wbits=31)
    return gzip.compress(text) + gzip.flush()


def decompressed(name: str, content: bytes, *, limit: int) -> Iterator[bytes]:
    """Yield a file's content in pieces, decompressed if its name ends in ``.gz``.

    All pieces together have at most ``limit`` bytes.

    Raises:
        ContractError: it is not gzip although its name ends in ``.gz``, is truncated, or is larger.
    """
    size = 0
    for piece in _decompressed(name, content) if name.endswith(".gz") else (content,):
        size += len(piece)
        if size > limit:
            raise ContractError(f"{name}: it is larger than the {limit} bytes that it may decompress to")
        yield piece


def _decompressed(name: str, content: bytes) -> Iterator[bytes]:
    gzip = zlib.decompressobj(wbits=31)
    rest = content
    try:
        while rest and not gzip.eof:
            yield gzip.decompress(rest, _CHUNK)
            rest = gzip.unconsumed_tail
        yield gzip.flush()
    except zlib.error as error:
        raise ContractError(f"{name}: not gzip: {error}") from None
    if not gzip.eof:
        raise ContractError(f"{name}: its gzip is cut off")
