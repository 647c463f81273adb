"""The check that a response is HTTP/1.

Llhttp also takes RTSP, ICE and HTTP/2.0, and does not report which it was.

Interim responses (1xx) precede the final one, so one read may hold several status lines. Nearly every response begins
with a final one, which costs one comparison.
"""

from typing import Any, Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

_PROTOCOL: Final = b"HTTP/1."
#: The length of protocol, version and the first digit of the status.
_LENGTH: Final = len(b"HTTP/1.1 2")
#: The beginning of nearly every response. Compare this before :meth:`StatusLine.feed`.
USUAL: Final = b"HTTP/1.1 2"
_INTERIM: Final = b"1"


class StatusLine:
    """The part of the next status line that has come."""

    __slots__ = ("_come", "_is_interim", "is_final", "is_new")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect another status line."""
        self._come = b""
        self._is_interim = False
        #: Whether nothing of it has come.
        self.is_new = True
        #: Whether the final response has begun, so that nothing is left to check.
        self.is_final = False

    def feed(self, parser: Any, data: bytes) -> bytes:
        """Feed a parser until the status line of the final response is checked.

        Return the rest of the data.

        The parser's owner calls :meth:`begin` at the end of an interim response.

        Raises:
            UpstreamFault: the line is of another protocol.
        """
        while data and not self.is_final:
            self.is_new = False  # each time: the end of an interim response begins another line
            if self._is_interim:
                line, end, data = data.partition(b"\n")
                parser.feed_data(line + end)
                continue
            piece, data = data[: _LENGTH - len(self._come)], data[_LENGTH - len(self._come) :]
            self._come += piece
            if not _PROTOCOL.startswith(self._come[: len(_PROTOCOL)]):
                raise UpstreamFault(faults.INVALID, "the answer is not HTTP/1.1: it begins with another protocol")
            self._note()
            parser.feed_data(piece)
        return data

    def _note(self) -> None:
        if len(self._come) == _LENGTH:
            self._is_interim = self._come.endswith(_INTERIM)
            self.is_final = not self._is_interim


def check_interim(status: int) -> None:
    """Check the status of an interim response.

    Raises:
        UpstreamFault: it is none, or announces another protocol.
    """
    if status == 101:
        raise UpstreamFault(faults.INVALID, "the upstream switches to another protocol")
    if status < 100:
        raise UpstreamFault(faults.INVALID, f"{status} is no status of HTTP")


def not_http(error: Exception) -> UpstreamFault:
    """Return the fault of a response that the parser refuses."""
    if isinstance(error.__context__, UpstreamFault):  # httptools wraps what our callbacks raise
        return error.__context__
    return UpstreamFault(faults.INVALID, f"the answer is not HTTP/1.1: {error}")
