"""Responses on the wire: a whole one, written at once, or a stream, written as it comes."""

import http
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS, JSON_HEADERS
from ostiary_gateway.server.request import Request

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}
_BODILESS: Final = frozenset({204, 304})
_CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Response:
    """A whole response. ``close`` ends the connection with it.

    A body in several ``pieces`` is copied once, into what is sent.
    """

    __slots__ = ("close", "headers", "pieces", "status")

    def __init__(
        self,
        status: int,
        body: bytes | tuple[bytes, ...] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        close: bool = False,
    ) -> None:
        self.status = status
        self.pieces: tuple[bytes, ...] = (body,) if isinstance(body, bytes) else body
        self.headers = headers
        self.close = close

    @property
    def body(self) -> bytes:
        """The body in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        return len(self.pieces[0]) if len(self.pieces) == 1 else sum(map(len, self.pieces))

    def encoded(self, request: Request, *, keep: bool) -> bytes:
        """Return the bytes of the response; ``keep`` says whether another request may follow."""
        pieces = self.pieces
        is_usual = keep and self.status == 200 and self.headers is JSON_HEADERS and len(pieces) == 1
        if is_usual and request.minor_version and not request.response_headers and request.method != "HEAD":
            return _USUAL % (_date(), len(pieces[0]), pieces[0])
        return self._joined(request, keep=keep)

    def _joined(self, request: Request, *, keep: bool) -> bytes:
        parts = [_status_line(self.status), _date(), _connection(request, keep=keep)]
        if self.headers:
            parts.append(_lines(self.headers))
        if request.response_headers:
            parts.append(_lines(request.response_headers))
        if self.status not in _BODILESS:
            parts.append(b"Content-Length: %d\r\n" % self.size)
        parts.append(b"\r\n")
        if request.method != "HEAD":
            parts += self.pieces
        return b"".join(parts)


class ResponseStream:
    """A response written as it comes.

    :meth:`send` sends what was written: call it before waiting for more.
    """

    __slots__ = ("_pending", "begun", "ended", "headers", "keep", "request", "sent")

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self.request = request
        self.headers = headers
        self.begun = False
        self.ended = False
        #: Whether its head says that another request may follow.
        self.keep = False
        #: Bytes of the body so far.
        self.sent = 0
        self._pending: list[bytes] = []

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add headers, before the response has begun."""
        self.headers = {**self.headers, **headers}

    def begin(self) -> None:
        """Fix status and headers: from now on the request cannot be answered otherwise."""
        if self.begun:
            return
        self.begun = True
        request = self.request
        request.connection.stream = self
        chunked = request.minor_version
        # A body without length and chunks ends with its connection (HTTP/1.0).
        self.keep = bool(chunked) and request.keeps_connection()
        self._pending += [_status_line(200), _date(), _connection(request, keep=self.keep), _lines(self.headers)]
        if request.response_headers:
            self._pending.append(_lines(request.response_headers))
        self._pending.append(b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")

    def write(self, data: bytes) -> None:
        """Add a piece of the body."""
        if data:
            self.sent += len(data)
            self._pending.append(b"%x\r\n%b\r\n" % (len(data), data) if self.request.minor_version else data)

    def end(self) -> None:
        """Complete the body."""
        if not self.ended:
            self.ended = True
            if self.request.minor_version:
                self._pending.append(_LAST_CHUNK)

    def send(self) -> bool:
        """Send what was written.

        Return whether the client is slow: then wait for :meth:`taken` before more.

        Raises:
            CallerGone: the client has disconnected.
        """
        connection = self.request.connection
        if connection.lost:
            raise CallerGone("the caller is gone")
        if self._pending:
            connection.write(b"".join(self._pending))
            self._pending.clear()
        return connection.stalled_since is not None

    async def taken(self) -> None:
        """Wait until the client has taken most of what was sent.

        Raises:
            CallerGone: it has disconnected instead.
        """
        await self.request.connection.drained()


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _connection(request: Request, *, keep: bool) -> bytes:
    if not keep:
        return _CLOSE
    return b"" if request.minor_version else _KEEP


def _lines(headers: Mapping[str, str]) -> bytes:
    if headers is JSON_HEADERS:
        return _JSON_LINES
    if headers is EVENT_STREAM_HEADERS:
        return _EVENT_STREAM_LINES
    return _written(headers)


def _written(headers: Mapping[str, str]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\r") != len(headers) or text.count("\n") != len(headers):
        raise ValueError("a header of a response would break out of its line")
    return text.encode("latin-1")


_JSON_LINES: Final = _written(JSON_HEADERS)
_EVENT_STREAM_LINES: Final = _written(EVENT_STREAM_HEADERS)
#: What nearly every response is, with places for the date, the length of the body, and the body.
_USUAL: Final = _STATUS_LINES[200] + b"%b" + _JSON_LINES + b"Content-Length: %d\r\n\r\n%b"

_last_date: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """Return the Date header (RFC 9110 §6.6.1), made once a second."""
    global _last_date  # noqa: PLW0603  one clock, one process
    now = int(time.time())
    if _last_date[0] != now:
        _last_date = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _last_date[1]
