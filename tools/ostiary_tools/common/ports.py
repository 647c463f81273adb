"""Free TCP ports on 127.0.0.1, for servers that cannot inherit a listening socket."""

import socket

LOOPBACK = "127.0.0.1"


def reserve_port() -> int:
    """Return a free port on 127.0.0.1 that no other process gets for about a minute.

    A port that is only free may be assigned to an outgoing connection before its server listens. This one is left in
    TIME_WAIT: the kernel does not assign it, but a server can bind it by number with SO_REUSEADDR (as Go, asyncio and
    Node do).
    """
    with socket.create_server((LOOPBACK, 0)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first gets TIME_WAIT: it must be the port's
            client.recv(1)
    return address[1]
