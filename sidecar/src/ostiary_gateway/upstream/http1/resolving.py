"""From a name to addresses, beside the event loop, and beside every other name.

A resolver has no time limit that we could set: a name whose name servers are silent holds its thread for half a
minute, whoever still waits for it. Threads that all names share would soon be all held by such names, and no other
server could be connected to. So each look-up has a thread of its own, and there is one look-up of a name at a time.
"""

import asyncio
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import Any, Final

#: What a resolver says of a name that does not exist, or has no address.
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Resolver:
    """Resolves one host. Must be used within one event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._literal = _is_address(host)
        self._pending: asyncio.Future[list[str]] | None = None

    async def addresses(self) -> list[str]:
        """Return what the host resolves to now, in the resolver's order; all who ask at the same time are told alike.

        Raises:
            OSError: it does not resolve.
        """
        if self._literal:
            return [self._host]
        if self._pending is None:
            self._pending = self._look_up()
        # Who gives up must not end it for the others: nor could he, for it has a thread.
        return await asyncio.shield(self._pending)

    def _look_up(self) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()
        found.add_done_callback(self._done)
        # A daemon, or the process could not end before the resolver gives up.
        threading.Thread(target=self._ask, args=(loop, found), name="ostiary-resolve", daemon=True).start()
        return found

    def _ask(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[str]]) -> None:
        addresses: list[str] = []
        error: OSError | None = None
        try:
            answers = _resolved(self._host, self._port)
            addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except OSError as failed:
            error = failed
        except UnicodeError:  # a part of the name that is empty, or longer than names can have
            error = socket.gaierror(socket.EAI_NONAME, "this is no name")
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(_tell, found, addresses, error)

    def _done(self, found: asyncio.Future[Any]) -> None:
        self._pending = None
        if not found.cancelled():
            found.exception()  # seen, though perhaps nobody waits any more


def _resolved(host: str, port: int) -> list[Any]:
    """Ask the system's resolver: for a name of the Internet as it stands, before what its search domains make of it.

    A Pod's resolver looks below its search domains first, so that ``api.example.com`` could be a Pod ``api`` of a
    Service ``example`` in a namespace ``com``. What ends in ``.svc`` needs those domains, and ``service.namespace``
    means them.
    """
    if host.count(".") >= 2 and not host.endswith((".", ".svc")):
        try:
            return socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno not in _NO_SUCH_NAME:
                raise
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _tell(found: asyncio.Future[list[str]], addresses: list[str], error: OSError | None) -> None:
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
