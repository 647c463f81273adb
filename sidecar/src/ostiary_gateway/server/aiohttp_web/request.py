"""A request whose head aiohttp parsed, and whose body aiohttp reads."""

from collections.abc import Mapping
from typing import Final

from aiohttp import StreamReader, web

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.aiohttp_web.body_end import BodyEnd, ChunkedEnd, CountedEnd
from ostiary_gateway.server.bad_request import (
    other_coding,
    other_protocol,
    target_too_long,
)
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.request_connection import RequestConnection

_NONE_REPEATED: Final[frozenset[str]] = frozenset()
_MINOR: Final = {(1, 1): 1, (1, 0): 0}


class AiohttpRequest(Request):
    """A request; ``content`` is its body."""

    __slots__ = ("content", "end")

    def __init__(self, connection: RequestConnection, parsed: web.BaseRequest, limits: Limits) -> None:
        """Take over a request.

        Raises:
            BadRequestError: it is beyond the limits, or its body could be framed in two ways.
        """
        headers, repeated = _headers(parsed)
        super().__init__(
            connection,
            method=parsed.method,
            target=parsed.raw_path,
            headers=headers,
            repeated=repeated,
            minor_version=_minor_version(parsed),
            keep_alive=parsed.keep_alive and parsed.method != "CONNECT",
        )
        self.content: StreamReader = parsed.content
        self.complete = self.content.is_eof()
        self.end: BodyEnd = ChunkedEnd(limits) if "transfer-encoding" in headers else CountedEnd(self.declared_length)
        self._check(limits)

    def _check(self, limits: Limits) -> None:
        if len(self.target) > limits.target_bytes:
            raise target_too_long(limits)
        coding = self.headers.get("transfer-encoding")
        if coding is not None and (not self.minor_version or coding.lower() != "chunked"):
            raise other_coding()

    @property
    def has_begun(self) -> bool:
        """Whether some of the body has arrived that was not read yet."""
        return self.content.total_bytes > 0

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived and none was read, as nearly always.

        Return None if it must be awaited.
        """
        return self.content.read_nowait() if self.complete else None

    async def read_some(self) -> bytes:
        """Wait for a piece of the body and return it; empty at the end.

        Raises:
            CallerGone: the client disconnected, or the framing of the body is broken.
        """
        try:
            return await self.content.readany()
        except (web.RequestPayloadError, OSError) as error:
            raise CallerGone("the caller is gone") from error


def _minor_version(parsed: web.BaseRequest) -> int:
    minor = _MINOR.get((parsed.version.major, parsed.version.minor))
    if minor is None:
        raise other_protocol()
    return minor


def _headers(parsed: web.BaseRequest) -> tuple[Mapping[str, str], frozenset[str]]:
    """Return the headers, and the names of those that are repeated, whose values are joined."""
    items = parsed.headers.items()
    headers = {name.lower(): value for name, value in items}
    if len(headers) == len(parsed.headers):
        return headers, _NONE_REPEATED
    repeated: set[str] = set()
    headers = {}
    for name, value in items:
        key = name.lower()
        if key in headers:
            repeated.add(key)
            headers[key] = f"{headers[key]}, {value}"
        else:
            headers[key] = value
    return headers, frozenset(repeated)
