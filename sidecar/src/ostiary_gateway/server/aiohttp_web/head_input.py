"""What was passed to aiohttp of requests that have not begun.

Heads are kept within bounds, and their ends are found.

aiohttp reports a request when its handler begins, one turn of the event loop or more behind its last byte. Until then,
and for deadlines and bounds of incomplete heads, the bytes are looked at here.
"""

from typing import Final

from ostiary_gateway.server.bad_request import head_too_large, other_protocol, target_too_long
from ostiary_gateway.server.connection_limits import Limits

_END: Final = b"\r\n\r\n"
_VERSIONS: Final = (b" HTTP/1.1", b" HTTP/1.0")
#: More than method, spaces and version take in the first line.
_AROUND_TARGET: Final = 64


class HeadInput:
    """The bytes from the beginning of the next head on."""

    __slots__ = ("_end", "_limits", "bytes")

    def __init__(self, limits: Limits) -> None:
        self.bytes = b""
        self._limits = limits
        #: Where the first head ends; 0 while it is incomplete.
        self._end = 0

    @property
    def is_incomplete(self) -> bool:
        """Whether a head has begun and is not complete."""
        return bool(self.bytes) and not self._end

    def add(self, data: bytes) -> None:
        """Take what arrived, before it is passed on.

        Raises:
            BadRequestError: it is beyond the limits, or of another protocol.
        """
        if self.bytes:
            searched = len(self.bytes) - len(_END) + 1
            self.bytes += data
        else:
            # A client may end a request with an empty line more (RFC 9112 §2.2).
            self.bytes, searched = data.lstrip(b"\r\n") if data[:1] in {b"\r", b"\n"} else data, 0
        if not self._end and self.bytes:
            self._search(max(0, searched))

    def _search(self, start: int) -> None:
        end = self.bytes.find(_END, start)
        size = len(self.bytes) if end < 0 else end
        if size > self._limits.head_bytes or (end >= 0 and self.bytes.count(b"\r\n", 0, end) > self._limits.headers):
            raise head_too_large()
        line = self.bytes.find(b"\r\n", 0, size + 1)
        if (line if line >= 0 else size) > self._limits.target_bytes + _AROUND_TARGET:
            raise target_too_long(self._limits)
        if line >= 0 and not self.bytes.endswith(_VERSIONS, 0, line):
            raise other_protocol()
        self._end = end + len(_END) if end >= 0 else 0

    def take(self) -> bytes:
        """Return what was passed behind the first head, whose request has begun; and forget it."""
        behind = self.bytes[self._end :]
        self.clear()
        return behind

    def clear(self) -> None:
        """Forget what was passed."""
        self.bytes = b""
        self._end = 0
