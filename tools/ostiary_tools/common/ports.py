"""Free TCP ports on 127.0.0.1, for servers that cannot inherit a listening socket."""

import socket

LOOPBACK = "127.0.0.1"


def reserve_port() -> int:
    """Return a free port on 127.0.0.1 that no other process gets for about a minute.

    A port that is only free may be assigned to an outgoing connection before its server listens. This one is left in
    TIME_WAIT: the kernel does not assign it, but a server can bind it by number with SO_REUSEADDR (as Go, asyncio and
    Node do).
    """
    return _reserved(0)


def reserve_ports(count: int) -> int:
    """Return the first of ``count`` consecutive ports, each reserved as one is."""
    while True:
        first = reserve_port()
        try:
            for port in range(first + 1, first + count):
                _reserved(port)
        except (OSError, OverflowError):  # one is in use, or beyond the last
            continue
        return first


def _reserved(port: int) -> int:
    with socket.create_server((LOOPBACK, port)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first gets TIME_WAIT: it must be the port's
            client.recv(1)
    return address[1]
