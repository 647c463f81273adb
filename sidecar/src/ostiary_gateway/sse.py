"""Server-sent events, split and joined without losing a byte (HTML specification, Server-sent events).

The splitter cuts a byte stream after each blank line and hands on every block raw; a block that nobody needs to shape
travels as the server wrote it: comments, ids, ``retry:``, CRLF and all.
"""

import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.errors import OstiaryError

#: The end of a block: two line ends in a row, in any of the three forms.
_BLOCK_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class BlockTooLargeError(OstiaryError):
    """One event is larger than the bound."""


class BlockSplitter:
    """Cuts a stream into blocks of at most ``limit`` bytes, whatever the chunks it arrives in."""

    def __init__(self, *, limit: int) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk and yield the blocks that it completes, each with its final blank line.

        Raises:
            BlockTooLargeError: a block exceeds the limit.
        """
        self._buffer += chunk
        while True:
            end = self._end()
            if end < 0:
                break
            block = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._searched = 0
            yield block
        if len(self._buffer) > self._limit:
            raise BlockTooLargeError(f"an event is larger than {self._limit} bytes")

    def rest(self) -> bytes:
        """Return what is left when the stream has ended: a block without its blank line, which clients ignore."""
        return bytes(self._buffer)

    @property
    def between_blocks(self) -> bool:
        """Whether the stream stands between two blocks, where a comment may be put."""
        return not self._buffer

    def _end(self) -> int:
        """Find the end of the first block. Three bytes are searched again, since a line end may be cut in two.

        Where CR LF is cut between CR and LF, the LF opens the next block as an empty line, which means nothing there.
        """
        match = _BLOCK_END.search(self._buffer, max(0, self._searched - 3))
        if match is not None:
            return match.end()
        self._searched = len(self._buffer)
        return -1


def data_of(block: bytes) -> bytes | None:
    """Return the joined data lines of a block; None where it has none or they are empty, as in a priming event."""
    if b"data" not in block:
        return None
    lines = [line[5:].removeprefix(b" ") for line in _LINE_END.split(block) if line.startswith(b"data:")]
    joined = b"\n".join(lines)
    return joined or None


def with_data(block: bytes, data: bytes) -> bytes:
    """Return a block with other data; its other fields stay. ``data`` is JSON on one line.

    The event's type is written out: clients exist that hang on an event without one.
    """
    kept = [line for line in _LINE_END.split(block) if line and line != b"data" and not line.startswith(b"data:")]
    if not any(line.startswith(b"event") for line in kept):
        kept.insert(0, b"event: message")
    return b"\n".join([*kept, b"data: " + data, b"", b""])


def event(data: bytes) -> bytes:
    """Return an event of our own."""
    return b"event: message\ndata: " + data + b"\n\n"


#: What keeps an idle stream open through proxies that close silent connections.
KEEP_ALIVE: Final = b": keep-alive\n\n"
