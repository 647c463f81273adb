"""From bytes to requests, by llhttp in its strict mode, within bounds.

llhttp refuses what two readers could frame in two ways (RFC 9112 §6.3): two lengths, a length with a transfer coding,
bodies that do not end with the chunked coding, bare line feeds, folded headers, spaces before a colon. We also refuse
any coding but chunked alone, transfer codings in HTTP/1.0, which has none (§6.1), and RTSP and ICE, which llhttp takes.
"""

import logging
from collections.abc import Callable
from typing import Final

import httptools

from ostiary_gateway.server.bad_request import (
    FOREIGN,
    BadRequestError,
    bad_request,
    head_too_large,
    other_coding,
    other_protocol,
    target_too_long,
    too_much_framing,
)
from ostiary_gateway.server.connection_limits import FRAMING_BYTES, FRAMING_EACH, Limits
from ostiary_gateway.server.llhttp.request import LlhttpRequest
from ostiary_gateway.server.request_connection import RequestConnection

_log: Final = logging.getLogger(__name__)

_NONE_REPEATED: Final[frozenset[str]] = frozenset()
_FRAMING: Final = ("content-length", "transfer-encoding")
_MINOR_VERSIONS: Final = {"1.1": 1, "1.0": 0}
#: Header names in the usual spellings, so that their case need not be folded for each request.
_NAMES: Final[dict[bytes, str]] = {
    spelling.encode(): name.lower()
    for name in (
        *(
            "Accept",
            "Accept-Encoding",
            "Accept-Language",
            "Authorization",
            "Connection",
            "Content-Length",
            "Content-Type",
        ),
        *("Host", "Last-Event-ID", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Origin"),
        *("Traceparent", "Tracestate", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto"),
    )
    for spelling in (name, name.lower(), name.title())
}


class RequestParser:
    """Parses one connection.

    ``begun`` is called with each request as soon as its head is complete.
    """

    def __init__(self, connection: RequestConnection, begun: Callable[[LlhttpRequest], None], limits: Limits) -> None:
        self._connection = connection
        self._begun = begun
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        #: Whether a head has begun and is not complete.
        self.in_head = False
        #: The request whose body is arriving.
        self.request: LlhttpRequest | None = None
        self._fed = self._seen = self._count = self._taken = 0
        self._ended = False
        #: A request that asks for another protocol, whose body llhttp does not parse; then the one whose body follows.
        self._changing: LlhttpRequest | None = None
        self._resuming: LlhttpRequest | None = None
        self._target = b""
        #: The beginning of a line of a head that is not complete.
        self._unended = b""
        self._is_mentioned = False
        self._headers: dict[str, str] = {}
        self._repeated: set[str] = set()

    @property
    def partial(self) -> int:
        """How many bytes are held of a head that is not complete yet."""
        return self._fed if self.in_head else 0

    def release(self) -> None:
        """Drop all references to the connection, which is closed: nothing is fed any more."""
        self.request = None
        del self._parser, self._begun, self._connection

    def feed(self, data: bytes) -> None:
        """Parse what arrived.

        Raises:
            BadRequestError: it is not a request, or one beyond the limits. Nothing after it can be read.
        """
        self._ended = False
        if self.request is None:
            self._is_mentioned = b"RTSP/" in data or b"ICE/" in data
            if self._is_mentioned or self._unended:
                self._check_protocol(data)
        behind: bytes | None = None
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                behind = data[upgrade.args[0] :]
            if behind is not None:
                self._parse_on(behind)
        except httptools.HttpParserError as error:
            raise _bad_request(error) from None
        if self.in_head or self._unended:
            self._keep_unended(data)
        if not self._ended:
            self._fed += len(data)
            self._check_fed()

    def _check_protocol(self, data: bytes) -> None:
        """Refuse RTSP and ICE, which llhttp parses as well.

        It does not report the protocol of a head.
        """
        if self._unended:
            data = self._unended + data
        self._is_mentioned = b"RTSP/" in data or b"ICE/" in data
        if self._is_mentioned and FOREIGN.search(data):
            raise other_protocol()

    def _keep_unended(self, data: bytes) -> None:
        """Keep the beginning of a line of a head: it may be cut anywhere."""
        if self.in_head:
            whole = self._unended + data
            self._unended = whole[whole.rfind(b"\n") + 1 :]
        else:
            self._unended = b""

    def _check_fed(self) -> None:
        """Bound what llhttp does not report: an endless name or value, chunk extensions, trailers."""
        if self.in_head:
            if self._fed > self._limits.head_bytes:
                raise head_too_large()
        elif self.request is not None and self._fed - self._taken > FRAMING_BYTES + FRAMING_EACH * self._taken:
            raise too_much_framing()

    def _parse_on(self, behind: bytes | None) -> None:
        """Parse what is behind a head that asks for another protocol.

        Nothing is fed where an exception is handled: httptools keeps what our callbacks raise as the context of its own
        error, and there it would get another one.
        """
        while behind is not None:
            self._stay()
            data, behind = behind, None
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                behind = data[upgrade.args[0] :]

    def _stay(self) -> None:
        """Ignore an upgrade to another protocol (RFC 9110 §7.8), as Java's client requests.

        llhttp stops after such a head and takes the body for another protocol. A new parser gets the framing of the
        body, and nothing else, as a head of its own.
        """
        request, self._changing = self._changing, None
        self._parser = httptools.HttpRequestParser(self)
        if request is None:
            return
        headers = request.headers
        framing = [f"{name}: {headers[name]}\r\n" for name in _FRAMING if name in headers]
        self._resuming = request
        self._parser.feed_data("".join(["POST / HTTP/1.1\r\n", *framing, "\r\n"]).encode("utf-8", "surrogateescape"))

    # llhttp

    def on_message_begin(self) -> None:
        """Reset for a new head."""
        if self._ended and self._is_mentioned:
            raise other_protocol()  # after a body, a request line cannot be distinguished from data
        self.in_head = self._resuming is None
        self._fed = self._count = self._taken = 0
        self._target = b""
        self._headers = {}
        if self._repeated:
            self._repeated = set()

    def on_url(self, target: bytes) -> None:
        """Take a piece of the target."""
        if not self.in_head:
            return
        self._target += target
        if len(self._target) > self._limits.target_bytes:
            raise target_too_long(self._limits)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which is counted and dropped."""
        if not self.in_head:
            self._count_trailer(name, value)
            return
        key = _NAMES.get(name) or name.decode("latin-1").lower()
        # llhttp leaves blanks at the end of a value, and takes no other white space.
        text = value.rstrip().decode("utf-8", "surrogateescape")
        headers = self._headers
        if key in headers:
            text = self._joined(key, text)
        headers[key] = text

    def _joined(self, key: str, text: str) -> str:
        """Return the value of a repeated header, joined to the earlier one."""
        self._repeated.add(key)
        self._count += 1
        if self._count > self._limits.headers:  # each join copies all earlier values
            raise head_too_large()
        return f"{self._headers[key]}, {text}"

    @property
    def _head_bytes(self) -> int:
        """The bytes that are kept of a head: its target, and the names and values of its headers."""
        return len(self._target) + sum(map(len, self._headers)) + sum(map(len, self._headers.values()))

    def _count_trailer(self, name: bytes, value: bytes) -> None:
        self._seen += len(name) + len(value)
        self._count += 1
        if self._seen > self._limits.head_bytes or self._count > self._limits.headers:
            raise head_too_large()

    def on_headers_complete(self) -> None:
        """Start the request, since its head is complete."""
        if self._resuming is not None:
            self.request, self._resuming = self._resuming, None
            return
        self.in_head = False
        if len(self._headers) + self._count > self._limits.headers:
            raise head_too_large()
        # A head that came in one piece is within the limit, since pieces are smaller.
        if self._fed and self._head_bytes > self._limits.head_bytes:
            raise head_too_large()
        self._fed = self._seen = self._count = 0
        parser = self._parser
        version, method = parser.get_http_version(), parser.get_method()
        minor_version = _MINOR_VERSIONS.get(version)
        if minor_version is None:
            raise other_protocol()
        coding = self._headers.get("transfer-encoding")
        if coding is not None and (not minor_version or coding.lower() != "chunked"):
            raise other_coding()
        self.request = request = LlhttpRequest(
            self._connection,
            method.decode("ascii"),
            self._target.decode("utf-8", "surrogateescape"),
            self._headers,
            frozenset(self._repeated) if self._repeated else _NONE_REPEATED,
            minor_version,
            # What follows CONNECT would not be HTTP.
            parser.should_keep_alive() and method != b"CONNECT",
        )
        if parser.should_upgrade():
            self._changing = request
        self._begun(request)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._taken += len(data)
        if self.request is not None:
            self.request.feed(data)

    def on_message_complete(self) -> None:
        """Finish the request, since its body is complete."""
        if self._changing is not None:
            return
        self._ended = True
        request, self.request = self.request, None
        if request is not None:
            request.finish()


def _bad_request(error: httptools.HttpParserError) -> BadRequestError:
    cause = error.__context__  # httptools wraps what our callbacks raise
    if isinstance(cause, BadRequestError):
        return cause
    if isinstance(error, httptools.HttpParserCallbackError):
        _log.critical("a request could not be taken: this is a bug of the gateway", exc_info=cause)
        return BadRequestError(500, "InternalError", "Internal error")
    return bad_request(f"This is no HTTP/1.1 request: {error}")
