"""The first line of an answer must be HTTP/1's: llhttp takes RTSP, ICE and HTTP/2.0, too, and does not tell which.

Interim answers (1xx) stand before the final one, so a piece of bytes may hold several first lines. Nearly every answer
begins with a final one, which costs one comparison.
"""

from typing import Any, Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

_PROTOCOL: Final = b"HTTP/1."
#: So much of a line says its protocol, its version and the class of its status.
_LENGTH: Final = len(b"HTTP/1.1 2")
#: How nearly every answer begins: with a final one. Whoever feeds a parser compares this first.
USUAL: Final = b"HTTP/1.1 2"
_INTERIM: Final = b"1"


class StatusLine:
    """What has come of the first line that is due."""

    __slots__ = ("_come", "_is_interim", "is_final", "is_new")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another first line is due."""
        self._come = b""
        self._is_interim = False
        #: Whether nothing of it has come.
        self.is_new = True
        #: Whether the final answer has begun, so that nothing is to be looked at any more.
        self.is_final = False

    def feed(self, parser: Any, data: bytes) -> bytes:
        """Feed a parser up to where the final answer's first line is known to be one; return what is left.

        The parser calls :meth:`begin` at the end of an interim answer.

        Raises:
            UpstreamFault: it is of another protocol.
        """
        self.is_new = False
        while data and not self.is_final:
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
