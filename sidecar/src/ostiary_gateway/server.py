"""The data port: a bare HTTP server in front of the request's line."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from ostiary_gateway.errors import StartupError

_log = logging.getLogger(__name__)

_HEADER_LIMIT: Final = 16 * 1024
#: An idle connection of a caller is kept for so long, in seconds; longer than the idle time of common load balancers.
_KEEPALIVE_SECONDS: Final = 75.0
#: After an early refusal so long is what still comes read and dropped, in seconds: a reset would eat the answer.
_LINGERING_SECONDS: Final = 5.0
_CONNECTION_LOG: Final = logging.getLogger(f"{__name__}.connections")


class _NotFromOutside(logging.Filter):
    """Keeps bytes that are no HTTP out of the log: whoever sends them would write it, a traceback for each."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is about us."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_CONNECTION_LOG.addFilter(_NotFromOutside())


class Callers:
    """Ends the work on a request when its caller goes away.

    aiohttp offers that for all requests or for none. Ours differ: a modern request ends with its caller, a legacy one
    does not, so each request says for itself.
    """

    def __init__(self) -> None:
        self._bound: dict[RequestHandler, asyncio.Task[Any]] = {}

    @contextmanager
    def bound(self, request: web.BaseRequest) -> Iterator[None]:
        """Have the current task cancelled if the connection of this request is lost within the block."""
        task = asyncio.current_task()
        if task is None or request.transport is None:
            raise asyncio.CancelledError  # the caller is gone already
        self._bound[request.protocol] = task
        try:
            yield
        finally:
            self._bound.pop(request.protocol, None)

    def lost(self, connection: RequestHandler) -> None:
        """Cancel what is bound to a connection."""
        task = self._bound.pop(connection, None)
        if task is not None:
            task.cancel()


class CallerAwareServer(web.Server):
    """A server that tells :class:`Callers` of lost connections."""

    def __init__(self, handler: Any, callers: Callers, **options: Any) -> None:
        super().__init__(handler, **options)
        self._callers = callers

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Pass the loss on, then do what every server does."""
        self._callers.lost(handler)
        super().connection_lost(handler, exc)


def http_options() -> dict[str, Any]:
    """Bounds on what a caller may send before a body, and on how long a connection may idle."""
    return {
        "max_line_size": 8190,
        "max_field_size": _HEADER_LIMIT,
        "keepalive_timeout": _KEEPALIVE_SECONDS,
        "access_log": None,
        "logger": _CONNECTION_LOG,
        "lingering_time": _LINGERING_SECONDS,
        "auto_decompress": False,
        "tcp_keepalive": True,
    }


async def listen(runner: web.BaseRunner, host: str, port: int, *, what: str, option: str) -> int:
    """Start a site and return its port (which differs from ``port`` where that is 0).

    Raises:
        StartupError: the port is taken or the address is not ours; names the option to change.
    """
    site = web.TCPSite(runner, host, port, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        where = f"{host}:{port}"
        raise StartupError(
            f"{what}: cannot listen on {where} ({error.strerror or error}). Is something else running there? "
            f"Choose another with {option}."
        ) from error
    addresses: list[tuple[Any, ...]] = runner.addresses
    return int(addresses[-1][1])
