"""Event loops that close what connections are left when they are closed themselves.

A transport that outlives its loop is found by the garbage collector only, and reported as a fault of whatever test runs
then. Leaks of our own code have tests of their own (tests/load, protocol/test_nothing_for_the_collector.py).
"""

import asyncio
from typing import Final

#: One iteration closes the sockets of aborted transports, and makes transports of those that were being accepted. The
#: next one closes these, and the last one is for what their ends have started.
_ITERATIONS: Final = 3

_close = asyncio.SelectorEventLoop.close


def close_with_connections(loop: asyncio.SelectorEventLoop) -> None:
    """Close a loop, and before that what connections are open, also those that wait to send what is written."""
    if not loop.is_closed() and not loop.is_running():
        for _ in range(_ITERATIONS):
            for transport in filter(_is_open, list(getattr(loop, "_transports", {}).values())):
                transport.abort()
            loop.run_until_complete(asyncio.sleep(0))
    _close(loop)


def _is_open(transport: asyncio.BaseTransport) -> bool:
    """Return whether a transport has its socket: one that was closed while it was sending cannot be aborted later."""
    connection = transport.get_extra_info("socket")
    return connection is None or connection.fileno() >= 0
