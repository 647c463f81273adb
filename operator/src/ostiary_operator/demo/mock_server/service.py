"""Runs the mock server on one socket with uvicorn, and shuts it down within about a second."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator

import uvicorn

from ostiary_operator.demo.mock_server import app as mock
from ostiary_operator.demo.mock_server.middleware import DrainingApp
from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras

_GRACE_SECONDS = 0.5
"""How long open responses may take after `stop` before they are ended."""

_KEEP_ALIVE_SECONDS = 75
"""Longer than a gateway's pool keeps an idle connection, so that it never writes to one that was just closed."""

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  compared with, not bound


class ListenError(Exception):
    """The address cannot be bound. The message is that of the operating system."""

    def __init__(self, message: str, *, port_refused: bool) -> None:
        super().__init__(message)
        self.port_refused = port_refused
        """Another port would work: this one is in use, or needs privileges."""


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7878,
    allowed_hosts: tuple[str, ...] = (),
    eras: ServedEras = ServedEras.BOTH,
    scenario: Scenario | None = None,
    stop: asyncio.Event,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until `stop` is set. The caller handles signals, logging and tracing.

    Args:
        host: the address to listen on; a name is resolved.
        port: the port to listen on; 0 lets the system choose.
        allowed_hosts: accepted Host names, besides the loopback ones.
        eras: which revisions it serves.
        scenario: what it is, in place of the server with sample data.
        stop: ends the server when it is set.
        ready: called once with the URL of the endpoint when clients can connect.

    Raises:
        ListenError: the address is taken, not of this machine, or not permitted.
    """
    listener = _listen(host, port)
    parts = mock.build(allowed_hosts=allowed_hosts, eras=eras, scenario=scenario)
    drain = DrainingApp(parts.app)
    server = _Server(_config(drain))
    async with parts.running():
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        # The socket listens already: connections before the start of uvicorn wait in the backlog.
        ready(_url(host, listener))
        await _first_of(serving, stop)
        parts.listeners.close()
        parts.calls.end()
        await drain.drain(grace=_GRACE_SECONDS)
        # From here on uvicorn's errors only report clients that did not read and were cut off.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the caller handles signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


def _config(app: DrainingApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",  # `serve` runs the SDK's session manager, since streams must end before sessions
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _bound(socket.socket(family, kind, protocol), address)
    except OSError as error:
        # Errors of name resolution have their own error numbers.
        message = str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(message, port_refused=error.errno in {errno.EADDRINUSE, errno.EACCES}) from error


def _bound(listener: socket.socket, address: tuple[str | int, ...] | tuple[int, bytes]) -> socket.socket:
    """Return the socket, bound and listening; close it on failure.

    It was created with its protocol, unlike by `socket.create_server`: asyncio sets TCP_NODELAY only if the protocol is
    TCP, and without it a response of two writes waits 40 ms for the peer's acknowledgement.
    """
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _url(host: str, listener: socket.socket) -> str:
    shown = "localhost" if host in _WILDCARDS else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}{mock.PATH}"


async def _first_of(serving: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Wait for the stop event, or for the server to end by a failure."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
