"""The data port of several workers, held by the supervisor as long as it lives.

Its sockets are bound and never listen, so they get no connections. They keep the port while no worker listens, turn
port 0 into one number for all, and let no process of another user in: the kernel shares a port among the sockets of one
user only, and only if the first one allowed it (socket(7), SO_REUSEPORT).
"""

import errno
import socket
from contextlib import suppress
from typing import Any

from ostiary_gateway.errors import port_taken


class SharedPort:
    """Reserves a port at all addresses of a host. ``port`` is its number."""

    def __init__(self, host: str, port: int) -> None:
        """Reserve the port.

        Raises:
            StartupError: it is taken, or the address is not ours; names the option to change.
        """
        self.port = port
        self._sockets: list[socket.socket] = []
        try:
            self._reserve(host)
        except OSError as error:
            self.close()
            raise port_taken("data port", host, port, error, option="--port or PORT") from error

    def _reserve(self, host: str) -> None:
        found = socket.getaddrinfo(host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            held = socket.socket(family, kind, protocol)
            self._sockets.append(held)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as asyncio does, which binds next to it
            _bind(held, (address[0], self.port, *address[2:]))
            self.port = int(held.getsockname()[1])

    def close(self) -> None:
        """Release the port."""
        for each in self._sockets:
            with suppress(OSError):
                each.close()
        self._sockets.clear()


def _bind(held: socket.socket, address: tuple[Any, ...]) -> None:
    """Bind a socket so that no program can bind next to it that does not share the port.

    With SO_REUSEADDR others could, as long as none listens. It is needed only where connections of an earlier process
    still linger at the port.
    """
    try:
        held.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
