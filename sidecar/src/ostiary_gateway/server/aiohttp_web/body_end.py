"""Finds where a body ends in what was passed to aiohttp: what follows is the next request.

aiohttp parses the body. It does not report framing that it rejects once its request is being handled, so chunks are
judged here as well, as strictly.
"""

import re
from typing import Final, Protocol

from ostiary_gateway.server.bad_request import bad_request, head_too_large
from ostiary_gateway.server.connection_limits import Limits

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r")
_TRAILER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r")
_EMPTY: Final = b"\r"


class BodyEnd(Protocol):
    """Where a body ends."""

    def find(self, data: bytes, /) -> int:
        """Take the next bytes of the body; return where it ends in them, -1 if it does not."""


class CountedEnd:
    """The end of a body of so many bytes."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def find(self, data: bytes) -> int:
        """Take the next bytes of the body; return where it ends in them, -1 if it does not."""
        if self._left > len(data):
            self._left -= len(data)
            return -1
        end, self._left = self._left, 0
        return end


class ChunkedEnd:
    """The end of a chunked body (RFC 9112 §7.1), however it is cut."""

    __slots__ = ("_behind_data", "_in_trailers", "_left", "_limits", "_line", "_trailer_bytes", "_trailers")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        #: Bytes of the current chunk that are still to come.
        self._left = 0
        self._line = b""
        self._behind_data = self._in_trailers = False
        self._trailers = self._trailer_bytes = 0

    def find(self, data: bytes) -> int:
        """Take the next bytes of the body; return where it ends in them, -1 if it does not.

        Raises:
            BadRequestError: it is not framed as it must be, or its trailers are beyond the limits of a head.
        """
        place = 0
        while place < len(data):
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place)
            if end < 0:
                self._line += data[place:]
                return -1
            line, self._line = self._line + data[place:end], b""
            place = end + 1
            if self._is_last(line):
                return place
        return -1

    def _is_last(self, line: bytes) -> bool:
        """Take a line that is not data; return whether the body ends with it."""
        if self._behind_data:
            self._behind_data = False
            if line != _EMPTY:
                raise bad_request("A chunk is longer than its size")
            return False
        if self._in_trailers:
            return self._is_last_trailer(line)
        size = _SIZE.fullmatch(line)
        if size is None:
            raise bad_request("The size of a chunk is none")
        self._left = int(size[1], 16)
        self._in_trailers = not self._left
        self._behind_data = bool(self._left)
        return False

    def _is_last_trailer(self, line: bytes) -> bool:
        if line == _EMPTY:
            return True
        if _TRAILER.fullmatch(line) is None:
            raise bad_request("A trailer of the body is none")
        self._trailers += 1
        self._trailer_bytes += len(line)
        if self._trailers > self._limits.headers or self._trailer_bytes > self._limits.head_bytes:
            raise head_too_large()
        return False
