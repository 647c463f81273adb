"""Name resolution, in a thread of its own for each name.

A resolver has no timeout that we could set: a name whose name servers are silent blocks its thread for half a minute,
whether or not a request still waits for it. Such names would soon block all threads of a shared pool, and no other
server could be connected to. So each look-up has its own thread, and there is one look-up of a name at a time.
"""

import asyncio
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import Any, Final

#: The resolver's errors for a name that does not exist or has no address.
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Resolver:
    """Resolves one host. Must be used within one event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._literal = _is_address(host)
        self._pending: asyncio.Future[list[str]] | None = None

    async def addresses(self) -> list[str]:
        """Return the host's addresses, in the resolver's order.

        Concurrent callers share one look-up.

        Raises:
            OSError: it does not resolve.
        """
        if self._literal:
            return [self._host]
        if self._pending is None:
            self._pending = self._look_up()
        # A caller that gives up must not cancel the look-up for the others; its thread could not be stopped either.
        return await asyncio.shield(self._pending)

    def _look_up(self) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()
        found.add_done_callback(self._done)
        # A daemon thread: otherwise the process could not exit before the resolver gives up.
        threading.Thread(target=self._resolve, args=(loop, found), name="ostiary-resolve", daemon=True).start()
        return found

    def _resolve(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[str]]) -> None:
        addresses: list[str] = []
        error: OSError | None = None
        try:
            answers = _resolved(self._host, self._port)
            addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except OSError as failed:
            error = failed
        except UnicodeError:  # a label of the name is empty or too long
            error = socket.gaierror(socket.EAI_NONAME, "this is no name")
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_outcome, found, addresses, error)

    def _done(self, found: asyncio.Future[Any]) -> None:
        self._pending = None
        if not found.cancelled():
            found.exception()  # retrieved, or asyncio would warn where no caller waits any more


def _resolved(host: str, port: int) -> list[Any]:
    """Ask the system's resolver.

    A name with two dots or more is tried as an absolute name first.

    A Pod's resolver tries its search domains first, so that ``api.example.com`` could be a Pod ``api`` of a Service
    ``example`` in a namespace ``com``. Names that end in ``.svc`` need those domains, as ``service.namespace`` does.
    """
    if host.count(".") >= 2 and not host.endswith((".", ".svc")):
        try:
            return socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno not in _NO_SUCH_NAME:
                raise
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _set_outcome(found: asyncio.Future[list[str]], addresses: list[str], error: OSError | None) -> None:
    if found.done():
        return
    if error is not None:
        found.set_exception(error)
    else:
        found.set_result(addresses)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
