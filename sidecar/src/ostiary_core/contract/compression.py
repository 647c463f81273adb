"""Gzip with limits.

A reader never unfolds more than it allows, whatever the content claims.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from ostiary_core.errors import ContractError

#: The number of bytes that are unfolded at a time.
_CHUNK: Final = 64 * 1024


def compress(text: bytes) -> bytes:
    """Return gzip without a timestamp; equal texts give equal bytes."""
    squeeze = zlib.compressobj(level=6, wbits=31)
    return squeeze.compress(text) + squeeze.flush()


def unfolded(name: str, content: bytes, *, limit: int) -> Iterator[bytes]:
    """Yield a file's content in pieces, unfolded if its name ends in ``.gz``.

    All pieces together have at most ``limit`` bytes.

    Raises:
        ContractError: it is not gzip although its name ends in ``.gz``, is truncated, or is larger.
    """
    size = 0
    for piece in _unfolded(name, content) if name.endswith(".gz") else (content,):
        size += len(piece)
        if size > limit:
            raise ContractError(f"{name}: it is larger than the {limit} bytes that it may unfold to")
        yield piece


def _unfolded(name: str, content: bytes) -> Iterator[bytes]:
    unfold = zlib.decompressobj(wbits=31)
    rest = content
    try:
        while rest and not unfold.eof:
            yield unfold.decompress(rest, _CHUNK)
            rest = unfold.unconsumed_tail
        yield unfold.flush()
    except zlib.error as error:
        raise ContractError(f"{name}: not gzip: {error}") from None
    if not unfold.eof:
        raise ContractError(f"{name}: its gzip is cut off")
