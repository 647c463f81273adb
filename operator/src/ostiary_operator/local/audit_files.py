"""Reads the files of an audit trail in chunks: plain ones, gzip, and stdin."""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from ostiary_core.errors import OstiaryError

_CHUNK: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
STDIN: Final = "-"


class AuditFileError(OstiaryError):
    """A file that cannot be read; the message names it."""


def chunks(path: str) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed if it is gzip; ``-`` is stdin.

    Raises:
        AuditFileError: it cannot be read, or its compressed data is damaged.
    """
    try:
        if path == STDIN:
            yield from _plain_or_gzip(sys.stdin.buffer, path)
        else:
            with Path(path).open("rb") as file:
                yield from _plain_or_gzip(file, path)
    except OSError as error:
        raise AuditFileError(f"{path}: {error.strerror or error}") from error


def require_distinct(paths: list[str]) -> None:
    """Check that no file is named twice.

    Raises:
        AuditFileError: one is, so its records would occur twice.
    """
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        if path == STDIN:
            key = (-1, -1)
        else:
            try:
                found = Path(path).stat()
            except OSError as error:
                raise AuditFileError(f"{path}: {error.strerror or error}") from error
            key = (found.st_dev, found.st_ino)
        if key in seen:
            raise AuditFileError(f"{path}: it is the same file as {seen[key]}; name each once")
        seen[key] = path


def _plain_or_gzip(file: IO[bytes], path: str) -> Iterator[bytes]:
    chunk = file.read(_CHUNK)
    if chunk.startswith(_GZIP):
        yield from _decompressed(file, chunk, path)
        return
    while chunk:
        yield chunk
        chunk = file.read(_CHUNK)


def _decompressed(file: IO[bytes], chunk: bytes, path: str) -> Iterator[bytes]:
    """Decompress in bounded steps: a few bytes may stand for gigabytes."""
    stream = zlib.decompressobj(wbits=31)
    try:
        while chunk:
            yield stream.decompress(chunk, _CHUNK)
            chunk = stream.unconsumed_tail
            if stream.eof and stream.unused_data:  # several members in one file, as `cat *.gz` writes it
                chunk, stream = stream.unused_data, zlib.decompressobj(wbits=31)
            chunk = chunk or file.read(_CHUNK)
    except zlib.error as error:
        raise AuditFileError(f"{path}: its compressed data is damaged: {error}") from None
    if not stream.eof:
        raise AuditFileError(f"{path}: its compressed data is cut off")
