"""What aiohttp sees of a connection, and how its server is set up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from aiohttp import web

from ostiary_gateway.server.connection_limits import BODY_HIGH_WATER, Limits

#: Seconds after which aiohttp would close an idle connection, which our deadlines do long before.
_NEVER_SECONDS: Final = 365 * 24 * 3600.0
#: aiohttp logs each request that it cannot parse as an error; a client decides how many there are.
_UNREADABLE: Final = "Error handling request from"


class _Faults(logging.Filter):
    """Passes the faults of aiohttp, and drops those of clients."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        return not (str(record.msg).startswith(_UNREADABLE) or isinstance(fault, web.RequestPayloadError))


_log: Final = logging.getLogger(__name__)
_log.addFilter(_Faults())


class AiohttpHost(Protocol):
    """What the transport of aiohttp needs of the connection."""

    def aiohttp_wrote(self, data: bytes, /) -> None:
        """Answer what aiohttp could not parse: nothing else does it answer by itself."""

    def aiohttp_closes(self) -> None:
        """Close the connection once the client has its response."""

    def aiohttp_pauses(self, paused: bool, /) -> None:
        """Stop reading, or continue."""

    @property
    def aiohttp_info(self) -> asyncio.BaseTransport:
        """The transport that knows the addresses of both ends."""


class AiohttpTransport(asyncio.Transport):
    """The transport of aiohttp's protocol.

    It reads and closes by ours, and never writes to the client itself.
    """

    def __init__(self, host: AiohttpHost) -> None:
        super().__init__()
        self._host = host
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection's transport tells, except its socket, whose options are ours."""
        return default if name == "socket" else self._host.aiohttp_info.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether aiohttp has closed the connection."""
        return self._closing

    def close(self) -> None:
        """Close the connection once the client has its response."""
        self._closing = True
        self._host.aiohttp_closes()

    abort = close

    def write(self, data: Any) -> None:
        """Take the answer to a request that aiohttp could not parse."""
        self._host.aiohttp_wrote(bytes(data))

    def pause_reading(self) -> None:
        """Stop reading."""
        self._host.aiohttp_pauses(True)

    def resume_reading(self) -> None:
        """Continue to read."""
        self._host.aiohttp_pauses(False)


class Answered(web.StreamResponse):
    """Tells aiohttp that a request was answered; ``keep`` whether another may follow."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        self._keep = keep

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow."""
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing: the response has been written."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing: the response is complete."""


#: They have no state, so each serves all requests.
KEPT: Final = Answered(keep=True)
LAST: Final = Answered(keep=False)


def aiohttp_protocol(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: Limits, loop: asyncio.AbstractEventLoop
) -> asyncio.Protocol:
    """Return aiohttp's protocol for one connection.

    Its own limits are beyond ours: they could only be told apart by their messages.
    """
    server = web.Server(
        answer,
        loop=loop,
        access_log=None,
        logger=_log,
        auto_decompress=False,
        tcp_keepalive=False,
        keepalive_timeout=_NEVER_SECONDS,
        lingering_time=limits.linger_seconds,
        read_bufsize=BODY_HIGH_WATER // 2,
        max_line_size=2 * limits.head_bytes,
        max_field_size=2 * limits.head_bytes,
        max_headers=2 * limits.headers + 1,
    )
    return server()
