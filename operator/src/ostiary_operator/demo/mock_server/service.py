"""Runs the mock server: one socket, one uvicorn server, an end within about a second."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator

import uvicorn

from ostiary_operator.demo.mock_server import app as mock
from ostiary_operator.demo.mock_server.draining import DrainingApp

_GRACE_SECONDS = 0.5
"""How long open responses may take to end by themselves after `stop`."""

_KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy's pool keeps an idle connection, so that it never writes into one that just closed."""

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  compared with, not listened on


class ListenError(Exception):
    """The address cannot be listened on. The message is the operating system's."""

    def __init__(self, message: str, *, port_refused: bool) -> None:
        super().__init__(message)
        self.port_refused = port_refused
        """Another port would do: this one is taken, or not for us."""


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7878,
    allowed_hosts: tuple[str, ...] = (),
    stop: asyncio.Event,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until `stop` is set. Signals, logging and tracing are the caller's.

    Args:
        host: the address to listen on; a name is resolved.
        port: the port to listen on; 0 lets the system choose.
        allowed_hosts: names under which clients may reach the server, besides the loopback ones.
        stop: ends the server when it is set.
        ready: called once, with the URL of the endpoint, when requests are accepted.

    Raises:
        ListenError: the address is taken, not of this machine, or not permitted.
    """
    listener = _listen(host, port)
    parts = mock.build(allowed_hosts=allowed_hosts)
    drain = DrainingApp(parts.app)
    server = _Server(_config(drain))
    async with parts.sessions.run():
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        # The socket listens already: whoever connects before uvicorn has started waits in the backlog.
        ready(_url(host, listener))
        await _first_of(serving, stop)
        parts.listeners.close()
        parts.calls.end()
        await drain.drain(grace=_GRACE_SECONDS)
        # From here on uvicorn's errors only say that a client which reads no more was cut off.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn, except that signals stay with the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: DrainingApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",  # the SDK's session manager is entered by `serve`, which ends streams before it ends sessions
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
        # Names that do not resolve have error numbers of their own.
        message = str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(message, port_refused=error.errno in {errno.EADDRINUSE, errno.EACCES}) from error


def _bound(listener: socket.socket, address: tuple[str | int, ...] | tuple[int, bytes]) -> socket.socket:
    """The socket, bound, or closed again.

    It was made with its protocol, which `socket.create_server` leaves out: asyncio sets TCP_NODELAY only where it
    sees TCP, and without that every answer of two writes waits 40 ms for the other side's acknowledgement.
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
    """Wait for the stop event, or for a server that ends by itself because it failed."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
