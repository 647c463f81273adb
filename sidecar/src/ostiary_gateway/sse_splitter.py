"""Cuts a stream of server-sent events into blocks without loss (HTML specification).

The splitter cuts after each blank line and yields every block raw. What a block says is read in :mod:`.sse`.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final

from ostiary_core.errors import OstiaryError

#: The end of a block: two consecutive line ends, in any of the three forms.
_BLOCK_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
#: The same where no CR follows another, the usual case. An expression that begins with a fixed byte is searched seven
#: times faster; searching for that byte alone is faster still, if it is rare.
_USUAL_BLOCK_END: Final = re.compile(rb"\n(?:\n|\r\n?)")
_LINE_END: Final = re.compile(rb"\n|\r\n?")
#: Up to this number of lines or CRs, searching for each individually is fast, however much is between them.
_FEW: Final = 16
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class BlockTooLargeError(OstiaryError):
    """One event is larger than the limit."""


class BlockSplitter:
    """Cuts a stream into blocks of at most ``limit`` bytes, however it is divided into chunks.

    All bytes are returned except a byte order mark at the start, which would hide the first field from readers that do
    not expect one.
    """

    __slots__ = ("_after_cr", "_at_start", "_buffer", "_limit", "_searched")

    def __init__(self, *, limit: int) -> None:
        #: What has come of a block; a bytearray once some was cut in two, which is seldom.
        self._buffer: bytes | bytearray = b""
        self._limit = limit
        self._searched = 0
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Add a chunk, and yield the blocks that it completes, each with its final blank line.

        If a block's last CR is the last byte so far, the block is yielded without waiting for a following LF; that LF
        then becomes a block of its own, which has no meaning.

        Raises:
            BlockTooLargeError: a block exceeds the limit.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                yield b"\n"
                chunk = chunk[1:]
        if not self._buffer and b"\r" not in chunk:
            chunk = yield from self._whole_blocks(chunk)
            if not chunk:
                return
        self._buffer = buffer = self._buffer if isinstance(self._buffer, bytearray) else bytearray(self._buffer)
        buffer += chunk
        usual = b"\r" not in chunk or not _holds_two_crs(buffer, self._start)
        while (end := self._end(buffer, usual=usual)) >= 0:
            self._check(end)
            block = bytes(buffer[:end])
            del buffer[:end]
            self._searched = 0
            self._after_cr = block.endswith(b"\r") and not buffer
            yield self._without_mark(block)
        self._check(len(buffer))
        if not buffer:
            self._buffer = b""

    def _whole_blocks(self, chunk: bytes) -> Generator[bytes, None, bytes]:
        """Yield the complete blocks of a chunk without CRs (the usual case), and return the rest."""
        start = 0
        while (end := chunk.find(b"\n\n", start) + 2) > 1:
            self._check(end - start)
            yield self._without_mark(chunk[start:end])
            start = end
        return chunk[start:]

    def _without_mark(self, block: bytes) -> bytes:
        if not self._at_start:
            return block
        self._at_start = False
        return block.removeprefix(_BYTE_ORDER_MARK)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise BlockTooLargeError(f"an event has {size} bytes or more, and may have {self._limit}")

    def rest(self) -> bytes:
        """Return what is left at the end of the stream.

        It is a block without its blank line, which clients ignore.
        """
        return bytes(self._buffer)

    @property
    def pending(self) -> int:
        """The number of bytes of an incomplete block."""
        return len(self._buffer)

    @property
    def between_blocks(self) -> bool:
        """Whether the stream is between two blocks, where a comment may be inserted."""
        return not self._buffer

    @property
    def _start(self) -> int:
        """Return where to continue the search.

        That is three bytes back, since a line end may be cut in two.
        """
        return max(0, self._searched - 3)

    def _end(self, buffer: bytearray, *, usual: bool) -> int:
        """Find the end of the first block.

        ``usual`` says that no CR follows another in the searched part.
        """
        end = _usual_end(buffer, self._start) if usual else _end_of(_BLOCK_END, buffer, self._start)
        if end < 0:
            self._searched = len(buffer)
        return end


def _end_of(expression: re.Pattern[bytes], buffer: bytearray, start: int) -> int:
    match = expression.search(buffer, start)
    return match.end() if match is not None else -1


def _usual_end(buffer: bytearray, start: int) -> int:
    for _ in range(_FEW):
        start = buffer.find(b"\n", start) + 1
        if not start:
            return -1
        match = _LINE_END.match(buffer, start)
        if match is not None:
            return match.end()
    return _end_of(_USUAL_BLOCK_END, buffer, start - 1)


def _holds_two_crs(buffer: bytearray, start: int) -> bool:
    for _ in range(_FEW):
        start = buffer.find(b"\r", start) + 1
        if not start:
            return False
        if buffer.startswith(b"\r", start):
            return True
    return buffer.find(b"\r\r", start - 1) >= 0
