"""What the system knows of a connection on which nothing arrives.

Its server may have closed it, or may be gone.
"""

import asyncio
import select
import socket
from typing import Final

from ostiary_gateway.asyncio_internals import forget_addresses

#: TCP keep-alive: seconds of silence before the first probe, seconds between probes, their number. 2 minutes in all.
_PROBING: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_EVENTS: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class SilentSocket:
    """The socket of a connection that waits for its server, or for its next request."""

    __slots__ = ("_poll", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._poll: select.poll | None = None

    def probe(self) -> None:
        """Turn on TCP keep-alive, which detects a dead server.

        A stream may be silent for days, and its server gone without a word.
        """
        made = self._transport.get_extra_info("socket")
        if made is None:
            return
        forget_addresses(self._transport)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _PROBING:
            if hasattr(socket, option):  # not every system has this name; then its defaults apply
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def is_quiet(self) -> bool:
        """Return whether the server has neither closed it nor sent what was not read.

        The event loop would report it one iteration later, after something was written.
        """
        if self._transport.is_closing():
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket"), _EVENTS)
        return not self._poll.poll(0)
