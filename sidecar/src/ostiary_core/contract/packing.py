"""Gzip with bounds: what is unfolded never exceeds what the reader is willing to hold, whatever the content claims."""

import zlib
from collections.abc import Iterator
from typing import Final

from ostiary_core.errors import ContractError

#: What is unfolded at a time, in bytes.
_CHUNK: Final = 64 * 1024


def compress(text: bytes) -> bytes:
    """Return gzip without a time; equal texts give equal bytes."""
    squeeze = zlib.compressobj(level=6, wbits=31)
    return squeeze.compress(text) + squeeze.flush()


def unfolded(name: str, content: bytes, *, limit: int) -> Iterator[bytes]:
    """Yield the content of a file in pieces, unfolded if its name ends in ``.gz``, up to ``limit`` bytes in all.

    Raises:
        ContractError: it is not gzip although its name says so, is cut off, or is larger.
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
